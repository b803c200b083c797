"""Who is in which arm: by unit, audience, traffic, layer and holdout, and independently of other experiments."""

from datetime import UTC, datetime

import numpy as np
import pytest

from experiments.assignment.phases import Phase
from experiments.assignment.ranges import reallotted
from experiments.assignment.units import arm_of, held_out, layer_seed, unit_of
from experiments.design import design_of, widths
from features.catalogue import Learner

SINCE = datetime(2026, 6, 1, tzinfo=UTC)
MANY = [f"learner-{n}" for n in range(20_000)]
CHANCE = 4 / len(MANY) ** 0.5
"""Four standard errors of a correlation."""


def phase(name: str = "first", *, slots: tuple[tuple[int, int], ...] = ((0, 10_000),), **more: object) -> Phase:
    given = {"name": name, "unit": "learner", "allocation": {"control": 0.5, "treatment": 0.5}, **more}
    design = design_of({"primary": {"metric": "value", "relative": False}, **given}, "test")
    arms = reallotted({}, widths(design.allocation))
    return Phase(design=design, digest=design.digest, slots=slots, arms=arms, started_at=SINCE)


def arms(of: Phase, learners: list[str] = MANY) -> list[str | None]:
    return [arm_of(of, "acme", one, None) for one in learners]


def test_two_parallel_experiments_know_nothing_of_each_other() -> None:
    learners = [str(n) for n in range(100_000)]
    first, second = (np.array([arm == "treatment" for arm in arms(phase(name), learners)]) for name in ("first", "second"))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01
    assert abs(first.mean() - 0.5) < 0.005


def test_two_tenants_do_not_share_their_arms() -> None:
    of = phase()
    other = [arm_of(of, "other", one, None) == "treatment" for one in MANY]
    ours = [arm == "treatment" for arm in arms(of, MANY)]
    assert abs(np.corrcoef(ours, other)[0, 1]) < CHANCE


def test_in_a_layer_nobody_is_in_two_experiments() -> None:
    first = arms(phase("first", layer="home", traffic=0.6, slots=((0, 6_000),)), MANY)
    second = arms(phase("second", layer="home", traffic=0.4, slots=((6_000, 10_000),)), MANY)
    assert [one is None for one in first] == [other is not None for other in second]
    assert {*first, *second} == {"control", "treatment", None}


def test_without_a_layer_traffic_is_drawn_for_each_experiment_anew() -> None:
    slots = ((0, 5_000),)
    first, second = ([arm is not None for arm in arms(phase(name, traffic=0.5, slots=slots))] for name in ("first", "second"))
    assert abs(np.corrcoef(first, second)[0, 1]) < CHANCE
    assert layer_seed(phase("first").design, "acme") != layer_seed(phase("second").design, "acme")


def test_more_traffic_moves_nobody() -> None:
    few, all_of_them = arms(phase(traffic=0.2, slots=((0, 2_000),)), MANY[:5_000]), arms(phase(), MANY[:5_000])
    assert all(before in (None, after) for before, after in zip(few, all_of_them, strict=True))
    assert None not in all_of_them


def test_the_reports_of_a_manager_and_the_learners_of_a_site_share_an_arm() -> None:
    team = [Learner(id=f"l{n}", manager_id=f"m{n % 2}", org_unit=f"s{n % 3}") for n in range(60)]
    for unit, key in (("manager", "manager_id"), ("site", "org_unit")):
        of = phase(unit=unit)
        found = {(getattr(one, key), arm_of(of, "acme", one.id, one)) for one in team}
        assert len(found) == len({getattr(one, key) for one in team})
        assert arm_of(of, "acme", "l1", Learner(id="l1")) is None
        assert arm_of(of, "acme", "l1", None) is None


def test_a_learner_is_one_unit_by_every_name() -> None:
    ana = Learner(id="ana", aliases=("a@acme.example",))
    assert unit_of("learner", "a@acme.example", ana) == unit_of("learner", "ana", ana) == "ana"
    assert unit_of("learner", "stranger", None) == "stranger"


@pytest.mark.parametrize(("audiences", "inside"), [(("logistics", "x"), True), (("x",), False), ((), False)])
def test_only_the_audience_takes_part(audiences: tuple[str, ...], inside: bool) -> None:
    of = phase(audience=["logistics", "drivers"])
    assert (arm_of(of, "acme", "ana", Learner(id="ana", audiences=audiences)) is not None) == inside
    assert arm_of(of, "acme", "ana", None) is None


def test_the_holdout_is_the_one_of_nudges_and_independent_of_arms() -> None:
    from serving.nudging import limits
    from serving.nudging.settings import NudgeSettings

    held = [held_out("nudges", 0.05, "acme", one, None) for one in MANY]
    settings = NudgeSettings()
    same = [limits.held_out(settings, limits.Situation("acme", one, SINCE, None)) for one in MANY[:2_000]]
    assert held[:2_000] == same
    assert abs(np.mean(held) - 0.05) < 0.006
    assert abs(np.corrcoef(held, [arm == "treatment" for arm in arms(phase())])[0, 1]) < CHANCE
