"""Events: written once, read in order of arrival or of time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

from features.audit import Act
from features.columns import instant, microseconds
from features.events import EARLIEST, INTERACTION_VERBS, Event, Result, Verb
from features.store.bulk import insert_rows
from features.store.imports import write_progress
from features.store.outcomes import Appended, Outcome, Progress
from features.store.rows import MAX_BATCH, NO_LIMIT, TenantRows, among
from features.store.suppression import erased
from features.store.tables import EVENTS, STORED, VOIDINGS, StoredEvent
from features.store.vouching import nameless, voucher

# What an event is rebuilt from, in this order.
READ: Final = (
    EVENTS.c.seq,
    EVENTS.c.event_id,
    EVENTS.c.learner_id,
    EVENTS.c.verb,
    EVENTS.c.object_id,
    EVENTS.c.occurred_at,
    EVENTS.c.recorded_at,
    EVENTS.c.decision_id,
    EVENTS.c.result,
    EVENTS.c.context,
    EVENTS.c.source,
    EVENTS.c.backfill,
    EVENTS.c.schema_version,
    EVENTS.c.voided_at,
)
BY_TIME: Final = itemgetter(READ.index(EVENTS.c.occurred_at), READ.index(EVENTS.c.seq))
STANDS: Final = EVENTS.c.voided_at.is_(None)
"""Of an event that nobody took back."""

_KNOWN: Final = "SELECT event_id, content_hash FROM events WHERE tenant = {} AND event_id {}"
_EVENTS: Final = f"SELECT {', '.join(column.name for column in READ)} FROM events WHERE tenant = {{}} AND event_id {{}}"
_VOIDED: Final = "SELECT event_id FROM voidings WHERE tenant = {} AND event_id {}"
_DAY: Final = 86_400_000_000
"""Microseconds."""
_IN_ORDER: Final = itemgetter(*STORED)
_ID, _HASH = STORED.index("event_id"), STORED.index("content_hash")
_WHO, _WHEN, _CONTEXT = STORED.index("learner_id"), STORED.index("occurred_at"), STORED.index("context")
assert STORED[0] == "tenant"

_TAKING_UP: Final = sorted(INTERACTION_VERBS)
_VERBS: Final = {verb.value: verb for verb in Verb}
_FIELDS: Final = set(Event.model_fields)


class EventRows(TenantRows):
    """The events' part of a session."""

    def append(self, events: Sequence[Event]) -> Appended:
        """Stores up to `MAX_BATCH` events in one synced transaction; ValueError for more, or for another tenant's."""
        return self.append_prepared([self.prepare(event) for event in events])

    def prepare(self, event: Event) -> StoredEvent:
        """The row of an event, JSON-ready: what takes time without the database. ValueError for another tenant's event."""
        if event.tenant != self.tenant:
            raise ValueError(f"event {event.event_id!r} belongs to tenant {event.tenant!r}, this session to {self.tenant!r}")
        return {
            "tenant": event.tenant,
            "event_id": event.event_id,
            "learner_id": event.learner_id,
            "verb": event.verb.value,
            "object_id": event.object_id,
            "occurred_at": microseconds(event.occurred_at),
            "recorded_at": microseconds(event.recorded_at),
            "known_at": microseconds(event.known_at),
            "decision_id": event.decision_id,
            "result": None if event.result is None else event.result.model_dump_json(exclude_none=True),
            "context": json.dumps(event.context, ensure_ascii=False) if event.context else "{}",
            "source": event.source,
            "backfill": int(event.backfill),
            "schema_version": event.schema_version,
            "content_hash": event.content_hash(),
        }

    def append_prepared(self, rows: Sequence[StoredEvent], *, progress: Progress | None = None) -> Appended:
        """`append` for rows made by `prepare`; see `append_values` for `progress`."""
        return self.append_values([_IN_ORDER(row) for row in rows], progress=progress)

    def append_values(self, rows: Sequence[Sequence[Any]], *, progress: Progress | None = None) -> Appended:
        """`append_prepared` for rows as values in the order of `STORED`.

        `progress` is where the reading stands after these rows, with its counts as they were before: the batch's own
        outcomes are added to them (as `progress.including(appended)` does), and the result is written in the transaction
        of the rows. So rows and progress are stored together or not at all. With progress, `rows` may be empty.
        """
        if len(rows) > MAX_BATCH:
            raise ValueError(f"{len(rows)} events in one batch; the limit is {MAX_BATCH}")
        if any(row[0] != self.tenant for row in rows):
            raise ValueError(f"a row of another tenant was given to the session of {self.tenant!r}")
        if not rows and progress is None:
            return Appended(())
        with self._writing(EVENTS) as connection:
            done = self._store(connection, rows)
            if progress is not None:
                write_progress(connection, self.tenant, progress.including(done))
        return done

    def _store(self, connection: sa.Connection, rows: Sequence[Sequence[Any]]) -> Appended:
        vouching = [name for row in rows if (name := voucher(row[_CONTEXT])) is not None]
        gone = erased(connection, self.tenant, [*(row[_WHO] for row in rows), *vouching])
        known = self._known(connection, [row[_ID] for row in rows])
        outcomes = tuple([_suppressed(gone, row) or _outcome(known, row[_ID], row[_HASH]) for row in rows])
        fresh = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome == "accepted"]
        if fresh:
            insert_rows(connection, EVENTS, STORED, [nameless(row, gone) for row in fresh] if gone else fresh)
            self._void_late(connection, [row[_ID] for row in fresh])
        return Appended(outcomes)

    def void(self, event_ids: Sequence[str], *, by: str, at: datetime) -> int:
        """Takes back events as of `at`: those that stand vanish from later answers, those still to come will never count.

        A decision made before `at` is replayed with them. Voiding twice is voiding once; nothing undoes it. `by` says what
        took them back (the id of a statement). Returns how many stood until now.
        """
        with self._writing(EVENTS) as connection:
            return self.void_within(connection, dict.fromkeys(event_ids, by), microseconds(at))

    def void_within(self, connection: sa.Connection, voided: Mapping[str, str], at: int) -> int:
        """`void` in the caller's transaction, which holds the lock of the events. `voided`: event id to what takes it back."""
        rows = [{"tenant": self.tenant, "event_id": name, "voided_at": at, "voided_by": by} for name, by in voided.items()]
        self._insert(connection, VOIDINGS, rows)
        mark = sa.update(EVENTS).where(EVENTS.c.tenant == self.tenant, EVENTS.c.event_id.in_(list(voided)), STANDS)
        # A clock that went backwards must not void an event before it was known.
        moment = sa.case((EVENTS.c.known_at > at, EVENTS.c.known_at), else_=at)
        if not rows:
            return 0
        stood = connection.execute(mark.values(voided_at=moment)).rowcount
        self._tell(connection, Act.EVENTS_VOIDED, {"named": len(rows), "stood": stood})
        return stood

    def _void_late(self, connection: sa.Connection, event_ids: Sequence[str]) -> None:
        """Events that were taken back before they came are never seen."""
        gone = [row[0] for row in among(connection, _VOIDED, (self.tenant,), event_ids)]
        if gone:
            mark = sa.update(EVENTS).where(EVENTS.c.tenant == self.tenant, EVENTS.c.event_id.in_(gone))
            connection.execute(mark.values(voided_at=EVENTS.c.known_at))

    def voidings(self, *, after: int = 0, limit: int | None = None) -> Iterator[tuple[int, datetime | None]]:
        """(seq, occurred_at of the event or None where it has not come) in order of voiding, `seq > after`."""
        same = sa.and_(EVENTS.c.tenant == VOIDINGS.c.tenant, EVENTS.c.event_id == VOIDINGS.c.event_id)
        query = sa.select(VOIDINGS.c.seq, EVENTS.c.occurred_at).select_from(VOIDINGS.outerjoin(EVENTS, same))
        query = query.where(VOIDINGS.c.tenant == self.tenant).order_by(VOIDINGS.c.seq)
        for seq, at in self._pages(query, VOIDINGS.c.seq, after, limit):
            yield seq, None if at is None else instant(at)

    def known(self, event_ids: Sequence[str]) -> dict[str, str]:
        """The content hash of each of these events that is stored."""
        with self._engine.connect() as connection:
            return self._known(connection, event_ids)

    def events(self, *, after: int = 0, limit: int | None = None) -> Iterator[tuple[int, Event]]:
        """(seq, event) in order of arrival, `seq > after`: what came since a watermark and was not taken back."""
        query = sa.select(*READ).where(EVENTS.c.tenant == self.tenant, STANDS).order_by(EVENTS.c.seq)
        for row in self._pages(query, EVENTS.c.seq, after, limit):
            yield row[0], event_of(self.tenant, row)

    def named(self, event_ids: Sequence[str]) -> dict[str, Event]:
        """The events of these ids that are stored, also those that were taken back."""
        if not event_ids:
            return {}
        with self._engine.connect() as connection:
            rows = list(among(connection, _EVENTS, (self.tenant,), event_ids))
        return {row[1]: event_of(self.tenant, row) for row in rows}

    def between(self, since: datetime, until: datetime) -> list[tuple[int, Event]]:
        """(seq, event) with since <= occurred_at < until that were not taken back, by (occurred_at, seq)."""
        at = EVENTS.c.occurred_at
        within = at >= microseconds(since), at < microseconds(until)
        query = sa.select(*READ).where(EVENTS.c.tenant == self.tenant, STANDS, *within)
        with self._engine.connect() as connection:
            return [(row[0], event_of(self.tenant, row)) for row in connection.execute(query.order_by(at, EVENTS.c.seq))]

    def last_taken_up(self, *, at: datetime) -> datetime | None:
        """When something was taken up last, up to `at`; None where nothing was. Reads all events."""
        table = EVENTS.c
        query = sa.select(sa.func.max(table.occurred_at)).where(
            table.tenant == self.tenant, STANDS, table.verb.in_(_TAKING_UP), table.occurred_at <= microseconds(at)
        )
        with self._engine.connect() as connection:
            last = connection.execute(query).scalar()
        return None if last is None else instant(last)

    def first_taken_up(self, since: datetime, until: datetime) -> dict[str, datetime]:
        """Every name that took something up with since <= occurred_at < until -> the first time. Reads those events."""
        table = EVENTS.c
        query = sa.select(table.learner_id, sa.func.min(table.occurred_at)).where(
            table.tenant == self.tenant,
            STANDS,
            table.occurred_at >= microseconds(since),
            table.occurred_at < microseconds(until),
            table.verb.in_(_TAKING_UP),
        )
        with self._engine.connect() as connection:
            return {who: instant(at) for who, at in connection.execute(query.group_by(table.learner_id))}

    def arrivals(self, *, after: int = 0, limit: int | None = None) -> Iterator[tuple[int, datetime]]:
        """(seq, occurred_at) in order of arrival, `seq > after`, voided or not: which days an export has to write anew."""
        query = sa.select(EVENTS.c.seq, EVENTS.c.occurred_at).where(EVENTS.c.tenant == self.tenant).order_by(EVENTS.c.seq)
        for seq, at in self._pages(query, EVENTS.c.seq, after, limit):
            yield seq, instant(at)

    def per_day(self, *, until: int) -> dict[str, int]:
        """How many events of each UTC day (YYYY-MM-DD) stand, of those with `seq <= until`. Reads all events."""
        # Counted from the first day that there is: databases divide towards zero, which is wrong before 1970.
        first = microseconds(EARLIEST)
        day = ((EVENTS.c.occurred_at - first) // sa.literal_column(str(_DAY), sa.BigInteger)).label("day")
        query = sa.select(day, sa.func.count()).where(EVENTS.c.tenant == self.tenant, STANDS, EVENTS.c.seq <= until)
        with self._engine.connect() as connection:
            return {instant(first + n * _DAY).date().isoformat(): count for n, count in connection.execute(query.group_by(day))}

    def _known(self, connection: sa.Connection, event_ids: Sequence[str]) -> dict[str, str]:
        found = among(connection, _KNOWN, (self.tenant,), event_ids)
        return {row[0]: row[1] for row in found}


def _suppressed(gone: Mapping[str, int], row: Sequence[Any]) -> Outcome | None:
    return "suppressed" if gone and row[_WHEN] <= gone.get(row[_WHO], -NO_LIMIT) else None


def _outcome(known: dict[str, str], event_id: str, content: str) -> Outcome:
    """What this event is, given all before it; `known` learns it, so that repeats within a batch are seen too."""
    stored = known.setdefault(event_id, "")
    if not stored:
        known[event_id] = content
        return "accepted"
    return "duplicate" if stored == content else "conflict"


def event_of(tenant: str, row: Any) -> Event:
    """The stored event. It was validated when it was written, so it is only put together here (half of the time)."""
    _, event_id, learner, verb, thing, occurred, recorded, decision, result, context, source, backfill, version, _ = row
    event: Event = Event.__new__(Event)
    fields = {
        "tenant": tenant,
        "event_id": event_id,
        "learner_id": learner,
        "verb": _VERBS[verb],
        "object_id": thing,
        "occurred_at": instant(occurred),
        "recorded_at": instant(recorded),
        "decision_id": decision,
        "result": None if result is None else _result(result),
        "context": {} if context == "{}" else json.loads(context),
        "source": source,
        "backfill": backfill == 1,
        "schema_version": version,
    }
    object.__setattr__(event, "__dict__", fields)
    object.__setattr__(event, "__pydantic_fields_set__", _FIELDS)
    object.__setattr__(event, "__pydantic_extra__", None)
    object.__setattr__(event, "__pydantic_private__", None)
    return event


@lru_cache(maxsize=4096)
def _result(stored: str) -> Result:
    # Few distinct results exist, and a Result is immutable: one object serves many events.
    return Result.model_validate_json(stored)
