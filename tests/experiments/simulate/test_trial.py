"""An experiment in a small organisation, through the ranking pipeline and the store to a verdict."""

from pathlib import Path

import pytest

from benchmarks.calibrate_trials import publish, small
from experiments.assignment.phases import read_record, record_file
from experiments.simulate.scenario import SCENARIOS, Scenario, ScenarioError, scenario
from experiments.simulate.served import UnservedError
from experiments.simulate.trial import Place, Trialled, run
from experiments.stored import read_stored
from features.events import Verb
from features.lake import materialize
from features.store import EventStore
from features.synthetic.parameters import Parameters


@pytest.fixture(scope="module")
def shape() -> Parameters:
    return small()


@pytest.fixture(scope="module")
def bundles(shape: Parameters, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    publish(shape, folder)
    return folder


@pytest.fixture(scope="module")
def place(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("trial"), bundles, "demo")


@pytest.fixture(scope="module")
def happened(place: Place, shape: Parameters) -> Trialled:
    return run(SCENARIOS["beneficial"], place, shape, days=28, seed=3)


def test_decisions_carry_arms_and_propensities_and_events_their_ids(place: Place, happened: Trialled) -> None:
    store = EventStore.open(place.store)
    session = store.tenant("demo")
    decisions = {one.decision_id: one for _, one in session.decisions()}
    events = [one for _, one in session.events() if one.source == "simulated"]
    store.close()
    assert len(decisions) == happened.decisions > 20
    assert len(events) == happened.events
    assert {one.arms.get("beneficial") for one in decisions.values()} >= {"control", "treatment"}
    assert any(item.propensity < 1 for one in decisions.values() for item in one.slate)
    named = [one for one in events if one.decision_id is not None]
    assert {one.verb for one in named} >= {Verb.SHOWN, Verb.STARTED, Verb.COMPLETED}
    for one in named:
        assert one.object_id in {item.item_id for item in decisions[str(one.decision_id)].slate}
        assert one.learner_id == decisions[str(one.decision_id)].learner_id
        assert not one.backfill


def test_who_comes_again_is_ranked_by_what_they_did(place: Place, happened: Trialled) -> None:
    """A decision reads the events that the experiment made before it, and does not show again what was finished."""
    store = EventStore.open(place.store)
    session = store.tenant("demo")
    completed = {one.event_id: one for _, one in session.events() if one.source == "simulated" and one.verb is Verb.COMPLETED}
    again = 0
    for _, decision in session.decisions():
        read = [completed[name] for name in decision.events_read if name in completed]
        again += len(read)
        assert not {one.object_id for one in read} & {item.item_id for item in decision.slate}
    store.close()
    assert again > 0


def test_its_report_reads_it(place: Place, happened: Trialled) -> None:
    store = EventStore.open(place.store)
    materialize(store.tenant("demo"), place.folder / "lake")
    store.close()
    reading = read_stored(place.folder / "lake", read_record(record_file(place.records, "demo", "beneficial")))
    assert not reading.health.failed
    assert reading.health.units["control"] <= happened.control
    assert reading.verdict.kind in ("ship", "do not ship")
    assert {one.measure.name for one in reading.comparisons} >= {"completion", "dismissals"}


def test_the_same_seed_is_the_same_experiment(place: Place, happened: Trialled, shape: Parameters, tmp_path: Path) -> None:
    assert run(SCENARIOS["beneficial"], Place(tmp_path, place.bundles, "demo"), shape, days=28, seed=3) == happened


def test_without_a_bundle_it_says_what_to_do(shape: Parameters, tmp_path: Path) -> None:
    with pytest.raises(UnservedError, match="publish"):
        run(SCENARIOS["null"], Place(tmp_path, tmp_path / "none", "demo"), shape, days=28, seed=3)


def test_a_scenario_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\ncomes = 0.1\n')
    assert scenario(str(file)) == Scenario(name="mine", comes=0.1)
    file.write_text('name = "mine"\ngoes = 0.1\n')
    with pytest.raises(ScenarioError, match="goes"):
        scenario(str(file))
    with pytest.raises(ScenarioError, match="harmful"):
        scenario("unheard-of")
