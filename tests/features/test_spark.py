"""One expression, two engines; one lake, two writers. Needs Java 17 and PySpark (`make spark`), skipped where absent."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features import columns, lake, population, spark
from features.catalogue import Item, Learner, Skill
from features.cli import app
from features.events import Event, Verb
from features.partitions import LakeError
from features.population import Population
from features.spark import SparkError
from features.store import EventStore, TenantSession
from features.synthetic.organisation import generate
from features.synthetic.parameters import load

pytest.importorskip("pyspark", reason="no PySpark: make spark")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="no Java on the path: Spark needs Java 17"),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark.*", "ignore::ResourceWarning"),
]

START = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = {**population.TABLES, "recent": lambda of: population.recent_popularity(of.events, until=UNTIL, half_life_days=30)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spark")


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[EventStore]:
    """`edges`: made by hand; `empty`: nothing; `demo`: the embedded organisation with few learners."""
    opened = EventStore.open(f"sqlite:///{folder}/events.db")
    edges, demo = opened.tenant("edges"), opened.tenant("demo")
    edges.put(catalogue(), at=START)
    edges.append(events())
    found = organisation()
    demo.put([*found.skills, *found.items, *found.roles, *found.learners], at=START)
    for start in range(0, len(found.events), 1000):
        demo.append(found.events[start : start + 1000])
    for name in ("edges", "demo", "empty"):
        lake.materialize(opened.tenant(name), folder / "lake")
    yield opened
    opened.close()


def organisation() -> Any:
    body = load().model_dump()
    body["people"]["learners"] = 60
    body["catalogue"]["items"] = 120
    body["activity"] |= {"takes_mean": 8.0, "takes_max": 20}
    body["recommending"]["slates"] = 60
    body["duties"]["individual"] = 10
    return generate(type(load()).model_validate(body))


def catalogue() -> list[Any]:
    people = [Learner(id="ann", audiences=("staff", "all")), Learner(id="bob", audiences=("guests",)), Learner(id="cem")]
    items = [Item(id="é", title="I", skills={"sql": 2, "dax": 1}), Item(id="z", title="I", skills={"sql": 3})]
    return [*people, *items, *(Skill(id=name, name=name) for name in ("sql", "dax", "untaught"))]


def events() -> list[Event]:
    """Ties in popularity, ids out of ASCII, no audience, unknown learners, the edges of months, equal times, odd contexts."""
    edges = [datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), START]
    rows = [(who, what, at) for at in edges for who in ("ann", "bob", "cem", "zoe") for what in ("z", "é", "Z", "10", "9")]
    rows = [row for n, row in enumerate(rows) if n % 7]
    verbs = [Verb.STARTED, Verb.COMPLETED, Verb.SHOWN, Verb.PASSED, Verb.PROGRESSED]
    return [_event(n, verbs[n % 5], *row) for n, row in enumerate(rows)]


def _event(n: int, verb: Verb, who: str, what: str, at: datetime) -> Event:
    body: dict[str, Any] = {"tenant": "edges", "event_id": str(n), "learner_id": who, "object_id": what, "verb": verb}
    more = {"result": {"score": n / 200, "completion": n % 2 == 0}, "context": {"ü": [n, None]}} if n % 3 else {}
    return Event.model_validate({**body, "occurred_at": at, "recorded_at": at, **more})


@pytest.fixture(scope="module")
def connected(store: EventStore, folder: Path) -> Mapping[tuple[str, str], Population]:
    both = [(tenant, engine) for tenant in ("edges", "demo", "empty") for engine in ("duckdb", "spark")]
    return {key: population.connect(folder / "lake", key[0], engine=key[1]) for key in both}  # type: ignore[arg-type]


@pytest.mark.parametrize("tenant", ["edges", "demo", "empty"])
@pytest.mark.parametrize("name", TABLES)
def test_both_engines_give_the_same_rows(connected: Mapping[tuple[str, str], Population], tenant: str, name: str) -> None:
    duckdb, ours = (connected[tenant, engine] for engine in ("duckdb", "spark"))
    expected, found = (of.fetch(TABLES[name](of)) for of in (duckdb, ours))
    assert found.schema == expected.schema
    assert found.num_rows == expected.num_rows > (-1 if tenant == "empty" else 0)
    if name == "recent":  # powers and sums of floats: to the last bits, with ties in either order
        weights = [{row["item_id"]: row["weight"] for row in table.to_pylist()} for table in (found, expected)]
        assert weights[0] == pytest.approx(weights[1], rel=1e-12)
    else:
        assert found.to_pylist() == expected.to_pylist()


def by_spark(store: EventStore, folder: Path, **more: Any) -> lake.WriteDays:
    return spark.write_days(spark.session(), f"sqlite:///{folder}/events.db", **more)


def test_both_writers_make_the_same_lake(store: EventStore, folder: Path, tmp_path: Path) -> None:
    written = lake.materialize(store.tenant("edges"), tmp_path, write=by_spark(store, folder, hours=6))
    assert written.digest == lake.materialize(store.tenant("edges"), folder / "lake").digest
    assert lake.read_events(tmp_path, "edges").equals(lake.read_events(folder / "lake", "edges"))
    day = lake.day_path(tmp_path, "edges", "2026-01-31")
    assert pq.read_schema(day).remove_metadata() == pq.read_schema(lake.day_path(folder / "lake", "edges", "2026-01-31"))
    assert pq.read_schema(day).field("occurred_at").type == pa.timestamp("us", tz="UTC")
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (folder / "lake").iterdir()}


def test_writers_take_turns(tmp_path: Path) -> None:
    """Days that Spark wrote stay as they are; one with news, whose rows come late and out of order, is sorted again."""
    opened = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    session, late = opened.tenant("edges"), _event(99, Verb.STARTED, "ann", "z", START + DAY)
    session.append(events())
    lake.materialize(session, tmp_path / "both", write=by_spark(opened, tmp_path))
    session.append([late, _event(100, Verb.STARTED, "bob", "z", START)])
    report = lake.materialize(session, tmp_path / "both", write=by_spark(opened, tmp_path))
    assert report.days_written == 2
    assert report.digest == lake.materialize(session, tmp_path / "one").digest
    assert lake.materialize(session, tmp_path / "both").days_written == 0
    opened.close()


def test_what_arrives_while_spark_reads_belongs_to_the_next_run(tmp_path: Path) -> None:
    opened = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    session = opened.tenant("edges")
    session.append(events()[:5])

    def meanwhile(session: TenantSession, folder: Path, days: Sequence[date], watermark: int) -> None:
        session.append(events()[5:])
        by_spark(opened, tmp_path)(session, folder, days, watermark)

    assert lake.materialize(session, tmp_path / "lake", write=meanwhile).events == 5
    assert lake.materialize(session, tmp_path / "lake").events == len(events())
    opened.close()


def test_workers_that_open_another_store_write_nothing(store: EventStore, folder: Path, tmp_path: Path) -> None:
    write = spark.write_days(spark.session(), f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(SparkError, match=r"could not write the days: ValueError: a worker found no event \d+ of edges"):
        lake.materialize(store.tenant("edges"), tmp_path / "lake", write=write)
    assert not list((tmp_path / "lake").glob(".spark-*"))
    with pytest.raises(LakeError, match="no lake of tenant 'edges'"):
        lake.read_events(tmp_path / "lake", "edges")


def test_the_commands_take_an_engine(store: EventStore, folder: Path, tmp_path: Path) -> None:
    url, target = f"sqlite:///{folder}/events.db", str(tmp_path)
    run = CliRunner().invoke
    done = run(app, ["materialize", "--tenant", "edges", "--store", url, "--lake", target, "--engine", "spark"])
    assert "PASS  lake: 51 events in 3 days" in done.output  # that edges has unknown items fails another check
    shown = [
        run(app, ["population", "completion", "--tenant", "edges", "--lake", target, "--csv", "--engine", engine])
        for engine in ("duckdb", "spark")
    ]
    assert shown[0].output == shown[1].output
    assert shown[0].output.startswith("item_id,learners,finished,rate\n10,")


@pytest.mark.parametrize("hours", [0, 5, 25])
def test_slices_end_with_the_day(hours: int) -> None:
    with pytest.raises(ValueError, match=f"hours must divide 24, not {hours}"):
        spark.write_days(spark.session(), "sqlite:///any.db", hours=hours)


def test_every_type_of_the_lake_has_a_name_in_spark() -> None:
    for names in (columns.EVENT, *lake.SNAPSHOTS.values()):
        assert spark.ddl(names).count(",") == len(names) - 1


def test_without_pyspark_the_error_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyspark.sql", None)
    with pytest.raises(SparkError, match="Spark needs Java 17 and PySpark: install a Java 17 and run `make spark`"):
        spark.session()
