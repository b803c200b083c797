"""xAPI statements: stored as they came, together with their events and with what they void, or not at all."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from features.columns import instant, microseconds
from features.store.bulk import insert_rows
from features.store.events import EventRows
from features.store.rows import NO_LIMIT, among
from features.store.suppression import erased
from features.store.tables import EVENTS, INTAKE, MENTIONS, STATEMENTS, STORED, VOIDINGS, count_of, insert_of
from features.xapi.intake import Intake, same
from features.xapi.meaning import SOURCE
from features.xapi.mentions import without

MOST_COUNTED: Final = 1_000
OTHERS: Final = "others"
_STATEMENT: Final = tuple(column.name for column in STATEMENTS.c if column.name != "seq")
_BODIES: Final = "SELECT statement_id, body FROM statements WHERE tenant = {} AND statement_id {}"
_SOURCES: Final = "SELECT event_id, source FROM events WHERE tenant = {} AND event_id {}"
_KNOWN: Final = "SELECT statement_id, content_hash, voids FROM statements WHERE tenant = {} AND statement_id {}"


class ConflictError(ValueError):
    """A statement of a batch cannot be stored: nothing of the batch was. `statement_id` names it, the message says why."""

    def __init__(self, statement_id: str, detail: str) -> None:
        super().__init__(detail)
        self.statement_id = statement_id


class VoidingError(ConflictError):
    """A statement would void a voiding statement, which the standard rules out."""


@dataclass(frozen=True)
class Received:
    """What was new in a batch, and how many of its statements were stored already, or speak of a time before their learner was
    erased and are not stored.
    """

    new: tuple[Intake, ...]
    duplicates: int
    suppressed: int = 0


@dataclass(frozen=True)
class Counted:
    """How often something happened to what came in, and when last. `kind`: repair, no event, refused."""

    kind: str
    which: str
    count: int
    last_at: datetime


class StatementRows(EventRows):
    """The statements' part of a session."""

    def receive(self, batch: Sequence[Intake]) -> Received:
        """Stores a batch in one synced transaction: statements, their events, what they void, the counts.

        The same statement again is no news, whatever became of it: one that is voided stays so. What a learner did before they
        were erased is left out; what they voided is void all the same. Errors: ConflictError where an id is taken by another
        statement or event, VoidingError; nothing is stored then.
        """
        with self._writing(EVENTS) as connection:
            stored = {row[0]: row for row in among(connection, _KNOWN, (self.tenant,), _named(batch))}
            self._refuse_others(connection, batch, stored)
            unknown = [one for one in batch if one.statement_id not in stored]
            new = self._wanted(connection, unknown)
            voiding = {name for name, _, voids in stored.values() if voids} | {one.statement_id for one in unknown if one.voids}
            for one in unknown:
                if one.voids in voiding:
                    raise VoidingError(one.statement_id, f"{one.voids} voids another statement, and cannot be voided itself")
            self._insert_statements(connection, new)
            self._insert_events(connection, new)
            self.void_within(
                connection, {one.voids: one.statement_id for one in unknown if one.voids}, max(_moments(unknown), default=0)
            )
            self._count(connection, Counter(counted for one in new for counted in one.counted), max(_moments(new), default=0))
        return Received(tuple(new), len(batch) - len(unknown), len(unknown) - len(new))

    def statement(self, statement_id: str, *, voided: bool) -> dict[str, Any] | None:
        """One statement as it is stored; None where there is none, or where it is voided and `voided` says otherwise.

        A voiding statement stands, even where another one named it before it came.
        """
        named = sa.exists().where(VOIDINGS.c.tenant == self.tenant, VOIDINGS.c.event_id == STATEMENTS.c.statement_id)
        is_void = sa.and_(STATEMENTS.c.voids.is_(None), named)
        query = sa.select(STATEMENTS.c.body, is_void).where(
            STATEMENTS.c.tenant == self.tenant, STATEMENTS.c.statement_id == statement_id
        )
        with self._engine.connect() as connection:
            found = connection.execute(query).first()
        if found is None or bool(found[1]) is not voided:
            return None
        body: dict[str, Any] = json.loads(found[0])
        return body

    def count(self, counted: Counter[tuple[str, str]], *, at: datetime) -> None:
        """Adds to how often each (kind, which) happened."""
        with self._writing(EVENTS) as connection:
            self._count(connection, counted, microseconds(at))

    def intake(self) -> list[Counted]:
        """All that was counted, the most frequent first."""
        query = sa.select(INTAKE.c.kind, INTAKE.c.which, INTAKE.c.count, INTAKE.c.last_at).where(INTAKE.c.tenant == self.tenant)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(INTAKE.c.count.desc(), INTAKE.c.kind, INTAKE.c.which)).all()
        return [Counted(kind, which, count, instant(last)) for kind, which, count, last in rows]

    def last_statement(self) -> datetime | None:
        """When the last statement was stored."""
        query = sa.select(STATEMENTS.c.stored_at).where(STATEMENTS.c.tenant == self.tenant)
        with self._engine.connect() as connection:
            found = connection.execute(query.order_by(STATEMENTS.c.seq.desc()).limit(1)).scalar()
        return None if found is None else instant(found)

    def _wanted(self, connection: sa.Connection, unknown: Sequence[Intake]) -> list[Intake]:
        """Without those about a time before their learner was erased, and without the names of others of whom that is true."""
        named = [name for one in unknown for name in (one.learner_id, *one.mentions) if name is not None]
        gone = erased(connection, self.tenant, named)
        if not gone:
            return list(unknown)
        wanted = [one for one in unknown if microseconds(one.occurred_at) > gone.get(one.learner_id or "", -NO_LIMIT)]
        return [_nameless(one, gone) for one in wanted]

    def _refuse_others(self, connection: sa.Connection, batch: Sequence[Intake], stored: Mapping[str, Any]) -> None:
        unlike = {
            one.statement_id: one
            for one in batch
            if one.statement_id in stored and stored[one.statement_id][1] != one.content_hash
        }
        for statement_id, body in among(connection, _BODIES, (self.tenant,), list(unlike)) if unlike else ():
            if not same(body, unlike[statement_id].body):
                raise ConflictError(statement_id, "a statement of this id is stored with other content")

    def _insert_statements(self, connection: sa.Connection, new: Sequence[Intake]) -> None:
        rows = [
            (
                self.tenant,
                one.statement_id,
                microseconds(one.stored_at),
                one.voids,
                int(one.event is not None),
                one.body,
                one.content_hash,
                one.learner_id,
            )
            for one in new
        ]
        insert_rows(connection, STATEMENTS, _STATEMENT, rows)
        named = [(self.tenant, name, one.statement_id) for one in new for name in one.mentions]
        if named:
            insert_rows(connection, MENTIONS, ("tenant", "learner_id", "statement_id"), named)

    def _insert_events(self, connection: sa.Connection, new: Sequence[Intake]) -> None:
        """An event of the id that came by a file of statements before stands for this one, whatever item was found for it."""
        rows = [self.prepare(one.event) for one in new if one.event is not None]
        done = self._store(connection, [tuple(row[name] for name in STORED) for row in rows])
        taken = [row["event_id"] for row, outcome in zip(rows, done.outcomes, strict=True) if outcome == "conflict"]
        for event_id, source in among(connection, _SOURCES, (self.tenant,), taken) if taken else ():
            if source != SOURCE:
                raise ConflictError(event_id, "an event of this id is stored with other content")

    def _count(self, connection: sa.Connection, counted: Counter[tuple[str, str]], at: int) -> None:
        """Beyond `MOST_COUNTED` different ones, new ones are counted together: an emitter may make up any number of verbs."""
        held = connection.execute(count_of(INTAKE).where(INTAKE.c.tenant == self.tenant)).scalar_one() if counted else 0
        if held + len(counted) > MOST_COUNTED:
            query = sa.select(INTAKE.c.kind, INTAKE.c.which).where(INTAKE.c.tenant == self.tenant)
            seen = {(kind, which) for kind, which in connection.execute(query)}
            found: Counter[tuple[str, str]] = Counter()
            for (kind, which), count in counted.items():
                found[kind, which if (kind, which) in seen else OTHERS] += count
            counted = found
        insert = insert_of(connection)(INTAKE)
        added = {"count": INTAKE.c.count + insert.excluded.count, "last_at": insert.excluded.last_at}
        upsert = insert.on_conflict_do_update(index_elements=["tenant", "kind", "which"], set_=added)
        rows = [
            {"tenant": self.tenant, "kind": kind, "which": which, "count": count, "last_at": at}
            for (kind, which), count in counted.items()
        ]
        if rows:
            connection.execute(upsert, rows)


def _nameless(one: Intake, gone: Mapping[str, int]) -> Intake:
    """The content's hash stays as it came: the same statement sent again is the same."""
    at = microseconds(one.occurred_at)
    names = {name for name in one.mentions if at <= gone.get(name, -NO_LIMIT)}
    if not names:
        return one
    body = json.dumps(without(json.loads(one.body), names), ensure_ascii=False, separators=(",", ":"))
    return replace(one, body=body, mentions=tuple(name for name in one.mentions if name not in names))


def _named(batch: Sequence[Intake]) -> list[str]:
    return [name for one in batch for name in (one.statement_id, one.voids) if name is not None]


def _moments(batch: Sequence[Intake]) -> list[int]:
    return [microseconds(one.stored_at) for one in batch]
