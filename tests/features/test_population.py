"""Population tables against plain Python counts over the same events."""

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from features import lake, population
from features.catalogue import Item, Learner, Skill
from features.cli import PopulationTable, app
from features.events import INTERACTION_VERBS, Event, Verb
from features.population import Population
from features.store import EventStore

START = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 4, 1, tzinfo=UTC)


def logged() -> list[Event]:
    draw = random.Random(7)
    verbs = [Verb.SHOWN, Verb.STARTED, Verb.STARTED, Verb.COMPLETED, Verb.PASSED, Verb.SAVED]
    found = [Event.model_validate(_row(n, draw, verbs)) for n in range(300)]
    # The last and first instants of a month in UTC: other zones put them into another month.
    edges = [datetime(2026, 1, 31, 23, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)]
    return [e.model_copy(update={"occurred_at": at}) for e, at in zip(found[:2], edges, strict=True)] + found[2:]


def _row(n: int, draw: random.Random, verbs: list[Verb]) -> dict[str, Any]:
    at = START + timedelta(minutes=draw.randrange(90 * 24 * 60))
    body = {"tenant": "acme", "event_id": str(n), "occurred_at": at, "recorded_at": UNTIL, "backfill": True}
    return {**body, "verb": draw.choice(verbs), "learner_id": f"l{draw.randrange(9)}", "object_id": f"i{draw.randrange(6)}"}


EVENTS = logged()
TAKEN = [e for e in EVENTS if e.verb in INTERACTION_VERBS]
AUDIENCE = {f"l{n}": ("staff", "guests", None)[n % 3] for n in range(9)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("population")


@pytest.fixture(scope="module")
def acme(folder: Path) -> Population:
    store = EventStore.open(f"sqlite:///{folder}/events.db")
    session = store.tenant("acme")
    session.append(EVENTS)
    session.put([Learner(id=who, audiences=(name, "all") if name else ()) for who, name in AUDIENCE.items()], at=START)
    session.put([Item(id="i0", title="I", skills={"sql": 2, "dax": 1}), Item(id="i1", title="I", skills={"sql": 3})], at=START)
    session.put([Skill(id=name, name=name) for name in ("sql", "dax", "untaught")], at=START)
    lake.materialize(session, folder / "lake")
    store.close()
    return population.connect(folder / "lake", "acme")


def rows(table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
    return found


def learners_by(key: Any) -> dict[Any, set[str]]:
    found: dict[Any, set[str]] = defaultdict(set)
    for e in TAKEN:
        found[key(e)].add(e.learner_id)
    return found


def test_verb_counts(acme: Population) -> None:
    assert {row["verb"]: row["events"] for row in rows(population.verb_counts(acme.events))} == Counter(e.verb for e in EVENTS)


def test_popularity_counts_learners_once(acme: Population) -> None:
    expected = {item: len(who) for item, who in learners_by(lambda e: e.object_id).items()}
    found = rows(population.popularity(acme.events))
    assert {row["item_id"]: row["learners"] for row in found} == expected
    assert found == sorted(found, key=lambda row: (-row["learners"], row["item_id"]))


def test_recent_popularity_halves_with_each_half_life(acme: Population) -> None:
    latest: dict[tuple[str, str], datetime] = {}
    for e in TAKEN:
        key = e.object_id, e.learner_id
        latest[key] = max(latest.get(key, START), e.occurred_at)
    expected: dict[str, float] = defaultdict(float)
    for (item, _), at in latest.items():
        expected[item] += 0.5 ** ((UNTIL - at) / timedelta(days=30))
    found = rows(population.recent_popularity(acme.events, until=UNTIL, half_life_days=30))
    assert {row["item_id"]: row["weight"] for row in found} == pytest.approx(expected, rel=1e-9)


def test_a_half_life_must_be_positive(acme: Population) -> None:
    with pytest.raises(ValueError, match="half_life_days must be above 0"):
        population.recent_popularity(acme.events, until=UNTIL, half_life_days=0)


def test_popularity_by_the_first_audience(acme: Population) -> None:
    by_audience = learners_by(lambda e: (AUDIENCE[e.learner_id], e.object_id))
    expected = {key: len(who) for key, who in by_audience.items() if key[0]}
    found = rows(population.popularity_by_audience(acme.events, acme.snapshots["learners"]))
    assert {(row["audience"], row["item_id"]): row["learners"] for row in found} == expected


def test_completion_is_the_share_of_learners_who_finished(acme: Population) -> None:
    finished: dict[str, set[str]] = defaultdict(set)
    for e in TAKEN:
        if e.verb in {Verb.COMPLETED, Verb.PASSED}:
            finished[e.object_id].add(e.learner_id)
    expected = {item: (len(who), len(finished[item])) for item, who in learners_by(lambda e: e.object_id).items()}
    found = rows(population.completion(acme.events))
    assert {row["item_id"]: (row["learners"], row["finished"]) for row in found} == expected
    assert all(row["rate"] == row["finished"] / row["learners"] for row in found)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_months_are_utc_wherever_the_machine_stands(acme: Population, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    months = learners_by(lambda e: (e.occurred_at.year, e.occurred_at.month))
    found = rows(population.active_learners(acme.events))
    assert {(row["year"], row["month"]): row["learners"] for row in found} == {key: len(who) for key, who in months.items()}


def test_skill_coverage_shows_what_nothing_teaches(acme: Population) -> None:
    assert rows(population.skill_coverage(acme.snapshots["skills"], acme.snapshots["item_skills"])) == [
        {"skill_id": "dax", "items": 1, "highest": 1.0},
        {"skill_id": "sql", "items": 2, "highest": 3.0},
        {"skill_id": "untaught", "items": 0, "highest": None},
    ]


def test_a_tenant_without_a_lake_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="materialize --tenant acme"):
        population.connect(tmp_path, "acme")


@pytest.mark.parametrize("table", list(PopulationTable))
def test_the_command_prints_every_table(table: PopulationTable, acme: Population, folder: Path) -> None:
    expected = population.TABLES[table.value](acme).to_pyarrow().to_pandas()
    found = CliRunner().invoke(app, ["population", table.value, "--tenant", "acme", "--lake", str(folder / "lake"), "--csv"])
    assert found.exit_code == 0
    assert found.output == expected.to_csv(index=False)


def test_every_table_has_a_name_on_the_command_line() -> None:
    assert {table.value for table in PopulationTable} == set(population.TABLES)
