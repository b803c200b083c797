"""What follows from the declaration: dbt sources whose every test holds on an organisation, views, the version."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from features.decisions import Decision, Randomisation, Row, SlateItem
from features.events import Verb
from features.ingest import ingest
from features.readers import read
from features.star import texts
from features.star.key import Key
from features.star.schema import PRIVACY, TABLES, VERSION
from features.star.write import write_star
from features.store import EventStore, TenantSession
from features.synthetic import synthesize
from features.synthetic.parameters import EMBEDDED

NOW = datetime(2026, 11, 2, tzinfo=UTC)
DECLARED = {1: "f985b1dc6303d75d"}
"""The digest of what is declared at each version, but for its words."""


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The star of a small embedded organisation, half of whose past slates are stored as decisions."""
    folder = tmp_path_factory.mktemp("star")
    small = EMBEDDED.read_text("utf-8").replace("learners = 1500", "learners = 30").replace("= 2025-09-01", "= 2026-07-01")
    (folder / "small.toml").write_text(small, "utf-8")
    synthesize(folder / "organisation", folder / "small.toml", 7)
    store = EventStore.open(f"sqlite:///{folder}/events.db")
    session = store.tenant("demo")
    reading = read("events", folder / "organisation", tenant="demo", timezone=None, now=NOW)
    ingest(session, reading, now=NOW, skip_bad=False, advance=lambda rows: None)
    session.record(list(_decisions(session))[::2])
    write_star(session, folder / "lake", folder / "out", Key(b"k" * 32), now=NOW)
    store.close()
    return folder / "out" / "demo"


def _decisions(session: TenantSession) -> Iterator[Decision]:
    """What was shown, as the decisions that it names."""
    slates: dict[str, list[Any]] = {}
    for _, event in session.events():
        if event.verb is Verb.SHOWN and event.decision_id is not None:
            slates.setdefault(event.decision_id, []).append(event)
    for name, shown in slates.items():
        items = tuple(
            SlateItem(item_id=one.object_id, position=place, score=0.0, propensity=1.0, source="past")
            for place, one in enumerate(shown)
        )
        given = {"decision_id": name, "tenant": "demo", "learner_id": shown[0].learner_id, "decided_at": shown[0].occurred_at}
        rows = (Row(title="Next", items=items),)
        yield Decision(**given, bundle="b", policy="p", randomisation=Randomisation(epsilon=0, seed=0, support=0), rows=rows)


@pytest.fixture
def views(star: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as found:
        found.execute(f"SET file_search_path = '{star}'")
        found.execute((star / "views.sql").read_text("utf-8"))
        yield found


def source(star: Path) -> dict[str, Any]:
    (found,) = yaml.safe_load((star / "sources.yml").read_text("utf-8"))["sources"]
    assert isinstance(found, dict)
    return found


def promised(column: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(test, arguments) of each test of a column, whichever way dbt lets it be written."""
    for test in column.get("data_tests", ()):
        if isinstance(test, str):
            yield test, {}
        else:
            ((name, said),) = test.items()
            yield name, said["arguments"]


def failing(table: str, column: str, test: str, given: dict[str, Any]) -> str:
    """The rows that fail a test, as the four tests of dbt select them."""
    if test == "unique":
        return f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) > 1"
    if test == "not_null":
        return f"SELECT * FROM {table} WHERE {column} IS NULL"
    if test == "accepted_values":
        values = ", ".join(f"'{value}'" for value in given["values"])
        return f"SELECT * FROM {table} WHERE {column} NOT IN ({values})"
    assert test == "relationships"
    found = re.fullmatch(r"source\('nextwise', '(\w+)'\)", given["to"])
    assert found is not None
    parent = f"SELECT {given['field']} AS it FROM nextwise.{found[1]}"
    lost = f"child LEFT JOIN ({parent}) AS parent ON child.{column} = parent.it WHERE child.{column} IS NOT NULL"
    return f"SELECT * FROM {table} AS {lost} AND parent.it IS NULL"


def test_every_test_of_the_dbt_sources_holds(star: Path, views: duckdb.DuckDBPyConnection) -> None:
    ran = []
    for table in source(star)["tables"]:
        for column in table["columns"]:
            for test, given in promised(column):
                found = views.execute(failing(f"nextwise.{table['name']}", column["name"], test, given)).fetchmany(3)
                assert not found, f"{test} of {table['name']}.{column['name']}: {found}"
                ran.append(test)
    assert {test: ran.count(test) for test in set(ran)} == {
        "unique": 8,
        "not_null": sum(not column.null for table in TABLES for column in table.columns),
        "accepted_values": 7,
        "relationships": 14,
    }


@pytest.mark.parametrize(
    ("table", "column", "spoilt"),
    [
        ("event", "event_key", "SELECT * FROM event UNION ALL (FROM event LIMIT 1)"),
        ("event", "verb", "SELECT * REPLACE ('slept' AS verb) FROM event"),
        ("event", "learner_key", "SELECT * REPLACE ('nobody' AS learner_key) FROM event"),
        ("event", "occurred_at", "SELECT * REPLACE (NULL AS occurred_at) FROM event"),
    ],
)
def test_each_of_the_four_tests_can_fail(
    star: Path, views: duckdb.DuckDBPyConnection, table: str, column: str, spoilt: str
) -> None:
    views.execute(f"CREATE TEMP TABLE spoilt AS WITH event AS (FROM nextwise.{table}) {spoilt}")
    columns = {one["name"]: one for found in source(star)["tables"] if found["name"] == table for one in found["columns"]}
    broken = [
        test for test, given in promised(columns[column]) if views.execute(failing("spoilt", column, test, given)).fetchall()
    ]
    assert broken


def test_the_organisation_has_rows_in_every_table_and_slates_that_were_seen(views: duckdb.DuckDBPyConnection) -> None:
    for table in TABLES:
        assert views.execute(f"SELECT count(*) > 0 FROM nextwise.{table.name}").fetchone() == (True,), table.name
    seen = views.execute("SELECT count(decision_item) > 0, count(*) > count(decision_item) FROM nextwise.exposure").fetchone()
    assert seen == (True, True)


def test_views_have_the_declared_columns_and_types_and_say_what_they_are(views: duckdb.DuckDBPyConnection) -> None:
    asked = "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = 'nextwise' AND table_name = ?"
    for table in TABLES:
        found = views.execute(f"{asked} ORDER BY column_index", [table.name]).fetchall()
        declared = [(one.name, texts._SQL[one.kind], f"{one.words} [{one.privacy}]") for one in table.columns]
        assert found == declared
    now = views.execute(
        "SELECT count(*) = count(DISTINCT learner_key), bool_and(is_current) FROM nextwise.learner_now"
    ).fetchone()
    assert now == (True, True)


def test_the_dbt_source_describes_every_column_and_tags_its_privacy(star: Path) -> None:
    found = source(star)
    assert found["config"]["meta"]["schema_version"] == VERSION
    assert [table["name"] for table in found["tables"]] == [table.name for table in TABLES]
    for said, table in zip(found["tables"], TABLES, strict=True):
        assert said["description"] == table.words
        assert [(one["name"], one["description"]) for one in said["columns"]] == [
            (one.name, one.words) for one in table.columns
        ]
        assert {one["config"]["meta"]["privacy"] for one in said["columns"]} <= set(PRIVACY)


def test_a_change_of_the_declaration_is_a_new_version() -> None:
    """Where this fails: raise `VERSION`, add its digest here, and say in the changelog what changed."""
    said = [(table.name, table.by, [replace(column, words="") for column in table.columns]) for table in TABLES]
    assert hashlib.sha256(repr(said).encode()).hexdigest()[:16] == DECLARED[VERSION]


def test_every_reference_names_a_column_of_the_declaration() -> None:
    names = {f"{table.name}.{column.name}" for table in TABLES for column in table.columns}
    assert {column.refers for table in TABLES for column in table.columns if column.refers} <= names
