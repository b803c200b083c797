"""`python -m experiments report` on what a store holds: decisions made in arms, and what came of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from scipy import stats
from typer.testing import CliRunner

from experiments.cli import app
from experiments.design import design_of
from experiments.lifecycle import reallocate, start, stop
from features.catalogue import Item, Learner
from features.decisions import Decision, Randomisation
from features.events import Event
from features.nudges import Arm, Channel, Nudge
from features.store import EventStore, TenantSession

START = datetime(2024, 3, 2, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PRIMARY = {"metric": "any_completion", "relative": False}


@dataclass
class Place:
    """A store, the folder of what runs, and where reports go."""

    folder: Path
    session: TenantSession

    def begin(self, at: datetime = START, **more: Any) -> None:
        given = {"name": "bolder", "unit": "learner", "horizon_days": 14, "primary": PRIMARY, **more}
        given.setdefault("allocation", {"control": 0.5, "treatment": 0.5})
        start(self.folder / "experiments", "acme", design_of(given, "test"), at=at, new_phase=True)

    def decided(self, who: str, arm: str, after: timedelta = HOUR, *, name: str = "bolder", **more: Any) -> None:
        """A ranking in an arm, so long after the start."""
        body = {"decision_id": f"{who} {arm} {after} {len(more)}", "tenant": "acme", "learner_id": who, "arms": {name: arm}}
        more = {"bundle": "b", "policy": "p", "stages_ms": {"score": 2.0, "rank": 1.0}, **more}
        randomisation = Randomisation(epsilon=0, seed=1, support=1)
        self.session.record(
            [Decision.model_validate({**body, "decided_at": START + after, "randomisation": randomisation, **more})]
        )

    def happened(self, who: str, verb: str, thing: str, after: timedelta, **more: Any) -> None:
        at = START + after
        said = {"tenant": "acme", "learner_id": who, "verb": verb, "object_id": thing, "occurred_at": at, "recorded_at": at}
        self.session.append([Event.model_validate({"event_id": f"{who} {verb} {thing} {after}", **said, **more})])

    def report(self, name: str = "bolder", *more: str) -> tuple[Result, Any]:
        options = ["--tenant", "acme", "--out", str(self.folder / "out"), "--lake", str(self.folder / "lake")]
        options += ["--store", f"sqlite:///{self.folder}/events.db", "--folder", str(self.folder / "experiments")]
        options += ["--artifacts", str(self.folder / "mlartifacts")]
        tracking = [] if "--tracking" in more else ["--tracking", f"sqlite:///{self.folder}/mlflow.db"]
        result = CliRunner().invoke(app, ["report", name, *options, *tracking, *more])
        written = self.folder / "out" / f"{name}.json"
        return result, json.loads(written.read_text("utf-8")) if written.exists() else None


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    opened = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    yield Place(tmp_path, opened.tenant("acme"))
    opened.close()


def halves(n: int) -> list[tuple[str, str]]:
    return [(f"u{i}", "control" if i % 2 else "treatment") for i in range(n)]


def lived(place: Place, n: int = 40) -> dict[str, list[int]]:
    """Learners of both arms: all completed one thing before, the treated more afterwards. Items completed, by arm."""
    done: dict[str, list[int]] = {"control": [], "treatment": []}
    rng = np.random.default_rng(1)
    place.session.put([Item(id=f"i{i}", title="x") for i in range(9)], at=START - 99 * DAY)
    for who, arm in halves(n):
        place.decided(who, arm)
        count = int(rng.integers(0, 3)) + (3 if arm == "treatment" else 0)
        for i in range(count):
            place.happened(who, "completed", f"i{i}", (i + 1) * DAY)
        done[arm].append(count)
    return done


def check(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    one: dict[str, Any] = next(one for one in found["health"]["checks"] if one["name"] == name)
    return one


def test_from_decisions_and_events_to_welchs_test(place: Place) -> None:
    place.begin()
    done = lived(place)
    result, found = place.report()
    theirs = stats.ttest_ind(done["treatment"], done["control"], equal_var=False)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith("Ship treatment: in treatment, any_completion changed by +3")
    (metric,) = found["metrics"]
    assert metric["estimate"] == pytest.approx(np.mean(done["treatment"]) - np.mean(done["control"]))
    assert metric["p_value"] == pytest.approx(theirs.pvalue)
    assert found["health"]["units"] == {"control": 20, "treatment": 20}
    assert (found["tenant"], found["phase"], found["began"], found["horizon"]) == ("acme", 1, "2024-03-02", "2024-03-16")
    page = (place.folder / "out" / "bolder.html").read_text("utf-8")
    assert found["sentence"].removeprefix("Ship treatment: ").rstrip(".")[1:40] in page


def test_the_digest_is_that_of_what_was_registered(place: Place) -> None:
    place.begin(guardrails=[{"metric": "opt_outs", "margin": 0.5}])
    lived(place)
    _, found = place.report()
    record = json.loads((place.folder / "experiments" / "acme" / "bolder.json").read_text())
    assert found["design"] == record["phases"][0]["digest"]
    guardrail = next(one for one in found["metrics"] if one["name"] == "opt_outs")
    assert guardrail["direction"] == "down"  # the metric's own, for the design says none


def test_what_a_learner_did_before_makes_the_interval_narrower(place: Place) -> None:
    place.begin()
    rng = np.random.default_rng(2)
    for who, arm in halves(40):
        place.decided(who, arm)
        habit = int(rng.integers(0, 6))
        for i in range(habit):
            place.happened(who, "completed", f"before{i}", -(i + 1) * DAY, backfill=True)
            place.happened(who, "completed", f"i{i}", (i + 1) * DAY)
        for i in range((arm == "treatment") + int(rng.integers(0, 2))):
            place.happened(who, "completed", f"more{i}", DAY)
    _, found = place.report()
    (metric,) = found["metrics"]
    assert metric["variance_saved"] > 0.8
    assert metric["estimate"] == pytest.approx(1.0, abs=0.3)


def test_before_its_horizon_a_fixed_look_gives_no_result(place: Place) -> None:
    begun = datetime.now(UTC) - 3 * DAY
    place.begin(at=begun)
    for who, arm in halves(20):
        place.decided(who, arm, begun - START + HOUR)
        place.happened(who, "completed", "i", begun - START + 2 * HOUR)
    result, found = place.report()
    until = (begun + 14 * DAY).date()
    assert result.exit_code == 0
    assert found["verdict"] == f"keep running until {until}"
    assert found["metrics"] == []
    assert "one look was registered, at the horizon" in result.stdout


def test_prices_count_every_nudge_and_each_ranking(place: Place) -> None:
    place.begin()
    lived(place, 20)
    nudge = Nudge(arm=Arm.APPLY, channel=Channel.SLACK, propensity=1, offered={Arm.APPLY: 1}, reason="now")
    silent = nudge.model_copy(update={"arm": Arm.NOTHING})
    for n in range(5):
        place.decided("u0", "treatment", (n + 1) * DAY, kind="nudge", nudge=nudge, arms={})
    place.decided("u0", "treatment", 9 * DAY, kind="nudge", nudge=silent, arms={})
    place.decided("u0", "treatment", -DAY, kind="nudge", nudge=nudge, arms={})  # before it met the experiment
    place.decided("u2", "treatment", DAY, stages_ms={"score": 97.0})
    _, found = place.report()
    control, treatment = found["prices"]
    assert (control["arm"], control["nudges"], control["ranking_ms_p50"]) == ("control", 0, 3.0)
    assert (treatment["learners"], treatment["decisions"]) == (10, 11)
    assert (treatment["nudges"], treatment["nudges_per_learner"]) == (5, 0.5)
    assert treatment["ranking_ms_p50"] == 3.0
    assert treatment["ranking_ms_p95"] == pytest.approx(50.0)  # half-way between the tenth of eleven, 3, and the last, 97
    assert "Nudges a learner" in (place.folder / "out" / "bolder.html").read_text("utf-8")


def test_a_unit_in_two_arms_breaks_it(place: Place) -> None:
    place.begin()
    lived(place, 20)
    place.decided("u0", "control", DAY)
    result, found = place.report()
    assert result.exit_code == 1
    assert found["verdict"] == "broken"
    assert not check(found, "in_several_arms")["passed"]
    assert check(found, "in_several_arms")["found"] == "1 units are in more than one arm"


def test_two_ids_of_one_person_among_thousands_are_left_out(place: Place) -> None:
    place.begin()
    for who, arm in halves(1_100):
        place.decided(who, arm)
    place.happened("u4", "completed", "i", DAY)
    place.happened("u5", "completed", "i", DAY)
    place.happened("u6", "completed", "i", DAY)
    place.session.merge("u1", "u0", occurred_at=START, at=START + DAY)
    _, found = place.report()
    assert found["health"]["units"] == {"control": 549, "treatment": 549}
    assert "1 learners met more than one arm, as ids do that are merged into one person." in found["notes"]


def test_who_met_it_before_it_began_breaks_it(place: Place) -> None:
    place.begin()
    lived(place, 20)
    place.decided("u0", "treatment", -DAY)
    _, found = place.report()
    assert check(found, "exposed_before_assignment")["found"] == "1 units met the experiment before they were in an arm"
    assert found["verdict"] == "broken"


def test_a_bundle_that_vanished_is_counted_and_much_of_it_breaks_the_arm(place: Place) -> None:
    place.begin()
    lived(place, 20)
    gone = {"fallback": "experiment_bundle_unavailable"}
    place.decided("u0", "treatment", DAY, **gone)
    _, found = place.report()
    line = check(found, "without_bundle")
    assert (line["passed"], found["health"]["without_bundle"]) == (True, 1)
    assert line["found"].startswith("1 decisions were made by the champion, as the bundle of their arm was not there")
    for n in range(2, 6):
        place.decided("u0", "treatment", n * DAY, **gone)
    _, found = place.report()
    assert (check(found, "without_bundle")["passed"], found["verdict"]) == (False, "broken")


def test_another_phase_is_read_by_itself_and_says_so(place: Place) -> None:
    place.begin()
    for who, arm in halves(20):
        place.decided(who, arm)
    reallocate(
        place.folder / "experiments", "acme", "bolder", at=START + 5 * DAY, allocation={"control": 0.25, "treatment": 0.75}
    )
    for n in range(20):
        who = f"u{n}"
        place.decided(who, "control" if n % 4 == 1 else "treatment", 6 * DAY)
        for i in range(n % 3):
            place.happened(who, "completed", f"i{i}", 7 * DAY)
        place.happened(who, "completed", "in the first phase", DAY)
    _, found = place.report()
    assert found["health"]["units"] == {"control": 5, "treatment": 15}
    assert (found["phase"], found["began"]) == (2, "2024-03-07")
    (told,) = [one for one in found["notes"] if one.startswith("This is phase 2 of 2, which began at 2024-03-07 09:00 UTC")]
    assert "5 learners had another arm in an earlier phase" in told
    assert found["metrics"][0]["control_mean"] == pytest.approx((1 + 2 + 0 + 1 + 2) / 5, abs=0.5)  # adjusted by what was before


def test_who_stopped_and_began_again_counts_from_the_second_start(place: Place) -> None:
    place.begin()
    place.decided("u0", "treatment")
    stop(place.folder / "experiments", "acme", "bolder", at=START + DAY)
    place.begin(at=START + 2 * DAY)
    stop(place.folder / "experiments", "acme", "bolder", at=START + 5 * DAY)
    for who, arm in halves(20)[2:]:
        place.decided(who, arm, 3 * DAY)
        place.happened(who, "completed", "i", 4 * DAY + int(who[1:]) // 4 % 2 * 40 * DAY)
    place.decided("u1", "control", 6 * DAY)  # after the end: of no phase
    nudge = Nudge(arm=Arm.APPLY, channel=Channel.SLACK, propensity=1, offered={Arm.APPLY: 1}, reason="now")
    for after in (4 * DAY, 6 * DAY):  # the second one is after the end, and no price of it
        place.decided("u2", "treatment", after, kind="nudge", nudge=nudge, arms={})
    _, found = place.report()
    assert found["health"]["units"] == {"control": 9, "treatment": 9}
    assert [one["nudges"] for one in found["prices"]] == [0, 1]
    assert "It was stopped at 2024-03-07 09:00 UTC; outcomes of those who met it before still count." in found["notes"]


def test_managers_are_clusters_by_who_managed_at_the_exposure(place: Place) -> None:
    place.begin(unit="manager")
    for n in range(40):
        arm = "treatment" if n % 8 < 4 else "control"
        place.session.put([Learner(id=f"u{n}", manager_id=f"m{n % 8}")], at=START - 9 * DAY)
        place.decided(f"u{n}", arm)
        for i in range(n % 3 + (n % 8 < 4)):
            place.happened(f"u{n}", "completed", f"i{i}", DAY)
    place.session.put([Learner(id="u0", manager_id="m7")], at=START + 2 * DAY)
    place.decided("u0", "control", 3 * DAY)  # moved
    _, found = place.report()
    assert found["health"]["randomised"] == {"control": 4, "treatment": 4}
    assert found["health"]["units"] == {"control": 20, "treatment": 20}
    assert "1 learners moved to a manager in another arm; they stay with their first one." in found["notes"]


def test_parts_of_the_audience_come_from_the_catalogue(place: Place) -> None:
    place.begin(segments=["org_unit"])
    for n in range(40):
        place.session.put([Learner(id=f"u{n}", org_unit="north" if n % 4 < 2 else "south")], at=START - DAY)
    lived(place)
    _, found = place.report()
    (segment,) = found["segments"]
    assert {part["value"]: part["n"] for part in segment["parts"]} == {"north": 20, "south": 20}


@pytest.mark.parametrize(
    ("design", "words"),
    [
        ({"primary": {"metric": "clicks", "relative": False}}, "bolder: metric 'clicks' is not defined; there are completion,"),
        (
            {"goals": [{"metric": "any_completion", "denominator": "visits"}], "primary": PRIMARY | {"metric": "dismissals"}},
            "'visits'",
        ),
        ({"segments": ["mood"]}, "bolder: field segments: 'mood' is not known of learners; there are org_unit, role, manager"),
    ],
)
def test_what_nothing_defines_is_refused_in_words(place: Place, design: dict[str, Any], words: str) -> None:
    place.begin(**design)
    lived(place, 4)
    result, found = place.report()
    assert (result.exit_code, found) == (2, None)
    assert words in result.stderr


def test_an_experiment_that_is_not_there_is_refused(place: Place) -> None:
    result, _ = place.report("other")
    assert result.exit_code == 2
    assert "there is no such experiment" in result.stderr


@pytest.mark.parametrize(("margin", "verdict"), [(0.2, "ship"), (0.15, "do not ship")])
def test_that_nobody_opted_out_is_good_news_as_far_as_so_many_can_tell(place: Place, margin: float, verdict: str) -> None:
    place.begin(guardrails=[{"metric": "opt_outs", "margin": margin}])
    lived(place)  # of 20 who do not, at most 1 - .025 ** (1 / 20) = 17 % of all would
    _, found = place.report()
    assert found["verdict"] == verdict
    assert next(one for one in found["metrics"] if one["role"] == "guardrail")["outcome"] == (
        "within" if verdict == "ship" else "not shown"
    )


def test_a_metric_without_data_is_named(place: Place) -> None:
    place.begin(primary={"metric": "applied_skill", "relative": False})
    lived(place, 20)
    result, found = place.report()
    assert result.exit_code == 1
    assert result.stdout.startswith("Broken: no outcome of applied_skill from the assignment on")
    assert found["metrics"] == []


def test_nobody_met_it_yet(place: Place) -> None:
    place.begin()
    result, found = place.report()
    assert result.exit_code == 1
    assert result.stdout.startswith("Broken: no decision was made in an arm since 2024-03-02 09:00 UTC: nobody was served")
    assert found["prices"] == []


def test_the_index_links_what_was_read_and_names_the_rest(place: Place) -> None:
    place.begin()
    place.begin(name="later", unit="learner")
    stop(place.folder / "experiments", "acme", "later", at=START + DAY)
    lived(place)
    _, found = place.report()
    page = (place.folder / "out" / "index.html").read_text("utf-8")
    assert '<a href="bolder.html">bolder</a>' in page
    assert found["sentence"] in page
    assert page.index("bolder.html") < page.index("later")
    assert page.index("<th scope=col>Verdict") < page.index("<th scope=col>State")  # a phone shows the first two
    assert "stopped 2024-03-03" in page
    assert page.count("Not read yet.") == 1
    place.begin(horizon_days=7, at=START + 3 * DAY)
    place.report("later")
    assert "Of an earlier phase: Ship treatment" in (place.folder / "out" / "index.html").read_text("utf-8")


def test_a_report_is_a_run_in_mlflow(place: Place) -> None:
    import mlflow

    place.begin()
    lived(place)
    tracking = f"sqlite:///{place.folder}/mlflow.db"
    mlflow.MlflowClient(tracking, tracking).search_experiments()  # makes the database
    result, found = place.report("bolder", "--tracking", tracking)
    assert "Not logged" not in result.stderr
    client = mlflow.MlflowClient(tracking, tracking)
    experiment = client.get_experiment_by_name("nextwise-acme")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.data.tags["verdict"], run.data.tags["experiment"]) == ("ship", "bolder")
    assert run.data.metrics["primary.treatment"] == pytest.approx(found["metrics"][0]["estimate"])
    assert sorted(one.path for one in client.list_artifacts(run.info.run_id)) == ["bolder.html", "bolder.json"]


def test_without_mlflow_the_report_is_there_all_the_same(place: Place) -> None:
    place.begin()
    lived(place)
    result, found = place.report()
    assert (result.exit_code, found["verdict"]) == (0, "ship")
    assert "Not logged to MLflow: there is no" in result.stderr
    result, _ = place.report("bolder", "--tracking", "no-such-scheme://x")
    assert result.exit_code == 0
    assert "Not logged to MLflow: " in result.stderr


def test_a_lake_can_be_read_as_it_lies(place: Place) -> None:
    place.begin()
    result, _ = place.report("bolder", "--as-it-lies")
    assert (result.exit_code, "no lake of tenant 'acme'" in result.stderr) == (2, True)
    lived(place)
    place.report()
    place.decided("new", "control")
    _, found = place.report("bolder", "--as-it-lies")
    assert found["health"]["units"]["control"] == 20
