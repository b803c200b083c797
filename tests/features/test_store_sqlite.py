"""What only SQLite does: how it syncs, and which index answers."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.events import Event, Verb
from features.store import EventStore
from features.store.histories import _history_statement
from features.store.learners import _learner_statement, _name_statement, _named_statement
from features.store.opening import SQLITE_CHECKPOINT, SQLITE_OFTEN

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(sqlite_url: str) -> Iterator[EventStore]:
    opened = EventStore.open(sqlite_url)
    yield opened
    opened.close()


def event(event_id: str) -> Event:
    return Event(
        tenant="acme",
        event_id=event_id,
        learner_id="ann",
        verb=Verb.STARTED,
        object_id="excel",
        occurred_at=NOON,
        recorded_at=NOON,
    )


def test_commits_are_synced_and_survive_reopening(sqlite_url: str) -> None:
    opened = EventStore.open(sqlite_url)
    with opened.engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert pragmas == ["wal", 2, 1]
    opened.tenant("acme").append([event("e1")])
    opened.close()
    again = EventStore.open(sqlite_url)
    assert again.tenant("acme").history("ann") == [event("e1")]
    again.close()


def test_a_writer_gets_on_as_soon_as_another_lets_go(store: EventStore, sqlite_url: str) -> None:
    """SQLite alone would look again after 178 ms, 228 ms and 328 ms."""
    session, late = store.tenant("acme"), list[float]()
    for number in range(3):
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        freed = list[float]()

        def let_go(held: sqlite3.Connection = other, freed: list[float] = freed) -> None:
            freed.append(time.monotonic())
            held.execute("ROLLBACK")

        timer = threading.Timer(0.235, let_go)
        timer.start()
        session.append([event(f"e{number}")])
        late.append(time.monotonic() - freed[0])
        timer.join()
        other.close()
    assert min(late) < 0.05


def test_a_settled_store_leaves_nothing_to_do_for_the_commits_of_others(store: EventStore, sqlite_url: str) -> None:
    session, file = store.tenant("acme"), Path(sqlite_url.removeprefix("sqlite:///"))
    session.append([event("one-of-a-kind")])
    assert b"one-of-a-kind" not in file.read_bytes()  # in the log
    session.settle()
    assert b"one-of-a-kind" in file.read_bytes()


@pytest.mark.parametrize(("live", "pages"), [(True, SQLITE_OFTEN), (False, SQLITE_CHECKPOINT)])
def test_where_somebody_waits_each_commit_has_little_to_move(sqlite_url: str, live: bool, pages: int) -> None:
    opened = EventStore.open(sqlite_url, live=live)
    with opened.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == pages
    opened.close()


def test_history_uses_its_index(store: EventStore) -> None:
    sql, _ = _history_statement(store.engine.dialect)
    with store.engine.connect() as connection:
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("acme", "ann", 0, 0)).all())
    assert "events_history (tenant=? AND learner_id=?)" in plan
    assert "TEMP B-TREE" not in plan


def test_looking_for_names_reads_no_table(store: EventStore) -> None:
    for statement in (_learner_statement, _named_statement, _name_statement):
        sql, order = statement(store.engine.dialect)
        with store.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (0,) * len(order)).all()
        searches = [step[-1] for step in plan if "aliases" in step[-1] or "merges" in step[-1]]
        assert searches
        by = ("(tenant=? AND learner_id=?", "(tenant=? AND alias=?", "(tenant=? AND into_id=?", "(rowid=?")
        assert all(any(key in step for key in by) for step in searches)
