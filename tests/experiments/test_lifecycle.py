"""Starting, changing and stopping: phases are frozen, layers exclude, and every refusal says what can be done."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from experiments.assignment.phases import RecordError, read_record, record_file
from experiments.assignment.ranges import overlap, width
from experiments.design import Design, DesignError, design_of
from experiments.lifecycle import LifecycleError, reallocate, recorded, start, stop, touched

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def design(name: str = "first", **more: Any) -> Design:
    given = {"name": name, "unit": "learner", "horizon_days": 14, "allocation": {"control": 0.5, "treatment": 0.5}, **more}
    return design_of({"primary": {"metric": "value", "relative": False}, **given}, "test")


def test_a_start_freezes_the_design_and_the_same_again_changes_nothing(tmp_path: Path) -> None:
    begun = start(tmp_path, "acme", design(), at=NOW)
    assert begun.new
    assert start(tmp_path, "acme", design(), at=NOW + DAY) == (begun.record, False)
    (phase,) = read_record(record_file(tmp_path, "acme", "first")).phases
    assert (phase.design, phase.digest, phase.started_at, phase.stopped_at) == (design(), design().digest, NOW, None)
    assert phase.arms == {"control": ((0, 5_000),), "treatment": ((5_000, 10_000),)}


def test_an_edit_of_what_runs_is_refused_or_begins_a_new_phase(tmp_path: Path) -> None:
    start(tmp_path, "acme", design(), at=NOW)
    edited = design(horizon_days=28)
    with pytest.raises(LifecycleError, match=r"runs since 2026-06-01 12:00 with another design .*--new-phase"):
        start(tmp_path, "acme", edited, at=NOW + DAY)
    record = start(tmp_path, "acme", edited, at=NOW + DAY, new_phase=True).record
    assert [(one.digest, one.started_at, one.stopped_at) for one in record.phases] == [
        (design().digest, NOW, NOW + DAY),
        (edited.digest, NOW + DAY, None),
    ]


def test_a_stopped_experiment_begins_again_as_a_new_phase_with_the_same_arms(tmp_path: Path) -> None:
    first = start(tmp_path, "acme", design(), at=NOW).record
    assert stop(tmp_path, "acme", "first", at=NOW + DAY).running is None
    with pytest.raises(LifecycleError, match="does not run: it stopped at 2026-06-02 12:00"):
        stop(tmp_path, "acme", "first", at=NOW + DAY)
    again = start(tmp_path, "acme", design(), at=NOW + 2 * DAY).record
    assert len(again.phases) == 2
    assert (again.phases[1].arms, again.phases[1].slots) == (first.phases[0].arms, first.phases[0].slots)


def test_a_reallocation_keeps_whom_it_can_and_is_a_phase(tmp_path: Path) -> None:
    start(tmp_path, "acme", design(traffic=0.2), at=NOW)
    record = reallocate(tmp_path, "acme", "first", at=NOW + DAY, allocation={"treatment": 0.8, "control": 0.2}, traffic=0.5)
    before, after = record.phases
    assert after.design == design(traffic=0.5, allocation={"control": 0.2, "treatment": 0.8})
    assert overlap(before.arms["treatment"], after.arms["treatment"]) == 5_000
    assert overlap(before.slots, after.slots) == 2_000
    assert width(after.slots) == 5_000
    assert reallocate(tmp_path, "acme", "first", at=NOW + 2 * DAY, traffic=0.5) == record  # nothing new
    with pytest.raises(LifecycleError, match="other: give a share to each of control, treatment"):
        reallocate(tmp_path, "acme", "first", at=NOW, allocation={"control": 0.5, "treatment": 0.3, "other": 0.2})
    with pytest.raises(DesignError, match=r"the shares sum to 1\.1"):
        reallocate(tmp_path, "acme", "first", at=NOW, allocation={"control": 0.6, "treatment": 0.5})


def test_a_layer_has_room_for_all_of_its_units_once(tmp_path: Path) -> None:
    start(tmp_path, "acme", design("first", layer="home", traffic=0.6), at=NOW)
    with pytest.raises(LifecycleError, match=r"layer 'home' has 0.4 of its units left and 0.5 is wanted.*first"):
        start(tmp_path, "acme", design("second", layer="home", traffic=0.5), at=NOW)
    second = start(tmp_path, "acme", design("second", layer="home", traffic=0.4), at=NOW).record.phases[0]
    first = recorded(tmp_path, "acme")[0].phases[0]
    assert overlap(first.slots, second.slots) == 0
    with pytest.raises(LifecycleError, match="has 0 of its units left"):
        start(tmp_path, "acme", design("third", layer="home", traffic=0.1), at=NOW)
    stop(tmp_path, "acme", "first", at=NOW + DAY)
    start(tmp_path, "acme", design("third", layer="home", traffic=0.6), at=NOW + DAY)
    start(tmp_path, "other", design("first", layer="home"), at=NOW)  # another tenant's layer


def test_units_of_two_kinds_do_not_share_a_layer(tmp_path: Path) -> None:
    start(tmp_path, "acme", design("first", layer="home", traffic=0.5), at=NOW)
    with pytest.raises(LifecycleError, match="layer 'home' holds first by learner"):
        start(tmp_path, "acme", design("second", layer="home", traffic=0.5, unit="manager"), at=NOW)


def test_two_experiments_that_change_the_same_need_one_layer(tmp_path: Path) -> None:
    bolder = {"treatment": {"policy": {"epsilon": 0.2, "nudges": {"floor": 0.1}}}}
    other = {"treatment": {"policy": {"epsilon": 0.3}}}
    third = {"treatment": {"policy": {"nudges": {"weekly_budget": 1}}}, "control": {"bundle": "0123456789abcdef"}}
    assert touched(design(variants=bolder)) == {"epsilon", "nudges.floor"}
    start(tmp_path, "acme", design("first", variants=bolder, layer="home", traffic=0.5), at=NOW)
    with pytest.raises(LifecycleError, match="first runs and changes epsilon as well"):
        start(tmp_path, "acme", design("second", variants=other), at=NOW)
    start(tmp_path, "acme", design("second", variants=other, layer="home", traffic=0.5), at=NOW)
    start(tmp_path, "acme", design("third", variants=third), at=NOW)


def test_what_cannot_run_here_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LifecycleError, match="field horizon_days"):
        start(tmp_path, "acme", design(horizon_days=None), at=NOW)
    with pytest.raises(RecordError, match=r"cannot be called '\.\./first'"):
        start(tmp_path, "acme", design("../first"), at=NOW)
    with pytest.raises(RecordError, match="there is no such experiment"):
        stop(tmp_path, "acme", "first", at=NOW)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda phase: phase["design"].update(traffic=0.5), "its design was edited after it began"),
        (lambda phase: phase["arms"].update(control=[[0, 6_000]]), "its ranges are not those of its allocation"),
        (lambda phase: phase["arms"].update(control=[[5_000, 10_000]]), "its ranges are not those of its allocation"),
        (lambda phase: phase.update(stopped_at="2026-05-01T00:00:00Z"), "it stopped before it started"),
    ],
)
def test_a_record_that_was_edited_is_refused(tmp_path: Path, change: Any, words: str) -> None:
    start(tmp_path, "acme", design(), at=NOW)
    path = record_file(tmp_path, "acme", "first")
    body = json.loads(path.read_text())
    change(body["phases"][0])
    path.write_text(json.dumps(body))
    with pytest.raises(RecordError, match=words):
        read_record(path)


def test_a_record_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    start(tmp_path, "acme", design(), at=NOW)
    path = record_file(tmp_path, "acme", "first")
    with pytest.raises(RecordError, match="is the record of first of tenant acme"):
        read_record(path.rename(path.with_name("second.json")))


def test_a_clock_that_goes_back_ends_nothing_before_it_began(tmp_path: Path) -> None:
    start(tmp_path, "acme", design(), at=NOW)
    assert stop(tmp_path, "acme", "first", at=NOW - DAY).phases[0].stopped_at == NOW
    with pytest.raises(LifecycleError, match="which is later than now; set the clock"):
        start(tmp_path, "acme", design(), at=NOW - DAY)
