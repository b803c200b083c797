"""What only a server does: it restarts, has a password, and may be absent."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from features.events import Event, Verb
from features.store import EventStore
from features.store.histories import _history_statement
from features.store.opening import shown

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(postgresql_url: str) -> Iterator[EventStore]:
    opened = EventStore.open(postgresql_url)
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


def test_connections_that_the_server_closed_cost_no_request(store: EventStore, postgresql: sa.URL) -> None:
    session = store.tenant("acme")
    session.append([event("e1")])
    assert len(session.history("ann")) == 1
    server = sa.create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        name = store.engine.url.database
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        assert connection.exec_driver_sql(query, (name,)).scalar_one() >= 2
    server.dispose()
    assert len(session.history("ann")) == 1
    assert session.append([event("e2")]).accepted == 1


def test_reading_leaves_no_transaction_open(store: EventStore) -> None:
    store.tenant("acme").history("ann")
    with store.engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
        assert connection.exec_driver_sql(query).scalar_one() == 0


def test_history_uses_its_index(store: EventStore) -> None:
    sql, _ = _history_statement(store.engine.dialect)
    store.tenant("acme").append([event(str(n)).model_copy(update={"learner_id": str(n)}) for n in range(1000)])
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE events")
        given = {"tenant": "acme", "learner": "ann", "bound": 0}
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {sql}", given).scalars())
    assert "events_history" in plan


def test_a_url_without_a_driver_is_enough(postgresql_url: str) -> None:
    opened = EventStore.open(postgresql_url.replace("postgresql+psycopg:", "postgresql:"))
    assert opened.tenants() == ()
    opened.close()


def test_no_other_database_is_tried() -> None:
    with pytest.raises(ValueError, match="no store on 'mysql'"):
        EventStore.open("mysql://host/events")


def test_messages_show_no_password() -> None:
    assert shown("postgresql://app:secret@db/events") == "'postgresql://app:***@db/events'"
    assert "no URL" in shown("no URL")
