"""Erasing a learner: every row of theirs, under every name, in one transaction; only hashes of the names stay."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa

from features.audit import Act
from features.columns import instant, microseconds
from features.store.locks import hold
from features.store.names import NameRows
from features.store.suppression import erased, mark_names
from features.store.tables import ALIASES, CATALOGUE, DECISIONS, ERASURES, EVENTS, MENTIONS, MERGES, NUDGE_CHOICES, STATEMENTS
from features.store.vouching import forget_vouchers
from features.xapi.mentions import without

_CHUNK: Final = 100


@dataclass(frozen=True)
class Erased:
    """How many rows went. `references`: rows of others that named them (as manager, in a statement, as who vouches), and
    do no longer.
    """

    events: int = 0
    statements: int = 0
    decisions: int = 0
    catalogue: int = 0
    aliases: int = 0
    references: int = 0
    merges: int = 0
    nudge_choices: int = 0

    def __add__(self, other: "Erased") -> "Erased":
        return Erased(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


class ErasureRows(NameRows):
    """The erasing part of a session."""

    def erase(self, learner_id: str, *, at: datetime) -> Erased:
        """Erases a person, asked for by any name, under all ids that are merged now; a keyed hash of each name stays.

        What happened until `at` and comes again is suppressed; what happens later starts an empty learner. Erasing again, or
        somebody never heard of, does no harm, and moves the moment. What they voided stays void: of that only ids are kept.
        """
        with self._writing(EVENTS) as connection:
            for table in (CATALOGUE, DECISIONS, NUDGE_CHOICES):
                hold(connection, table.name, self.tenant)
            names = self._every_name(connection, learner_id)
            last = _last_event(connection, self.tenant, names)
            done = remove(connection, self.tenant, names)
            # A clock may go up to five minutes ahead of ours: what it said before the erasure is old as well.
            mark_names(connection, self.tenant, names, max(microseconds(at), last))
            self._tell(connection, Act.LEARNER_ERASED, asdict(done), learner=names[0])
        return done

    def erased_at(self, name: str) -> datetime | None:
        """When the learner of this name was erased last, None where nobody of it ever was."""
        with self._engine.connect() as connection:
            at = erased(connection, self.tenant, (name,)).get(name)
        return None if at is None else instant(at)

    def last_erasure(self) -> int:
        """The number of the last erasure, 0 where there was none; each has a higher one."""
        query = sa.select(sa.func.max(ERASURES.c.seq)).where(ERASURES.c.tenant == self.tenant)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar() or 0


def remove(connection: sa.Connection, tenant: str, names: Sequence[str]) -> Erased:
    """Deletes all rows of these names within the caller's transaction, and the names from rows of others."""
    if connection.dialect.name == "sqlite":  # or what was deleted would stay in the file until its pages are needed
        connection.exec_driver_sql("PRAGMA secure_delete=ON").close()
    parts = [names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK)]
    return sum((_remove(connection, tenant, part) for part in parts), Erased())


def _remove(connection: sa.Connection, tenant: str, names: Sequence[str]) -> Erased:
    def of(table: sa.Table, *where: Any) -> int:
        return connection.execute(sa.delete(table).where(table.c.tenant == tenant, *where)).rowcount

    theirs = sa.select(STATEMENTS.c.statement_id).where(STATEMENTS.c.tenant == tenant, STATEMENTS.c.learner_id.in_(names))
    of(MENTIONS, MENTIONS.c.statement_id.in_(theirs))
    return Erased(
        events=of(EVENTS, EVENTS.c.learner_id.in_(names)),
        statements=of(STATEMENTS, STATEMENTS.c.learner_id.in_(names)),
        decisions=of(DECISIONS, DECISIONS.c.learner_id.in_(names)),
        catalogue=of(CATALOGUE, CATALOGUE.c.kind == "learner", CATALOGUE.c.id.in_(names))
        + of(CATALOGUE, CATALOGUE.c.version.in_(naming(connection, tenant, "assignment", "learner_id", names))),
        aliases=of(ALIASES, sa.or_(ALIASES.c.learner_id.in_(names), ALIASES.c.alias.in_(names))),
        references=_forget_manager(connection, tenant, names)
        + _forget_mentions(connection, tenant, names)
        + forget_vouchers(connection, tenant, names),
        merges=of(MERGES, sa.or_(MERGES.c.learner_id.in_(names), MERGES.c.into_id.in_(names))),
        nudge_choices=of(NUDGE_CHOICES, NUDGE_CHOICES.c.learner_id.in_(names)),
    )


def naming(connection: sa.Connection, tenant: str, kind: str, field: str, names: Sequence[str]) -> dict[int, dict[str, Any]]:
    """The bodies, by version, of the rows of a kind one of whose fields is one of these names."""
    body = CATALOGUE.c.body
    written = [f'"{field}":{json.dumps(name, ensure_ascii=False)}' for name in names]
    query = sa.select(CATALOGUE.c.version, body).where(
        CATALOGUE.c.tenant == tenant,
        CATALOGUE.c.kind == kind,
        sa.or_(*(body.contains(text, autoescape=True) for text in written)),
    )
    found = {version: json.loads(text) for version, text in connection.execute(query)}
    return {version: row for version, row in found.items() if row.get(field) in names}


def _forget_manager(connection: sa.Connection, tenant: str, names: Sequence[str]) -> int:
    """In all versions: what was would name them for good."""
    rows = naming(connection, tenant, "learner", "manager_id", names)
    for version, row in rows.items():
        del row["manager_id"]
        body = json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        values = {"body": body, "content_hash": sha256(body.encode()).hexdigest()}
        connection.execute(sa.update(CATALOGUE).where(CATALOGUE.c.version == version).values(values))
    return len(rows)


def _forget_mentions(connection: sa.Connection, tenant: str, names: Sequence[str]) -> int:
    """In statements of others, whose hash stays: the same sent again is no news."""
    which = MENTIONS.c.tenant == tenant, MENTIONS.c.learner_id.in_(names)
    ids = sa.select(MENTIONS.c.statement_id).where(*which)
    mine = STATEMENTS.c.tenant == tenant, STATEMENTS.c.statement_id.in_(ids)
    rows = connection.execute(sa.select(STATEMENTS.c.seq, STATEMENTS.c.body).where(*mine)).all()
    for seq, text in rows:
        body = json.dumps(without(json.loads(text), names), ensure_ascii=False, separators=(",", ":"))
        connection.execute(sa.update(STATEMENTS).where(STATEMENTS.c.seq == seq).values(body=body))
    connection.execute(sa.delete(MENTIONS).where(*which))
    return len(rows)


def _last_event(connection: sa.Connection, tenant: str, names: Sequence[str]) -> int:
    query = sa.select(sa.func.max(EVENTS.c.occurred_at)).where(EVENTS.c.tenant == tenant, EVENTS.c.learner_id.in_(names))
    return connection.execute(query).scalar() or 0
