"""Versions of the tables: the way from each one to the newest keeps every row and ends where a new store begins."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from features.audit import INSTALLATION
from features.backup import back_up, restore
from features.catalogue import Learner
from features.cli import app
from features.migrate import migrate, upgrade
from features.store import EventStore, SchemaError
from features.store.opening import connect
from features.store.tables import METADATA
from features.store.versions import KNOWN, NEWEST
from features.store.wall import across
from features.xapi.actors import Agent
from features.xapi.meaning import learner_of
from features.xapi.mentions import mentioned

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MICROSECONDS = int(NOON.timestamp()) * 1_000_000
ROWS: dict[str, tuple[dict[str, Any], ...]] = {
    "events": tuple(
        {
            "seq": seq,
            "tenant": "acme",
            "event_id": f"e{seq}",
            "learner_id": "a-1",
            "verb": "completed",
            "object_id": "excel",
            "occurred_at": MICROSECONDS + seq,
            "recorded_at": MICROSECONDS + seq,
            "known_at": MICROSECONDS + seq,
            "context": "{}",
            "source": "api",
            "backfill": 0,
            "schema_version": 1,
            "content_hash": "0" * 64,
        }
        for seq in (1, 2)
    ),
    "catalogue": (
        {
            "version": 1,
            "tenant": "acme",
            "kind": "learner",
            "id": "ann",
            "valid_from": MICROSECONDS,
            "body": Learner(id="ann", aliases=("a-1",)).model_dump_json(),
            "content_hash": "1",
        },
    ),
    "imports": ({"seq": 1, "tenant": "acme", "body": "{}"},),
}
"""What an older program stored; it did not write aliases down."""


TRIGGERS = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
    "postgresql": "SELECT pg_get_triggerdef(oid) || pg_get_functiondef(tgfoid) FROM pg_trigger WHERE NOT tgisinternal",
}


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    opened, _ = connect(store_url, wait_s=10)
    yield across(opened)
    opened.dispose()


def at_version(engine: sa.Engine, wanted: str, *, numbered: bool = True) -> None:
    """A store as the program of that version left it."""
    with engine.begin() as connection:
        upgrade(connection, wanted)
        for table, rows in ROWS.items():
            named = sa.table(table, *(sa.column(name) for name in rows[0]))
            connection.execute(sa.insert(named), list(rows))
        if not numbered:
            connection.execute(sa.text("DROP TABLE alembic_version"))


def options(index: Any) -> list[str]:
    return sorted(f"{name} {value}" for name, value in index.get("dialect_options", {}).items())


def schema(engine: sa.Engine) -> dict[str, Any]:
    """Everything about the tables that a statement can notice."""
    found = sa.inspect(engine)
    tables = {}
    for name in found.get_table_names():
        columns = [
            (c["name"], repr(c["type"]), c["nullable"], str(c["default"]), bool(c.get("autoincrement")))
            for c in found.get_columns(name)
        ]
        indexes = sorted(str((i["name"], i["column_names"], i["unique"], options(i))) for i in found.get_indexes(name))
        unique = sorted(str(one["column_names"]) for one in found.get_unique_constraints(name))
        tables[name] = (columns, indexes, unique, found.get_pk_constraint(name)["constrained_columns"])
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            sql = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name")
            tables["AUTOINCREMENT"] = tuple(sql.scalars())
    with engine.connect() as connection:
        tables["TRIGGERS"] = tuple(connection.exec_driver_sql(TRIGGERS[engine.dialect.name]).scalars())
    assert tables["TRIGGERS"] or "audit" not in tables
    if engine.dialect.name != "sqlite":
        with engine.connect() as connection:
            policies = connection.exec_driver_sql(
                "SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies ORDER BY 1"
            )
            forced = connection.exec_driver_sql("SELECT relname FROM pg_class WHERE relforcerowsecurity ORDER BY 1")
            tables["WALL"] = (tuple(policies), tuple(forced))
    return tables


def test_the_migrations_end_where_a_new_store_begins(engine: sa.Engine, store_url: str, tmp_path: Path) -> None:
    with engine.begin() as connection:
        upgrade(connection, NEWEST)
    migrated = schema(engine)
    with engine.begin() as connection:
        for name in sa.inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {name}")
    EventStore.open(store_url).close()
    assert schema(engine) == migrated
    own = ["AUTOINCREMENT"] if store_url.startswith("sqlite") else ["WALL"]
    assert set(migrated) == {*METADATA.tables, "TRIGGERS", *own}


@pytest.mark.parametrize("wanted", [*KNOWN, "unnumbered"])
def test_from_every_version_all_rows_are_kept(engine: sa.Engine, store_url: str, wanted: str) -> None:
    before = KNOWN[0] if wanted == "unnumbered" else wanted
    at_version(engine, before, numbered=wanted != "unnumbered")
    found = migrate(store_url)
    assert (found.before, found.after) == (before, NEWEST)
    with engine.connect() as connection:
        for table, rows in ROWS.items():
            named = sa.table(table, *(sa.column(name) for name in rows[0]))
            assert [dict(row) for row in connection.execute(sa.select(named)).mappings()] == list(rows)
    opened = EventStore.open(store_url)
    session = opened.tenant("acme")
    assert [event.event_id for event in session.history("a-1")] == ["e1", "e2"]
    if before < "0004":
        assert [event.event_id for event in session.history("ann")] == ["e1", "e2"]
    told = [(row.action, row.details) for row in opened.tenant(INSTALLATION).audit()]
    assert told == ([] if before == NEWEST else [("migrated", f'{{"after":"{NEWEST}","before":"{before}"}}')])
    opened.close()
    assert migrate(store_url).before == NEWEST


def test_statements_that_are_stored_already_get_their_learner_as_their_events_have_it(
    engine: sa.Engine, store_url: str
) -> None:
    long = f"https://lms.example/{'x' * 300}"
    agents: list[dict[str, Any]] = [
        {"mbox": "mailto:Ann@acme.example"},
        {"objectType": "Agent", "mbox_sha1sum": "AB" * 20},
        {"account": {"homePage": "https://lms.example", "name": "ann"}},
        {"openid": long},
        {"objectType": "Group", "mbox": "mailto:team@acme.example"},
    ]
    others: list[dict[str, Any]] = [{"context": {"instructor": agents[0]}}, {"object": agents[1]}, {}, {}, {}]
    agents[-1]["member"] = [agents[2]]
    rows = [
        {"tenant": "acme", "statement_id": f"s{n}", "stored_at": n, "event": 0}
        | {"body": json.dumps({"actor": agent, **others[n]})}
        for n, agent in enumerate(agents)
    ]
    with engine.begin() as connection:
        upgrade(connection, "0005")
        named = sa.table("statements", *(sa.column(name) for name in (*rows[0], "content_hash")))
        connection.execute(sa.insert(named), [row | {"content_hash": "0"} for row in rows])
    migrate(store_url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT learner_id FROM statements ORDER BY seq").scalars().all()
        named = connection.exec_driver_sql("SELECT statement_id, learner_id FROM mentions ORDER BY statement_id").all()
    assert found == [*(learner_of(Agent.model_validate(agent)) for agent in agents[:-1]), None]
    bodies = {row["statement_id"]: json.loads(row["body"]) for row in rows}
    assert [tuple(row) for row in named] == [(name, who) for name, body in bodies.items() for who in mentioned(body)]
    assert len(named) == 3


def test_an_older_store_is_not_opened_and_the_message_names_the_command(engine: sa.Engine, store_url: str) -> None:
    at_version(engine, "0002")
    with pytest.raises(SchemaError, match=f"of version 0002, this program works with {NEWEST}.*python -m features migrate"):
        EventStore.open(store_url)
    done = CliRunner().invoke(app, ["migrate", "--store", store_url])
    assert (done.exit_code, done.output) == (0, f"The store was brought from version 0002 to {NEWEST}.\n")
    again = CliRunner().invoke(app, ["migrate", "--store", store_url, "--json"])
    assert again.output == f'{{"before": "{NEWEST}", "after": "{NEWEST}"}}\n'
    EventStore.open(store_url).close()


def test_a_newer_store_is_refused_by_name(store_url: str) -> None:
    opened = EventStore.open(store_url)
    with opened.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0999'"))
    opened.close()
    for refused in (EventStore.open, migrate):
        with pytest.raises(SchemaError, match="of version 0999, newer than this program"):
            refused(store_url)


def test_a_migration_that_fails_changes_nothing(engine: sa.Engine, store_url: str) -> None:
    at_version(engine, "0001")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE catalogue SET body = 'no json'"))
    before = schema(engine)
    with pytest.raises(ValueError, match="Expecting value"):
        migrate(store_url)
    assert schema(engine) == before
    with pytest.raises(SchemaError, match="of version 0001"):
        EventStore.open(store_url)


def test_where_nothing_is_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no store"):
        migrate(f"sqlite:///{tmp_path}/none.db")
    assert list(tmp_path.iterdir()) == []


def test_an_older_backup_is_restored_as_the_newest_version(engine: sa.Engine, store_url: str, tmp_path: Path) -> None:
    from features.archive import new_archive
    from features.backup import _header, _table, _write_table

    at_version(engine, "0001")
    with engine.connect() as connection, new_archive(tmp_path / "old.gz") as lines:  # as the program of then wrote it
        lines.write(_header(connection, "0001", None, ("events", "catalogue", "decisions", "imports")))
        names = ("events", "catalogue", "aliases", "decisions", "imports")
        rows = {name: _write_table(connection, _table(connection, name), None, lines, lambda _: None) for name in names}
        digest = lines.digest()
        lines.write({"rows": rows, "sha256": digest})
    url = f"sqlite:///{tmp_path}/restored.db"
    assert restore(tmp_path / "old.gz", url).version == "0001"
    opened = EventStore.open(url)
    assert [event.event_id for event in opened.tenant("acme").history("ann")] == ["e1", "e2"]
    opened.close()
    assert back_up(url, tmp_path / "new.gz").version == NEWEST
    with pytest.raises(ValueError, match="has rows"):
        restore(tmp_path / "old.gz", url)


def test_several_processes_open_a_new_store_at_once(store_url: str) -> None:
    code = f"from features.store import EventStore; s = EventStore.open({store_url!r}); print(s.tenants()); s.close()"
    started = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    errors = [process.communicate()[1].decode() for process in started]
    assert ([process.returncode for process in started], errors) == ([0] * 3, [""] * 3)


def test_serving_does_not_need_alembic(sqlite_url: str) -> None:
    opening = f"import sys; from features.store import EventStore; EventStore.open({sqlite_url!r}).close()"
    code = f"{opening}; print('alembic' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
