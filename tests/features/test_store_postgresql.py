"""What only a server does: it restarts, has a password, and may be absent."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from features.cli import app
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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:secret@db/events",
        "postgresql://app:secret@db:port/events",
        "postgresql://app:se/cret@db/events",
        "postgresql://app:at@secret@db/events",
        "postgresql://app@db/events?password=secret",
        "mysql://app:secret@db/events",
        "app:secret@db",
    ],
)
def test_messages_show_no_password(url: str) -> None:
    assert "cret" not in shown(url)
    with pytest.raises((ValueError, sa.exc.DBAPIError)) as error:
        EventStore.open(url.replace("@db", "@127.0.0.1:1"), wait_s=0.1).close()
    assert "secret" not in str(error.value)


def test_a_url_without_a_password_is_shown_as_it_is() -> None:
    for url in ("sqlite:///var/a@b.db", "postgresql://app@db:5432/events?host=/tmp", "no URL"):
        assert shown(url) == repr(url)


def test_a_server_that_is_down_is_no_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n")
    words = ["ingest", "--tenant", "acme", "--format", "csv", str(tmp_path / "log.csv"), "--store"]
    down = CliRunner().invoke(app, [*words, "postgresql://app:secret@127.0.0.1:1/x"])
    assert (down.exit_code, "cannot be opened" in down.stderr, "secret" in down.stderr) == (1, True, False)
    assert CliRunner().invoke(app, [*words, "postgres:x"]).exit_code == 2


def test_a_server_that_is_gone_fails_every_read_alike(store: EventStore, postgresql: sa.URL) -> None:
    session = store.tenant("acme")
    session.history("ann")
    server = sa.create_engine(postgresql, isolation_level="AUTOCOMMIT")
    name = store.engine.url.database
    with server.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
        ).all()
        for read in (session.catalogue, lambda: session.history("ann")):
            with pytest.raises(sa.exc.DBAPIError):
                read()
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    server.dispose()
    assert session.history("ann") == []


def test_without_statistics_each_id_is_looked_up_by_its_index(store: EventStore) -> None:
    """A new table has none until the server finds the time; a batch that read all rows of its tenant would take ever longer."""
    session, asked = store.tenant("acme"), list[tuple[str, Any]]()

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def listen(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        asked.append((statement, parameters))

    events = [event(f"e{n}") for n in range(3_000)]
    session.append(events)
    assert session.append(events[:10] * 2).duplicates == 20
    statement, parameters = next(one for one in asked if "content_hash FROM events" in one[0])
    with store.engine.connect() as connection:
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))
    assert "events_tenant_event_id_key" in plan


def test_no_plan_is_kept_from_when_a_table_was_small(store: EventStore) -> None:
    """Such a plan reads the whole table for each id, once an import has filled it and before it has statistics."""
    session = store.tenant("acme")
    for number in range(20):
        session.append([event(f"e{number}")])
        session.history("ann")
    kept = "SELECT sum(custom_plans) > 0, sum(generic_plans) FROM pg_prepared_statements WHERE statement LIKE '%%FROM events%%'"
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql(kept).one() == (True, 0)
    assert session._fetch((kept, ()), {}) == [(True, 0)]
