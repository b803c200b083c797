"""Versions of catalogue rows: what the catalogue was at any moment."""

from collections.abc import Collection, Iterable
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any, Final, TypeVar, cast

import sqlalchemy as sa

from features.catalogue import Assignment, Catalogue, CatalogueRow, Item, Learner, Role, Skill, canonical_json, kind_of
from features.columns import instant, microseconds
from features.store.outcomes import PutResult
from features.store.rows import MAX_BATCH, TenantRows, among
from features.store.tables import ALIASES, CATALOGUE, ITEM_ALIASES, OPEN

R = TypeVar("R", bound=CatalogueRow)
_CURRENT: Final = (
    "SELECT id, version, content_hash, valid_from FROM catalogue WHERE tenant = {} AND kind = {} AND valid_to IS NULL AND id {}"
)

_ITEMS: Final = "SELECT id, body FROM catalogue WHERE tenant = {} AND kind = {} AND valid_to IS NULL AND id {}"
_ITEM_ALIASES: Final = "SELECT alias, item_id FROM item_aliases WHERE tenant = {} AND alias {}"


class VersionError(ValueError):
    """A version of a catalogue row would begin before one that stands already."""


class CatalogueRows(TenantRows):
    """The catalogue's part of a session."""

    def put(self, rows: Iterable[CatalogueRow], *, at: datetime) -> PutResult:
        """Stores catalogue rows as of `at`: equal content is a no-op, other content closes the old version and opens a new one.

        Each `MAX_BATCH` rows are one transaction. VersionError when `at` lies before a version that stands already.
        """
        total, source = PutResult(), iter(rows)
        while batch := list(islice(source, MAX_BATCH)):
            with self._writing(CATALOGUE) as connection:
                total += self._put(connection, batch, microseconds(at))
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

    def known_items(self, names: Collection[str]) -> set[str]:
        """Those of these names that are an item's id or alias now."""
        if not names:
            return set()
        with self._engine.connect() as connection:
            found = dict(among(connection, _ITEMS, (self.tenant, "item"), list(names)))
            called: dict[str, list[str]] = {}
            for alias, item in among(connection, _ITEM_ALIASES, (self.tenant,), list(set(names) - set(found))):
                called.setdefault(item, []).append(alias)
            bodies = dict(among(connection, _ITEMS, (self.tenant, "item"), list(called))) if called else {}
        holding = {item: Item.model_validate_json(body).aliases for item, body in bodies.items()}
        return {*found, *(alias for item, own in holding.items() for alias in called[item] if alias in own)}

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

    def _put(self, connection: sa.Connection, rows: list[CatalogueRow], at: int) -> PutResult:
        current = self._current(connection, rows)
        fresh: dict[tuple[str, str], dict[str, Any]] = {}
        closed: list[int] = []
        inserted = unchanged = 0
        for row in rows:
            key, body = (kind_of(row), row.id), canonical_json(row)
            digest = sha256(body.encode()).hexdigest()
            version, stored, since = current.get(key, (None, "", at))
            if stored == digest:
                unchanged += 1
                continue
            if since > at:
                raise VersionError(
                    f"{key[0]} {row.id!r} changed at {instant(since)}; a version from {instant(at)} comes too late"
                )
            if version is not None:
                closed.append(version)
            inserted += version is None and key not in fresh
            fresh[key] = self._version(key, body, digest, at)
            current[key] = (None, digest, at)
        self._close(connection, closed, at)
        if fresh:
            connection.execute(sa.insert(CATALOGUE), list(fresh.values()))
        self._insert(connection, ALIASES, [named for row in rows if isinstance(row, Learner) for named in self._aliases(row)])
        self._insert(
            connection, ITEM_ALIASES, [named for row in rows if isinstance(row, Item) for named in self._names_of_item(row)]
        )
        return PutResult(inserted, len(rows) - inserted - unchanged, unchanged)

    def _aliases(self, row: Learner) -> list[dict[str, Any]]:
        return [{"tenant": self.tenant, "alias": alias, "learner_id": row.id} for alias in row.aliases]

    def _names_of_item(self, row: Item) -> list[dict[str, Any]]:
        return [{"tenant": self.tenant, "alias": alias, "item_id": row.id} for alias in row.aliases]

    def _version(self, key: tuple[str, str], body: str, digest: str, at: int) -> dict[str, Any]:
        kind, row_id = key
        return {"tenant": self.tenant, "kind": kind, "id": row_id, "valid_from": at, "body": body, "content_hash": digest}

    def _current(
        self, connection: sa.Connection, rows: Iterable[CatalogueRow]
    ) -> dict[tuple[str, str], tuple[int | None, str, int]]:
        ids: dict[str, list[str]] = {}
        for row in rows:
            ids.setdefault(kind_of(row), []).append(row.id)
        return {
            (kind, row_id): (version, digest, since)
            for kind, named in ids.items()
            for row_id, version, digest, since in among(connection, _CURRENT, (self.tenant, kind), named)
        }

    def _close(self, connection: sa.Connection, versions: list[int], at: int) -> None:
        if versions:
            query = sa.update(CATALOGUE).where(CATALOGUE.c.version == sa.bindparam("closed")).values(valid_to=at)
            connection.execute(query, [{"closed": version} for version in versions])
