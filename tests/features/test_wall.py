"""The second wall between tenants on a real PostgreSQL: what a statement that forgot its tenant sees, and may write."""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from features.catalogue import Item, Learner
from features.events import Event, Verb
from features.keys import Scope
from features.store import EVENTS, EventStore
from features.store.bulk import insert_rows
from features.store.reading import compiled
from features.store.tables import CATALOGUE, METADATA, STORED
from features.store.wall import across, enter, walled, within

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNT = sa.select(sa.func.count()).select_from(EVENTS)
"""A statement that forgot its tenant."""
ACROSS = {
    "features/backup.py": "restore: one file of all tenants",
    "features/migrate.py": "a version of the tables is one for all",
    "features/store/grants.py": "a grant joins two tenants, and belongs to who runs the installation",
    "features/store/imports.py": "whether anybody writes at the moment, for an import to make room",
    "features/store/keys.py": "a key is looked up before its tenant is known",
    "features/store/store.py": "which tenants there are",
    "features/view.py": "backup, and the erasures of a whole store",
}
"""Who works across tenants, and why. Think twice before this list grows."""


@pytest.fixture
def store(postgresql_url: str) -> Iterator[EventStore]:
    opened = EventStore.open(postgresql_url)
    for tenant, count in (("acme", 2), ("other", 3)):
        opened.tenant(tenant).append([event(f"e{n}", tenant) for n in range(count)])
        opened.tenant(tenant).put([Item(id="excel", title=tenant), Learner(id="ann")], at=NOON)
    yield opened
    opened.close()


def event(name: str, tenant: str) -> Event:
    known = {"occurred_at": NOON, "recorded_at": NOON}
    return Event(tenant=tenant, event_id=name, learner_id="ann", verb=Verb.STARTED, object_id="excel", **known)


def test_only_what_is_named_here_works_across_tenants() -> None:
    files = [path for room in ("features", "training", "serving", "experiments") for path in (ROOT / room).rglob("*.py")]
    marker = re.compile(r"wall import .*\b(across|EVERY)\b|nextwise[._]tenant")
    found = {str(path.relative_to(ROOT)) for path in files if marker.search(path.read_text("utf-8"))}
    walls = {f"features/store/migrations/{name}.py" for name in ("v0009_wall_between_tenants", "v0010_nudges")}
    assert found == {*ACROSS, "features/store/wall.py", *walls}


def test_every_table_with_a_tenant_has_its_policy(store: EventStore) -> None:
    tables = "SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid"
    with store.engine.connect() as connection:
        found = set(connection.exec_driver_sql(f"{tables} WHERE relrowsecurity AND relforcerowsecurity").scalars())
    assert found == {table.name for table in METADATA.sorted_tables if "tenant" in table.c} == set(walled())


@pytest.mark.parametrize("table", walled())
def test_a_read_that_forgot_its_tenant_gives_none_of_the_others_rows(store: EventStore, table: str) -> None:
    store.keys().add("other", "lms", [Scope.RANK], at=NOON)
    rows: sa.Select[str] = sa.select(sa.column("tenant")).select_from(sa.table(table))
    with within(store.engine, "acme").connect() as connection:
        assert set(connection.execute(rows).scalars()) <= {"acme"}
    with store.engine.connect() as connection:
        assert connection.execute(rows).all() == []


def test_the_sessions_own_transactions_stand_behind_the_wall(store: EventStore) -> None:
    acme = store.tenant("acme")
    with acme._engine.connect() as connection:
        assert connection.execute(COUNT).scalar() == 2
    with acme._writing(EVENTS) as connection:
        assert connection.execute(COUNT).scalar() == 2
    assert acme._fetch(compiled(COUNT, store.engine.dialect), {"tenant": "acme"}) == [(2,)]


def test_a_connection_that_is_used_for_another_tenant_sees_only_that(postgresql_url: str, store: EventStore) -> None:
    """One connection for all, as PgBouncer gives it out a transaction at a time: nothing stays behind on it."""
    engine = sa.create_engine(postgresql_url, pool_size=1, max_overflow=0)
    sa.event.listen(engine, "begin", enter)
    for tenant, count in (("acme", 2), ("other", 3), ("acme", 2), ("nobody", 0)):
        with within(engine, tenant).connect() as connection:
            assert connection.execute(COUNT).scalar() == count
        with engine.connect() as connection:
            assert connection.execute(COUNT).scalar() == 0
    with across(engine).connect() as connection:
        assert connection.execute(COUNT).scalar() == 5
    with pytest.raises(ZeroDivisionError), within(engine, "acme").begin() as connection:
        raise ZeroDivisionError
    with engine.connect() as connection:
        assert connection.execute(COUNT).scalar() == 0
    engine.dispose()


def test_a_single_read_leaves_nothing_on_its_connection(store: EventStore) -> None:
    assert len(store.tenant("acme").history("ann")) == 2
    with store._readers._engine.connect() as connection:
        assert connection.execute(COUNT).scalar() == 0


def test_a_row_of_another_tenant_is_not_written(store: EventStore) -> None:
    acme, theirs = store.tenant("acme"), store.tenant("other").prepare(event("e9", "other"))
    with pytest.raises(sa.exc.DBAPIError, match="row-level security"), acme._writing(EVENTS) as connection:
        connection.execute(sa.insert(EVENTS), [theirs])
    with pytest.raises(sa.exc.DBAPIError, match="row-level security"), acme._writing(EVENTS) as connection:
        insert_rows(connection, EVENTS, STORED, [tuple(theirs[name] for name in STORED)])
    assert store.tenant("other").counts().events == 3


def test_a_change_that_forgot_its_tenant_changes_none_of_the_others_rows(store: EventStore) -> None:
    with store.tenant("acme")._writing(CATALOGUE) as connection:
        assert connection.execute(sa.update(CATALOGUE).values(valid_to=0)).rowcount == 2
        assert connection.execute(sa.delete(EVENTS)).rowcount == 2
    with pytest.raises(sa.exc.DBAPIError, match="row-level security"), store.tenant("other")._writing(EVENTS) as connection:
        connection.execute(sa.update(EVENTS).values(tenant="acme"))
    other = store.tenant("other")
    assert (other.counts().events, other.catalogue().items["excel"].title) == (3, "other")


def test_a_plain_role_is_not_warned_of(store: EventStore, caplog: pytest.LogCaptureFixture) -> None:
    EventStore.open(store.engine.url.render_as_string(hide_password=False)).close()
    assert caplog.messages == []


def test_a_superuser_is_warned_once_that_it_walks_through(
    postgresql: sa.URL, store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgresql.set(database=store.engine.url.database).render_as_string(hide_password=False)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            opened = EventStore.open(url)
            assert len(opened.tenant("acme").history("ann")) == 2  # the first wall stands
            opened.close()
    (message,) = caplog.messages
    assert "does not bind the role 'postgres'" in message
