"""`python -m experiments design`, and the same before `start`: by numbers that are given, and by a tenant's own past."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from experiments.cli import app
from experiments.inference.power import Test, units_in_control
from features import lake
from features.catalogue import Item, Learner
from features.decisions import Decision, Randomisation
from features.events import Event
from features.store import EventStore, TenantSession

ANCHOR = """
name = "errors"
unit = "learner"
horizon_days = 28
planned_units = 160
[allocation]
control = 0.5
treatment = 0.5
[primary]
metric = "error_rate"
relative = true
direction = "down"
minimum_effect = 0.04
"""
NATIVE = """
name = "bolder"
unit = "learner"
horizon_days = 28
[allocation]
control = 0.5
treatment = 0.5
[variants.treatment]
policy = {epsilon = 0.2}
[primary]
metric = "any_completion"
relative = false
minimum_effect = 1.0
"""
END = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # nothing is there: no store, no lake, no record
    for name in ("NEXTWISE_STORE", "NEXTWISE_EXPERIMENTS", "NEXTWISE_POLICY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(place: Path, text: str, *words: str, verb: str = "design") -> Result:
    (place / "d.toml").write_text(text, "utf-8")
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [verb, str(place / "d.toml"), *words])


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def given(*more: str) -> tuple[str, ...]:
    return ("--baseline", "12", "--deviation", "3", *more)


def test_eighty_an_arm_are_told_what_they_can_find_before_the_start(place: Path) -> None:
    """Baseline 12 %, 3 points, a fall by 4 %: 613 an arm, and 80 an arm find 11 % (recomputed with statsmodels)."""
    result = run(place, ANCHOR, *given())
    assert result.exit_code == 1
    assert "finding 4\u00a0% needs 613 an arm\n" in result.stdout
    assert "with 80 an arm planned, the smallest detectable change is 11\u00a0%\n" in result.stdout
    assert (
        "1,226 learners are needed to find a change of 4\u00a0%, and 160 are planned, which find 11\u00a0% or more"
        in result.stderr
    )
    assert "--anyway" in result.stderr


def test_cuped_halves_it(place: Path) -> None:
    result = run(place, ANCHOR, *given("--correlation", "0.7"))
    assert "needs 613 an arm, and with CUPED 313 an arm (correlation 0.7 with what was before)" in result.stdout


def test_whoever_says_anyway_goes_on_and_is_told(place: Path) -> None:
    result = run(place, ANCHOR, *given("--anyway"))
    assert result.exit_code == 0
    assert "Told to go on: 1,226 learners are needed" in result.stderr


def test_enough_planned_units_are_no_refusal(place: Path) -> None:
    result = run(place, changed(ANCHOR, "160", "1300"), *given())
    assert (result.exit_code, result.stderr) == (0, "")


def test_arms_of_unlike_size_are_told_apart_and_several_share_the_level(place: Path) -> None:
    text = changed(changed(ANCHOR, "control = 0.5", "control = 0.2"), "treatment = 0.5", "treatment = 0.5\nthird = 0.3")
    result = run(place, text, *given("--json", "--anyway"))
    found = json.loads(result.stdout)
    needed = units_in_control(0.48, 3, Test(alpha=0.025, ratio=1.5)) / 0.2  # the smaller of the two arms decides
    assert found["metrics"][0]["units"] == pytest.approx(needed)
    assert found["metrics"][0]["arms"] == pytest.approx({"control": needed / 5, "treatment": needed / 2, "third": 0.3 * needed})
    plain = run(place, text, *given("--anyway")).stdout
    assert "80% power at 5% shared by 2 arms" in plain
    assert f"{needed / 5:,.0f} in control and {needed / 2:,.0f} in treatment and {0.3 * needed:,.0f} in third" in plain


def test_whole_sites_cost_the_design_effect(place: Path) -> None:
    text = changed(changed(ANCHOR, '"learner"', '"site"'), "planned_units = 160", "")
    found = run(place, text, *given("--cluster-size", "20", "--similarity", "0.1", "--json"))
    (metric,) = json.loads(found.stdout)["metrics"]
    assert metric["design_effect"] == pytest.approx(2.9)  # 1 + 19 * .1
    assert metric["units"] == pytest.approx(2 * units_in_control(0.48, 3 * (2.9 / 20) ** 0.5))
    assert (
        "20 learners a site, who correlate by 0.1: design effect 2.9"
        in run(place, text, *given("--cluster-size", "20", "--similarity", "0.1")).stdout
    )
    refused = run(place, text, *given())
    assert (refused.exit_code, "give --cluster-size and --similarity" in refused.stderr) == (1, True)


def test_an_always_valid_reading_needs_more(place: Path) -> None:
    text = changed(ANCHOR, "horizon_days = 28", 'horizon_days = 28\npeeking = "always-valid"')
    fixed, always = (json.loads(run(place, one, *given("--json")).stdout)["metrics"][0]["units"] for one in (ANCHOR, text))
    assert 1.5 < always / fixed < 3.5


@pytest.mark.parametrize(
    ("old", "new", "words", "told"),
    [
        ("treatment = 0.5", "treatment = 0.4", given(), "the shares sum to 0.9; make them sum to 1"),
        ("control = 0.5\ntreatment = 0.5", "control = 0\na = 0.5\nb = 0.5", given(), "the control is paused"),
        ("planned_units = 160", "", (), "error_rate: nothing is known of its past; give --baseline and --deviation"),
        ("planned_units = 160", "", ("--baseline", "12"), "--baseline and --deviation go together"),
        ("planned_units = 160", "", ("--baseline", "12", "--deviation", "-3"), "a deviation is not below 0"),
        ("planned_units = 160", "", ("--baseline", "12", "--deviation", "0"), "without spread nothing can be found"),
        ("planned_units = 160", "", ("--baseline", "nan", "--deviation", "3"), "--baseline and --deviation are numbers"),
        ("planned_units = 160", "planned_units = 3", given(), "1,226 learners are needed"),
    ],
)
def test_what_cannot_be_reckoned_is_said_in_words(place: Path, old: str, new: str, words: tuple[str, ...], told: str) -> None:
    result = run(place, changed(ANCHOR, old, new), *words)
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit)
    assert told in result.stderr


def test_a_share_of_nothing_and_an_effect_that_nobody_registered_are_told(place: Path) -> None:
    assert "register it in the metric's own units" in run(place, ANCHOR, "--baseline", "0", "--deviation", "3").stdout
    result = run(place, changed(ANCHOR, "minimum_effect = 0.04", ""), *given())
    assert (result.exit_code, "no minimum_effect is registered" in result.stdout) == (0, True)
    assert "the smallest detectable change is 11\u00a0%" in result.stdout


# -- a tenant's own past and traffic --


@pytest.fixture
def acme(place: Path) -> Iterator[TenantSession]:
    """140 learners of two teams who came one after another, a few a day for 80 days, each completing 0 to 4 items after it."""
    opened = EventStore.open(f"sqlite:///{place}/events.db")
    session = opened.tenant("acme")
    session.put([Item(id=f"i{n}", title="x") for n in range(12)], at=END - 400 * DAY)
    people = [
        Learner(id=f"u{n}", audiences=("sales" if n % 2 else "care",), org_unit=f"site{n % 12}", personalisation=n != 0)
        for n in range(140)
    ]
    session.put(people, at=END - 400 * DAY)
    rng, events = np.random.default_rng(4), []
    for n, one in enumerate(people):
        came = END - (80 - n * 80 // 140) * DAY
        session.record([decided(one.id, came)])
        events += [done(one.id, f"i{k}", came + (k + 1) * DAY) for k in range(int(rng.integers(0, 5)))]
        events += [done(one.id, "i11", came - 9 * DAY)] * (n % 3 == 0)
    session.append([one for one in events if one.occurred_at <= END])
    lake.materialize(session, place / "lake")
    yield session
    opened.close()


def decided(who: str, at: datetime) -> Decision:
    body = {"decision_id": f"{who} {at}", "tenant": "acme", "learner_id": who, "decided_at": at, "bundle": "b", "policy": "p"}
    return Decision.model_validate({**body, "randomisation": Randomisation(epsilon=0, seed=1, support=1)})


def done(who: str, what: str, at: datetime) -> Event:
    said = {"tenant": "acme", "learner_id": who, "verb": "completed", "object_id": what, "occurred_at": at, "recorded_at": at}
    return Event.model_validate({"event_id": f"{who} {what} {at}", **said})


def of_acme(place: Path) -> list[str]:
    (place / "policy.toml").write_text("[nudges]\nholdout = 0.0\n")
    options = {"store": f"sqlite:///{place}/events.db", "lake": place / "lake", "policy": place / "policy.toml"}
    return ["--tenant", "acme", *(str(part) for name, value in options.items() for part in (f"--{name}", value))]


def native(place: Path, text: str, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(place, text, *of_acme(place), "--json", "--anyway", *more).stdout)
    return found


def test_mean_and_deviation_come_from_the_past(place: Path, acme: TenantSession) -> None:
    """Of those who came 28 to 56 days before the end: what each completed in the 28 days from then on."""
    (metric,) = native(place, NATIVE)["metrics"]
    came = {one.learner_id: one.decided_at for _, one in acme.decisions()}
    ends = max(event.occurred_at for _, event in acme.events())
    ends = max(ends, max(came.values()))
    events = [event for _, event in acme.events()]
    counts = []
    for who in came:
        times = sorted([came[who], *(event.occurred_at for event in events if event.learner_id == who)])
        first = next((at for at in times if ends - 56 * DAY <= at < ends - 28 * DAY), None)
        if first is not None:
            counts.append(sum(first <= event.occurred_at < first + 28 * DAY for event in events if event.learner_id == who))
    assert metric["past_units"] == len(counts)
    assert metric["mean"] == pytest.approx(np.mean(counts))
    assert metric["deviation"] == pytest.approx(np.std(counts, ddof=1))
    assert 0 <= metric["correlation"] < 1


def test_traffic_is_counted_after_audience_personalisation_and_traffic_share(place: Path, acme: TenantSession) -> None:
    whole = native(place, NATIVE)["traffic"]
    ends = max(one.decided_at for _, one in acme.decisions())
    lately = {one.learner_id for _, one in acme.decisions() if one.decided_at.date() > ends.date() - 28 * DAY}
    assert (whole["source"], whole["units"], whole["there"]) == ("decisions", len(lately), 139)  # u0 wants none
    care = native(place, changed(NATIVE, 'unit = "learner"', 'unit = "learner"\naudience = ["care"]'))["traffic"]
    assert care["units"] == sum(int(who[1:]) % 2 == 0 for who in lately)
    assert care["left_out"]["of another audience"] == sum(int(who[1:]) % 2 for who in lately)
    some = native(place, changed(NATIVE, 'unit = "learner"', 'unit = "learner"\ntraffic = 0.3'))["traffic"]
    assert some["units"] + some["left_out"]["beyond the traffic"] == len(lately)
    assert 0.1 < some["units"] / len(lately) < 0.5


def test_the_holdout_is_left_out(place: Path, acme: TenantSession) -> None:
    options = of_acme(place)
    (place / "policy.toml").write_text("[nudges]\nholdout = 0.5\n")
    found = json.loads(run(place, NATIVE, *options, "--json", "--anyway").stdout)["traffic"]
    assert found["left_out"]["in the holdout"] > 10
    assert found["there"] < 100


def test_an_experiment_that_only_changes_nudges_has_no_traffic_of_rankings(place: Path, acme: TenantSession) -> None:
    text = changed(NATIVE, "{epsilon = 0.2}", "{nudges = {floor = 0.2}}")
    found = native(place, text)["traffic"]
    assert found["source"] == "take-ups"  # no nudge was decided yet, so take-ups stand in
    assert acme.append([done("u5", "i3", END - 300 * DAY)]).accepted == 1
    assert native(place, text)["traffic"] == found  # what arrives last need not be the newest


def test_a_record_that_was_edited_by_hand_is_named(place: Path, acme: TenantSession) -> None:
    words = of_acme(place)
    run(place, NATIVE, *words, "--anyway", verb="start")
    record = place / "var/experiments/acme/bolder.json"
    record.write_text(changed(record.read_text(), '"horizon_days": 28', '"horizon_days": 14'))
    refused = run(place, NATIVE, *words)
    assert (refused.exit_code, refused.exception.__class__) == (1, SystemExit)
    assert "its design was edited after it began" in refused.stderr


def test_what_was_stopped_is_checked_again_before_it_begins_again(place: Path, acme: TenantSession) -> None:
    text, words = changed(NATIVE, "minimum_effect = 1.0", "minimum_effect = 0.05"), of_acme(place)
    assert run(place, text, *words, "--anyway", verb="start").exit_code == 0
    assert run(place, text, *words, verb="start").stdout.startswith("Nothing to do")
    assert CliRunner().invoke(app, ["stop", "bolder", "--tenant", "acme"]).exit_code == 0
    assert run(place, text, *words, verb="start").exit_code == 1
    assert "phase 2" in run(place, text, *words, "--anyway", verb="start").stdout


def test_whole_sites_are_clusters_of_the_past(place: Path, acme: TenantSession) -> None:
    found = native(place, changed(NATIVE, '"learner"', '"site"'))
    (metric,) = found["metrics"]
    assert (metric["past_units"], found["traffic"]["there"]) == (12, 12)
    assert metric["design_effect"] > 0


@pytest.mark.parametrize("verb", ["design", "start"])
def test_an_effect_beyond_all_there_are_is_refused(place: Path, acme: TenantSession, verb: str) -> None:
    text = changed(NATIVE, "minimum_effect = 1.0", "minimum_effect = 0.05")
    refused = run(place, text, *of_acme(place), verb=verb)
    assert (refused.exit_code, refused.exception.__class__) == (1, SystemExit)
    assert "and there are 139 in all: it would never be shown" in refused.stderr
    assert not (place / "var/experiments/acme/bolder.json").exists()
    told = run(place, text, *of_acme(place), "--anyway", verb=verb)
    assert (told.exit_code, "Told to go on" in told.stderr) == (0, True)


@pytest.mark.parametrize("verb", ["design", "start"])
def test_an_effect_that_takes_longer_than_the_horizon_is_refused_with_the_days_it_takes(
    place: Path, acme: TenantSession, verb: str
) -> None:
    deviation = native(place, NATIVE)["metrics"][0]["deviation"]
    effect = 2.8016 * deviation * (4 / 100) ** 0.5  # a hundred learners, of whom half as many come in 28 days
    text = changed(NATIVE, "minimum_effect = 1.0", f"minimum_effect = {effect}")
    refused = run(place, text, *of_acme(place), verb=verb)
    assert refused.exit_code == 1
    assert "days of this tenant's traffic; within the horizon of 28 days come" in refused.stderr
    longer = changed(text, "horizon_days = 28", "horizon_days = 90")
    assert run(place, longer, *of_acme(place), verb=verb).exit_code == 0


def test_what_can_be_found_is_started(place: Path, acme: TenantSession) -> None:
    assert (
        run(place, changed(NATIVE, "minimum_effect = 1.0", "minimum_effect = 1.5"), *of_acme(place), verb="start").exit_code
        == 0
    )
    assert (place / "var/experiments/acme/bolder.json").exists()


def test_without_a_past_start_says_that_it_did_not_check(place: Path) -> None:
    begun = run(place, NATIVE, "--tenant", "acme", "--unknown-tenant", verb="start")
    assert begun.exit_code == 0
    assert "Power is not checked: any_completion: its past cannot be read" in begun.stderr
    assert not (place / "var/events.db").exists()  # looking makes no store
    again = run(place, NATIVE, "--tenant", "acme", "--unknown-tenant", verb="start")
    assert (again.stderr, again.stdout.startswith("Nothing to do")) == ("", True)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("smiles", "metric 'smiles' is not defined; there are completion"),
        ("applied_skill", "nothing of it happened in the past"),
    ],
)
def test_a_metric_without_a_past_is_named(place: Path, acme: TenantSession, metric: str, words: str) -> None:
    refused = run(place, changed(NATIVE, "any_completion", metric), *of_acme(place))
    assert (refused.exit_code, refused.exception.__class__) == (1, SystemExit)
    assert words in refused.stderr
