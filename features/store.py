"""The event store: what happened, what the catalogue was, and what was decided, one tenant at a time.

SQLAlchemy Core on SQLite (WAL, every commit synced); the constructs are portable. Instants are integers of microseconds
since 1970. Every statement is made by a `TenantSession`, so a query without a tenant cannot be written.
"""

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from features.catalogue import KINDS, Assignment, Catalogue, CatalogueRow, Item, Learner, Role, Skill, canonical_json, kind_of
from features.columns import instant, microseconds
from features.decisions import Decision
from features.events import SKILL_PREFIX, Event, Result, Verb
from features.histories import HistoryCache, Stamp

MAX_BATCH: Final = 5_000
"""Events in one transaction: how long a writer may keep the others waiting."""

Outcome = Literal["accepted", "duplicate", "conflict"]
Place = Literal["here", "gone", "replaced"]
StoredEvent = dict[str, Any]
"""A row of the table `events` but for its `seq`."""
R = TypeVar("R", bound=CatalogueRow)

_METADATA: Final = sa.MetaData()
_SEQ: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

EVENTS: Final = sa.Table(
    "events",
    _METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("learner_id", sa.Text, nullable=False),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("occurred_at", sa.BigInteger, nullable=False),
    sa.Column("recorded_at", sa.BigInteger, nullable=False),
    sa.Column("known_at", sa.BigInteger, nullable=False),
    sa.Column("decision_id", sa.Text),
    sa.Column("result", sa.Text),
    sa.Column("context", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("backfill", sa.Integer, nullable=False),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.UniqueConstraint("tenant", "event_id"),
    sa.Index("events_history", "tenant", "learner_id", "occurred_at", "seq"),
    sa.Index("events_day", "tenant", "occurred_at", "seq"),
    sa.Index("events_order", "tenant", "seq"),
    sqlite_autoincrement=True,
)
CATALOGUE: Final = sa.Table(
    "catalogue",
    _METADATA,
    sa.Column("version", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("valid_from", sa.BigInteger, nullable=False),
    sa.Column("valid_to", sa.BigInteger),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Index("catalogue_versions", "tenant", "kind", "id", "valid_from"),
    sqlite_autoincrement=True,
)
_OPEN: Final = CATALOGUE.c.valid_to.is_(None)
sa.Index(
    "catalogue_current",
    CATALOGUE.c.tenant,
    CATALOGUE.c.kind,
    CATALOGUE.c.id,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
# Which learner rows ever named an alias: an index only, whether a name holds at a moment is said by the row valid then.
ALIASES: Final = sa.Table(
    "aliases",
    _METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("learner_id", sa.Text, primary_key=True),
    sa.Index("aliases_learner", "tenant", "learner_id"),
)
DECISIONS: Final = sa.Table(
    "decisions",
    _METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("decision_id", sa.Text, nullable=False),
    sa.Column("learner_id", sa.Text, nullable=False),
    sa.Column("decided_at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("tenant", "decision_id"),
    sa.Index("decisions_order", "tenant", "seq"),
    sqlite_autoincrement=True,
)
IMPORTS: Final = sa.Table(
    "imports",
    _METADATA,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("imports_order", "tenant", "seq"),
    sqlite_autoincrement=True,
)
HEARTBEAT: Final = sa.Table(
    "heartbeat",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

# What an event is rebuilt from, in this order.
_READ: Final = (
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
)
_BY_TIME: Final = itemgetter(_READ.index(EVENTS.c.occurred_at), _READ.index(EVENTS.c.seq))
STORED: Final = tuple(column.name for column in EVENTS.c if column.name != "seq")
"""The names of a `StoredEvent`, in order."""

_VERBS: Final = {verb.value: verb for verb in Verb}
_FIELDS: Final = set(Event.model_fields)
_NO_LIMIT: Final = 2**62


@dataclass(frozen=True)
class Appended:
    """What became of each given event, in the order given. A conflict (same id, other content) is not stored."""

    outcomes: tuple[Outcome, ...]

    @property
    def accepted(self) -> int:
        return self.outcomes.count("accepted")

    @property
    def duplicates(self) -> int:
        return self.outcomes.count("duplicate")

    @property
    def conflicts(self) -> int:
        return self.outcomes.count("conflict")


@dataclass(frozen=True)
class PutResult:
    """How many catalogue rows were new, differed from the stored version, or said nothing new."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: "PutResult") -> "PutResult":
        return PutResult(self.inserted + other.inserted, self.changed + other.changed, self.unchanged + other.unchanged)


@dataclass(frozen=True)
class Counts:
    """Sizes of one tenant. Unknown learners and objects are stubs: events speak of them, the catalogue does not."""

    events: int
    decisions: int
    learners_with_events: int
    objects_with_events: int
    unknown_learners: int
    unknown_objects: int
    catalogue: Mapping[str, int]
    verbs: Mapping[str, int]


class EventStore:
    """A database of events, catalogue versions and decisions. Safe to use from several threads."""

    def __init__(self, engine: sa.Engine, file: Path | None = None, histories: HistoryCache | None = None) -> None:
        self.engine = engine
        self.histories = histories
        self._readers = _Readers(engine)
        self._file, self._identity = file, None if file is None else _identity(file)

    @classmethod
    def open(cls, url: str, *, wait_s: float = 10.0, remember: int = 0) -> "EventStore":
        """Connects and creates what is missing: tables, and for SQLite the folder of the file. Bad URLs raise ValueError.

        `wait_s`: how long a statement waits while another process holds SQLite's lock. `remember`: how many events of
        histories that were read are kept in memory (about a kilobyte each).
        """
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError:
            raise ValueError(f"{url!r} is not a database URL; write for example sqlite:///var/events.db") from None
        local = parsed.get_backend_name() == "sqlite"
        file = Path(parsed.database) if local and parsed.database and parsed.database != ":memory:" else None
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(parsed, connect_args={"timeout": wait_s} if local else {})
        if local:
            sa.event.listen(engine, "connect", _configure_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        _METADATA.create_all(engine)
        return cls(engine, file, HistoryCache(remember) if remember else None)

    def place(self) -> Place:
        """Whether the file at the store's path is the opened one (always `here` for a server).

        What is written to a file that is gone or replaced is lost to everybody who opens the path.
        """
        if self._file is None or self._identity is None:
            return "here"
        found = _identity(self._file)
        return "gone" if found is None else "here" if found == self._identity else "replaced"

    def probe(self) -> None:
        """One small synced write, to a row that is written over each time. Raises what any write would raise now."""
        row = {"id": 1, "at": time.time_ns() // 1000}
        with self.engine.execution_options(nextwise_write=True).begin() as connection:
            insert = _insert_of(connection)(HEARTBEAT).values(row)
            connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"at": row["at"]}))

    def tenant(self, tenant: str) -> "TenantSession":
        """The rows of one tenant, and no way to any other's."""
        return TenantSession(self.engine, tenant, self._readers, self.histories)

    def tenants(self) -> tuple[str, ...]:
        """The tenants that have an event or a catalogue row, sorted."""
        found = sa.union(sa.select(EVENTS.c.tenant), sa.select(CATALOGUE.c.tenant))
        with self.engine.connect() as connection:
            return tuple(sorted(connection.execute(found).scalars()))

    def close(self) -> None:
        """Closes all connections; the store cannot be used afterwards."""
        self._readers.close()
        self.engine.dispose()


class _Readers:
    """Where single statements are read: for SQLite one open connection a thread, else one of the pool for each.

    A request of the service makes five small reads; fetching a connection from the pool costs as much as a read. SQLite
    ends a read with its last row, so an open connection holds no lock and sees every commit.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._own = threading.local()
        self._open: list[Any] = []

    def fetch(self, statement: "_Compiled", values: dict[str, Any]) -> list[Any]:
        """All rows of a compiled statement."""
        sql, order = statement
        given = tuple(values[name] for name in order) if order else values
        if self._engine.dialect.name != "sqlite":
            with closing(self._engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
                cursor.execute(sql, given)
                return list(cursor.fetchall())
        if not hasattr(self._own, "connection"):
            self._own.connection = self._engine.raw_connection()
            self._open.append(self._own.connection)
        with closing(self._own.connection.cursor()) as cursor:
            cursor.execute(sql, given)
            return list(cursor.fetchall())

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._own = threading.local()


class TenantSession:
    """All reading and writing for one tenant. Holds no connection: create it freely, share it between threads."""

    def __init__(self, engine: sa.Engine, tenant: str, readers: _Readers, histories: HistoryCache | None = None) -> None:
        self._engine = engine
        self._readers = readers
        self._histories = histories
        self.tenant = tenant

    # -- events --

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

    def append_prepared(self, rows: Sequence[StoredEvent]) -> Appended:
        """`append` for rows made by `prepare`."""
        if len(rows) > MAX_BATCH:
            raise ValueError(f"{len(rows)} events in one batch; the limit is {MAX_BATCH}")
        if any(row["tenant"] != self.tenant for row in rows):
            raise ValueError(f"a row of another tenant was given to the session of {self.tenant!r}")
        if not rows:
            return Appended(())
        with self._writing() as connection:
            known = self._known(connection, [row["event_id"] for row in rows])
            outcomes = tuple(_outcome(known, row["event_id"], row["content_hash"]) for row in rows)
            fresh = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome == "accepted"]
            self._insert(connection, EVENTS, fresh)
        return Appended(outcomes)

    def known(self, event_ids: Sequence[str]) -> dict[str, str]:
        """The content hash of each of these events that is stored."""
        with self._engine.connect() as connection:
            return self._known(connection, event_ids)

    def history(self, learner_id: str, *, known_by: datetime | None = None) -> list[Event]:
        """A learner's events that were known at `known_by` (all when None), by (occurred_at, seq). The hot path of serving.

        The events of an id and of its aliases are one history, under whichever of these names it is asked for.
        """
        bound = _NO_LIMIT if known_by is None else microseconds(known_by)
        names = self._names_of(learner_id, known_by)
        if self._histories is not None:
            return self._remembered(self._histories, names, bound)
        return [_event(self.tenant, row) for row in self._history_rows(names, bound)]

    def events(self, *, after: int = 0, limit: int | None = None) -> Iterator[tuple[int, Event]]:
        """(seq, event) in order of arrival, `seq > after`: what came since a watermark."""
        query = sa.select(*_READ).where(EVENTS.c.tenant == self.tenant).order_by(EVENTS.c.seq)
        for row in self._pages(query, EVENTS.c.seq, after, limit):
            yield row[0], _event(self.tenant, row)

    def between(self, since: datetime, until: datetime) -> list[tuple[int, Event]]:
        """(seq, event) with since <= occurred_at < until, by (occurred_at, seq)."""
        at = EVENTS.c.occurred_at
        query = sa.select(*_READ).where(EVENTS.c.tenant == self.tenant, at >= microseconds(since), at < microseconds(until))
        with self._engine.connect() as connection:
            return [(row[0], _event(self.tenant, row)) for row in connection.execute(query.order_by(at, EVENTS.c.seq))]

    def arrivals(self, *, after: int = 0) -> Iterator[tuple[int, datetime]]:
        """(seq, occurred_at) in order of arrival, `seq > after`: which days an export has to write anew."""
        query = sa.select(EVENTS.c.seq, EVENTS.c.occurred_at).where(EVENTS.c.tenant == self.tenant).order_by(EVENTS.c.seq)
        for seq, at in self._pages(query, EVENTS.c.seq, after, None):
            yield seq, instant(at)

    def record_import(self, facts: Mapping[str, Any]) -> None:
        """Keeps where rows came from (source, format, time zone, counts ...): JSON-ready facts about one import."""
        row = {"tenant": self.tenant, "body": json.dumps(facts, sort_keys=True, ensure_ascii=False)}
        with self._writing() as connection:
            connection.execute(sa.insert(IMPORTS), [row])

    def imports(self) -> list[dict[str, Any]]:
        """The facts of all imports, oldest first."""
        query = sa.select(IMPORTS.c.body).where(IMPORTS.c.tenant == self.tenant).order_by(IMPORTS.c.seq)
        with self._engine.connect() as connection:
            return [json.loads(body) for body in connection.execute(query).scalars()]

    # -- catalogue --

    def put(self, rows: Iterable[CatalogueRow], *, at: datetime) -> PutResult:
        """Stores catalogue rows as of `at`: equal content is a no-op, other content closes the old version and opens a new one.

        Each `MAX_BATCH` rows are one transaction. ValueError when `at` lies before a version that stands already.
        """
        total, source = PutResult(), iter(rows)
        while batch := list(islice(source, MAX_BATCH)):
            with self._writing() as connection:
                total += self._put(connection, batch, microseconds(at))
        return total

    def catalogue(self, *, at: datetime | None = None) -> Catalogue:
        """Items, skills and roles valid at `at` (now when None)."""
        return Catalogue(self._rows(Item, at), self._rows(Skill, at), self._rows(Role, at))

    def learner(self, learner_id: str, *, at: datetime | None = None) -> Learner | None:
        """One learner by id, else by alias, as of `at`; None when unknown. On the hot path of serving, as `history` is.

        Of several rows with one alias the last by id counts, as in the lake.
        """
        values = {"tenant": self.tenant, "learner": learner_id, "moment": _NO_LIMIT if at is None else microseconds(at)}
        found = self._fetch(_learner_statement(self._engine.dialect), values)
        if found:
            return _learner(found[0][0])
        named = [_learner(row[0]) for row in self._fetch(_alias_statement(self._engine.dialect), values)]
        return next((row for row in reversed(named) if learner_id in row.aliases), None)

    def learners(self, *, at: datetime | None = None) -> dict[str, Learner]:
        """All learners as of `at`, sorted by id."""
        return self._rows(Learner, at)

    def assignments(self, *, at: datetime | None = None) -> list[Assignment]:
        """All assignments as of `at`, sorted by id."""
        return list(self._rows(Assignment, at).values())

    # -- decisions --

    def record(self, decisions: Sequence[Decision]) -> None:
        """Stores decisions in one synced transaction; one that is stored already stays as it is."""
        rows = [self._decision_row(decision) for decision in decisions]
        with self._writing() as connection:
            self._insert(connection, DECISIONS, rows)

    def decision(self, decision_id: str) -> Decision | None:
        """One decision, None when there is none of this id."""
        query = sa.select(DECISIONS.c.body).where(DECISIONS.c.tenant == self.tenant, DECISIONS.c.decision_id == decision_id)
        with self._engine.connect() as connection:
            body = connection.execute(query).scalar()
        return None if body is None else Decision.model_validate_json(body)

    def decisions(self, *, after: int = 0, limit: int | None = None) -> Iterator[tuple[int, Decision]]:
        """(seq, decision) in order of arrival, `seq > after`."""
        query = sa.select(DECISIONS.c.seq, DECISIONS.c.body).where(DECISIONS.c.tenant == self.tenant).order_by(DECISIONS.c.seq)
        for seq, body in self._pages(query, DECISIONS.c.seq, after, limit):
            yield seq, Decision.model_validate_json(body)

    def counts(self) -> Counts:
        """What is stored for this tenant, stubs included. Reads the index of all events: not for the hot path."""
        mine = EVENTS.c.tenant == self.tenant
        with self._engine.connect() as connection:
            learners = set(connection.execute(sa.select(EVENTS.c.learner_id).where(mine).distinct()).scalars())
            objects = set(connection.execute(sa.select(EVENTS.c.object_id).where(mine).distinct()).scalars())
            by_verb = connection.execute(sa.select(EVENTS.c.verb, sa.func.count()).where(mine).group_by(EVENTS.c.verb))
            verbs = {str(verb): int(count) for verb, count in by_verb}
            decisions = connection.execute(_count(DECISIONS).where(DECISIONS.c.tenant == self.tenant)).scalar_one()
            kinds = {kind: connection.execute(self._count_valid(kind)).scalar_one() for kind in KINDS}
        return Counts(
            events=sum(verbs.values()),
            decisions=decisions,
            learners_with_events=len(learners),
            objects_with_events=len(objects),
            unknown_learners=len(learners - self._names(Learner)),
            unknown_objects=len(objects - self._names(Item) - {SKILL_PREFIX + skill for skill in self._rows(Skill, None)}),
            catalogue=kinds,
            verbs=dict(sorted(verbs.items())),
        )

    # -- inside --

    def _fetch(self, statement: "_Compiled", values: dict[str, Any]) -> list[Any]:
        return self._readers.fetch(statement, values)

    def _history_rows(self, names: Sequence[str], bound: int) -> list[Any]:
        statement = _history_statement(self._engine.dialect)
        given = [{"tenant": self.tenant, "learner": name, "bound": bound} for name in names]
        rows = [row for values in given for row in self._fetch(statement, values)]
        return sorted(rows, key=_BY_TIME) if len(names) > 1 else rows

    def _remembered(self, histories: HistoryCache, names: Sequence[str], bound: int) -> list[Event]:
        def read() -> tuple[Stamp, list[Event]]:
            rows = self._history_rows(names, _NO_LIMIT)
            sequence = [row[0] for row in rows]
            return (len(rows), max(sequence, default=0), sum(sequence)), [_event(self.tenant, row) for row in rows]

        return histories.history(self.tenant, tuple(names), bound, self._stamp(names), read)

    def _stamp(self, names: Sequence[str]) -> Stamp:
        statement = _stamp_statement(self._engine.dialect)
        found = [self._fetch(statement, {"tenant": self.tenant, "learner": name})[0] for name in names]
        return sum(row[0] for row in found), max(row[1] or 0 for row in found), sum(int(row[2] or 0) for row in found)

    def _writing(self) -> Any:
        return self._engine.execution_options(nextwise_write=True).begin()

    def _insert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            connection.execute(_insert_of(connection)(table).on_conflict_do_nothing(), rows)

    def _decision_row(self, decision: Decision) -> dict[str, Any]:
        if decision.tenant != self.tenant:
            raise ValueError(f"decision {decision.decision_id!r} belongs to tenant {decision.tenant!r}, not {self.tenant!r}")
        return {
            "tenant": decision.tenant,
            "decision_id": decision.decision_id,
            "learner_id": decision.learner_id,
            "decided_at": microseconds(decision.decided_at),
            "body": decision.model_dump_json(),
        }

    def _known(self, connection: sa.Connection, event_ids: Sequence[str]) -> dict[str, str]:
        query = sa.select(EVENTS.c.event_id, EVENTS.c.content_hash).where(
            EVENTS.c.tenant == self.tenant, EVENTS.c.event_id.in_(sa.bindparam("ids", expanding=True))
        )
        return {row[0]: row[1] for row in connection.execute(query, {"ids": list(event_ids)})}

    def _pages(self, query: Any, seq: Any, after: int, limit: int | None) -> Iterator[Any]:
        # By key, a page at a time: no read transaction stays open while the caller thinks.
        left = _NO_LIMIT if limit is None else limit
        while left > 0:
            with self._engine.connect() as connection:
                page = connection.execute(query.where(seq > after).limit(min(left, MAX_BATCH))).all()
            yield from page
            if not page:
                return
            after, left = page[-1][0], left - len(page)

    def _valid(self, kind: str, at: datetime | None) -> Any:
        query = sa.select(CATALOGUE.c.body).where(CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == kind)
        if at is None:
            return query.where(_OPEN)
        moment = microseconds(at)
        return query.where(CATALOGUE.c.valid_from <= moment, sa.or_(_OPEN, CATALOGUE.c.valid_to > moment))

    def _rows(self, kind: type[R], at: datetime | None) -> dict[str, R]:
        query = self._valid(kind.__name__.lower(), at).order_by(CATALOGUE.c.id)
        with self._engine.connect() as connection:
            bodies = connection.execute(query).scalars().all()
        found = [cast(R, kind.model_validate_json(body)) for body in bodies]
        return {row.id: row for row in found}

    def _names(self, kind: type[Item] | type[Learner]) -> set[str]:
        rows: Iterable[Item | Learner] = self._rows(kind, None).values()
        return {name for row in rows for name in (row.id, *row.aliases)}

    def _count_valid(self, kind: str) -> Any:
        return _count(CATALOGUE).where(CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == kind, _OPEN)

    def _names_of(self, name: str, at: datetime | None) -> tuple[str, ...]:
        """Every name of the learner called `name`; most have one, which one look into an index tells."""
        if not self._fetch(_named_statement(self._engine.dialect), {"tenant": self.tenant, "learner": name}):
            return (name,)
        learner = self.learner(name, at=at)
        if learner is None:
            return (name,)
        owners = {alias: self.learner(alias, at=at) for alias in learner.aliases}
        return (learner.id, *(alias for alias, owner in owners.items() if owner == learner))

    def _put(self, connection: sa.Connection, rows: list[CatalogueRow], at: int) -> PutResult:
        current = self._current(connection, {kind_of(row) for row in rows})
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
                raise ValueError(
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
        return PutResult(inserted, len(rows) - inserted - unchanged, unchanged)

    def _aliases(self, row: Learner) -> list[dict[str, Any]]:
        return [{"tenant": self.tenant, "alias": alias, "learner_id": row.id} for alias in row.aliases]

    def _version(self, key: tuple[str, str], body: str, digest: str, at: int) -> dict[str, Any]:
        kind, row_id = key
        return {"tenant": self.tenant, "kind": kind, "id": row_id, "valid_from": at, "body": body, "content_hash": digest}

    def _current(self, connection: sa.Connection, kinds: set[str]) -> dict[tuple[str, str], tuple[int | None, str, int]]:
        table = CATALOGUE.c
        query = sa.select(table.kind, table.id, table.version, table.content_hash, table.valid_from).where(
            table.tenant == self.tenant, table.kind.in_(sorted(kinds)), _OPEN
        )
        return {(kind, row_id): (version, digest, since) for kind, row_id, version, digest, since in connection.execute(query)}

    def _close(self, connection: sa.Connection, versions: list[int], at: int) -> None:
        if versions:
            query = sa.update(CATALOGUE).where(CATALOGUE.c.version == sa.bindparam("closed")).values(valid_to=at)
            connection.execute(query, [{"closed": version} for version in versions])


_Compiled = tuple[str, tuple[str, ...]]
"""SQL for the driver's cursor and the order of its parameters (empty: by name)."""


@lru_cache
def _history_statement(dialect: sa.Dialect) -> _Compiled:
    query = (
        sa.select(*_READ)
        .where(
            EVENTS.c.tenant == sa.bindparam("tenant"),
            EVENTS.c.learner_id == sa.bindparam("learner"),
            EVENTS.c.known_at <= sa.bindparam("bound"),
        )
        .order_by(EVENTS.c.occurred_at, EVENTS.c.seq)
    )
    return _compiled(query, dialect)


@lru_cache
def _stamp_statement(dialect: sa.Dialect) -> _Compiled:
    query = sa.select(sa.func.count(), sa.func.max(EVENTS.c.seq), sa.func.sum(EVENTS.c.seq)).where(
        EVENTS.c.tenant == sa.bindparam("tenant"), EVENTS.c.learner_id == sa.bindparam("learner")
    )
    return _compiled(query, dialect)


@lru_cache
def _learner_statement(dialect: sa.Dialect) -> _Compiled:
    return _compiled(_valid_learners().where(CATALOGUE.c.id == sa.bindparam("learner")), dialect)


@lru_cache
def _alias_statement(dialect: sa.Dialect) -> _Compiled:
    """The learners valid at a moment that have, or once had, this alias."""
    mine, called = ALIASES.c.tenant == sa.bindparam("tenant"), ALIASES.c.alias == sa.bindparam("learner")
    query = _valid_learners().where(CATALOGUE.c.id.in_(sa.select(ALIASES.c.learner_id).where(mine, called)))
    return _compiled(query.order_by(CATALOGUE.c.id), dialect)


@lru_cache
def _named_statement(dialect: sa.Dialect) -> _Compiled:
    """Some row if this learner has an alias or this name is one, none for most."""
    mine = sa.select(ALIASES.c.learner_id).where(ALIASES.c.tenant == sa.bindparam("tenant"))
    sides = [mine.where(side == sa.bindparam("learner")) for side in (ALIASES.c.learner_id, ALIASES.c.alias)]
    return _compiled(sa.union_all(*sides), dialect)  # an `or` would read all aliases of the tenant


def _valid_learners() -> sa.Select[Any]:
    moment = sa.bindparam("moment", type_=sa.BigInteger)  # the open version holds at any later moment, a closed one does not
    return sa.select(CATALOGUE.c.body).where(
        CATALOGUE.c.tenant == sa.bindparam("tenant"),
        CATALOGUE.c.kind == sa.literal_column("'learner'"),
        CATALOGUE.c.valid_from <= moment,
        sa.or_(_OPEN, CATALOGUE.c.valid_to > moment),
    )


def _compiled(query: sa.SelectBase, dialect: sa.Dialect) -> _Compiled:
    compiled = query.compile(dialect=dialect)
    return str(compiled), tuple(getattr(compiled, "positiontup", None) or ())


@lru_cache(maxsize=10_000)
def _learner(body: str) -> Learner:
    """Parsed once for each stored version, which never changes."""
    return Learner.model_validate_json(body)


def _outcome(known: dict[str, str], event_id: str, content: str) -> Outcome:
    """What this event is, given all before it; `known` learns it, so that repeats within a batch are seen too."""
    stored = known.setdefault(event_id, "")
    if not stored:
        known[event_id] = content
        return "accepted"
    return "duplicate" if stored == content else "conflict"


def _event(tenant: str, row: Any) -> Event:
    """The stored event. It was validated when it was written, so it is only put together here (half of the time)."""
    _, event_id, learner, verb, thing, occurred, recorded, decision, result, context, source, backfill, version = row
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


def _count(table: sa.Table) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(table)


def _insert_of(connection: sa.Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not in the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes the lock at once: two that begin as readers could not both go on.
    writes = connection.get_execution_options().get("nextwise_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
