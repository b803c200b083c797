"""Versions of catalogue rows: what the catalogue was at any moment."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar, cast

import sqlalchemy as sa

from features.audit import Act
from features.catalogue import KINDS, Assignment, Catalogue, CatalogueRow, Item, Learner, Role, Skill, canonical_json, kind_of
from features.columns import instant, microseconds
from features.store.outcomes import PutResult, Version
from features.store.rows import MAX_BATCH, TenantRows, among
from features.store.tables import ALIASES, CATALOGUE, ITEM_ALIASES, OPEN
from features.store.taken import check_names

R = TypeVar("R", bound=CatalogueRow)
CURRENT: Final = (
    "SELECT id, version, content_hash, valid_from FROM catalogue WHERE tenant = {} AND kind = {} AND valid_to IS NULL AND id {}"
)

_ENDED: Final = "SELECT id, max(valid_to) FROM catalogue WHERE tenant = {} AND kind = {} AND id {} GROUP BY id"
_BODIES: Final = "SELECT id, body FROM catalogue WHERE tenant = {} AND kind = {} AND valid_to IS NULL AND id {}"
_NAMED: Final[Mapping[str, str]] = {
    "item": "SELECT alias, item_id FROM item_aliases WHERE tenant = {} AND alias {}",
    "learner": "SELECT alias, learner_id FROM aliases WHERE tenant = {} AND alias {}",
}
_Key = tuple[str, str]
Standing = dict[_Key, tuple[int | None, str, int]]
"""(kind, id) -> the version that stands (None: it was retired), its hash, and since when it is so in microseconds."""


class VersionError(ValueError):
    """A version of a catalogue row would begin before one that stands already, or before the row was retired."""


class StoredRow(NamedTuple):
    """A catalogue row as it is stored, made ready before a lock is taken: thousands take as long as storing them."""

    kind: str
    id: str
    body: str
    digest: str
    aliases: tuple[str, ...]
    living: bool
    """Whether it is a learner who has not left."""


def stored_row(row: CatalogueRow | StoredRow) -> StoredRow:
    """The row as it is stored. ValueError for an item that another tenant grants."""
    if isinstance(row, StoredRow):
        return row
    if isinstance(row, Item) and row.granted_by is not None:
        raise ValueError(f"item {row.id!r} is granted by tenant {row.granted_by}, and stored there: leave it out")
    body = canonical_json(row)
    aliases = row.aliases if isinstance(row, Item | Learner) else ()
    living = isinstance(row, Learner) and row.status != "ended"
    return StoredRow(kind_of(row), row.id, body, sha256(body.encode()).hexdigest(), aliases, living)


class CatalogueRows(TenantRows):
    """The catalogue's part of a session."""

    def put(self, rows: Iterable[CatalogueRow | StoredRow], *, at: datetime) -> PutResult:
        """Stores catalogue rows as of `at`: equal content is a no-op, other content closes the old version and opens a new one.

        Each `MAX_BATCH` rows are one transaction. VersionError when `at` lies before a version that stands already, TakenError
        for a learner under a name of another (`features.store.taken`); nothing of the transaction is stored then.
        """
        given = list(map(stored_row, rows))
        together, total, source = learners_of(given), PutResult(), iter(given)
        while batch := list(islice(source, MAX_BATCH)):
            with self._writing(CATALOGUE) as connection:
                done = self._put(connection, batch, together, self._current(connection, batch), microseconds(at))
                if done.inserted or done.changed:
                    kinds = sorted({row.kind for row in batch})
                    counts = {"inserted": done.inserted, "changed": done.changed}
                    self._tell(connection, Act.CATALOGUE_CHANGED, {"kinds": kinds, **counts})
                total += done
        return total

    def catalogue(self, *, at: datetime | None = None) -> Catalogue:
        """Items, skills and roles valid at `at` (now when None)."""
        return Catalogue(self._rows(Item, at), self._rows(Skill, at), self._rows(Role, at))

    def learners(self, *, at: datetime | None = None) -> dict[str, Learner]:
        """All learners as of `at`, sorted by id."""
        return self._rows(Learner, at)

    def assignments(self, *, at: datetime | None = None) -> list[Assignment]:
        """All assignments as of `at`, sorted by id."""
        return list(self._rows(Assignment, at).values())

    def versions(self, kind: str) -> list[Version]:
        """Every version of every row of a kind, by id and time."""
        query = sa.select(CATALOGUE.c.valid_from, CATALOGUE.c.valid_to, CATALOGUE.c.body).where(
            CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == kind
        )
        with self._engine.connect() as connection:
            found = connection.execute(query.order_by(CATALOGUE.c.id, CATALOGUE.c.valid_from, CATALOGUE.c.version)).all()
        model = KINDS[kind]
        return [
            Version(model.model_validate_json(body), instant(since), None if until is None else instant(until))
            for since, until, body in found
        ]

    def row(self, kind: str, row_id: str) -> CatalogueRow | None:
        """The row of this kind and id as it stands now; None where there is none."""
        with self._engine.connect() as connection:
            body = connection.execute(self._valid(kind, None).where(CATALOGUE.c.id == row_id)).scalar()
        return None if body is None else KINDS[kind].model_validate_json(body)

    def known_items(self, names: Collection[str]) -> set[str]:
        """Those of these names that are an item's id or alias now."""
        return self.known_names("item", names)

    def known_names(self, kind: str, names: Collection[str]) -> set[str]:
        """Those of these names that are the id of a row of this kind now, or an alias of an item or learner."""
        ids, aliases = self._called(kind, names)
        return {*ids, *aliases}

    def by_name(self, kind: str, names: Collection[str]) -> dict[str, CatalogueRow]:
        """The row of each of those of these names that are known."""
        ids, aliases = self._called(kind, names)
        return {**aliases, **{row_id: KINDS[kind].model_validate_json(body) for row_id, body in ids.items()}}

    def _called(self, kind: str, names: Collection[str]) -> tuple[dict[str, str], dict[str, CatalogueRow]]:
        """(id to body, alias to row) of those of these names that are known; ids come before aliases."""
        if not names:
            return {}, {}
        with self._engine.connect() as connection:
            found = dict(among(connection, _BODIES, (self.tenant, kind), list(names)))
            left = set(names) - found.keys() if kind in _NAMED else set()
            called: dict[str, list[str]] = {}
            for alias, row_id in among(connection, _NAMED[kind], (self.tenant,), list(left)) if left else ():
                called.setdefault(row_id, []).append(alias)
            bodies = dict(among(connection, _BODIES, (self.tenant, kind), list(called))) if called else {}
        rows = {row_id: KINDS[kind].model_validate_json(body) for row_id, body in bodies.items()}
        own = {row_id: row for row_id, row in rows.items() if isinstance(row, Item | Learner)}
        return found, {alias: row for row_id, row in own.items() for alias in called[row_id] if alias in row.aliases}

    def _valid(self, kind: str, at: datetime | None) -> Any:
        query = sa.select(CATALOGUE.c.body).where(CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == kind)
        if at is None:
            return query.where(OPEN)
        moment = microseconds(at)
        return query.where(CATALOGUE.c.valid_from <= moment, sa.or_(OPEN, CATALOGUE.c.valid_to > moment))

    def _rows(self, kind: type[R], at: datetime | None) -> dict[str, R]:
        query = self._valid(kind.__name__.lower(), at).order_by(CATALOGUE.c.id)
        with self._engine.connect() as connection:
            bodies = connection.execute(query).scalars().all()
        found = [cast(R, kind.model_validate_json(body)) for body in bodies]
        return {row.id: row for row in found}

    def _put(
        self,
        connection: sa.Connection,
        rows: Sequence[StoredRow],
        together: Mapping[str, StoredRow],
        current: Standing,
        at: int,
    ) -> PutResult:
        """`together`: the learners that are put with these rows. `current`: what stands of these rows; it is brought up to
        date.
        """
        fresh: dict[_Key, StoredRow] = {}
        closed: list[int] = []
        inserted = unchanged = 0
        for row in rows:
            key = (row.kind, row.id)
            version, stored, since = current.get(key, (None, "", at))
            if stored == row.digest:
                unchanged += 1
                continue
            self._in_order(key, since, at)
            if version is not None:
                closed.append(version)
            inserted += version is None and key not in fresh
            fresh[key] = row
            current[key] = (None, row.digest, at)
        check_names(connection, self.tenant, learners_of(fresh.values()), together)
        self._close(connection, closed, at)
        if fresh:
            connection.execute(sa.insert(CATALOGUE), [self._version(row, at) for row in fresh.values()])
        self._insert(connection, ALIASES, self._aliases(fresh.values(), "learner", "learner_id"))
        self._insert(connection, ITEM_ALIASES, self._aliases(fresh.values(), "item", "item_id"))
        return PutResult(inserted, len(rows) - inserted - unchanged, unchanged)

    def _in_order(self, key: _Key, since: int, at: int) -> None:
        if since > at:
            raise VersionError(f"{key[0]} {key[1]!r} changed at {instant(since)}; a version from {instant(at)} comes too late")

    def _aliases(self, rows: Iterable[StoredRow], kind: str, owner: str) -> list[dict[str, Any]]:
        return [
            {"tenant": self.tenant, "alias": alias, owner: row.id} for row in rows if row.kind == kind for alias in row.aliases
        ]

    def _version(self, row: StoredRow, at: int) -> dict[str, Any]:
        named = {"tenant": self.tenant, "kind": row.kind, "id": row.id}
        return {**named, "valid_from": at, "body": row.body, "content_hash": row.digest}

    def _current(self, connection: sa.Connection, rows: Sequence[StoredRow]) -> Standing:
        standing: Standing = {}
        for kind, ids in _ids(rows).items():
            for row_id, version, digest, since in among(connection, CURRENT, (self.tenant, kind), ids):
                standing[kind, row_id] = (version, digest, since)
        return self._with_ended(connection, rows, standing)

    def _with_ended(self, connection: sa.Connection, rows: Sequence[StoredRow], standing: Standing) -> Standing:
        """With those of the rows that stood once and were retired: a new version must not begin before that."""
        for kind, ids in _ids(row for row in rows if (row.kind, row.id) not in standing).items():
            for row_id, until in among(connection, _ENDED, (self.tenant, kind), ids):
                standing[kind, row_id] = (None, "", until)
        return standing

    def _close(self, connection: sa.Connection, versions: list[int], at: int) -> None:
        if versions:
            query = sa.update(CATALOGUE).where(CATALOGUE.c.version == sa.bindparam("closed")).values(valid_to=at)
            connection.execute(query, [{"closed": version} for version in versions])


def learners_of(rows: Iterable[StoredRow]) -> dict[str, StoredRow]:
    """The learners among rows, by id."""
    return {row.id: row for row in rows if row.kind == "learner"}


def _ids(rows: Iterable[StoredRow]) -> dict[str, list[str]]:
    """The ids by kind."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.kind, []).append(row.id)
    return found
