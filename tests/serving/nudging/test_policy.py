"""The policy's chances: a fixed order, a floor for all, and draws whose frequencies are the propensities."""

from collections import Counter

import pytest
from scipy.stats import chisquare

from features.nudges import Arm
from serving.exploration import seed_of
from serving.nudging.policy import ORDER, draw, offered

SOME = offered([Arm.TEACH, Arm.REFRESH, Arm.DEADLINE], 0.1)


def test_the_first_in_order_gets_what_the_floor_leaves() -> None:
    assert pytest.approx({Arm.DEADLINE: 0.7, Arm.REFRESH: 0.1, Arm.TEACH: 0.1, Arm.NOTHING: 0.1}) == SOME
    assert offered([], 0.1) == {Arm.NOTHING: 1}
    assert list(offered(ORDER[::-1], 0.1)) == list(ORDER)


def test_every_arm_has_its_place_in_the_order() -> None:
    assert sorted(ORDER) == sorted(Arm)


def test_a_seed_draws_the_same_arm_again() -> None:
    drawn = [draw(SOME, seed_of(f"d{n}")) for n in range(50)]
    assert drawn == [draw(dict(reversed(SOME.items())), seed_of(f"d{n}")) for n in range(50)]
    assert len(set(drawn)) > 1


def test_frequencies_are_the_logged_propensities() -> None:
    count, drawn = 20_000, Counter[Arm]()
    drawn.update(draw(SOME, seed_of(f"decision {n}")) for n in range(count))
    assert chisquare([drawn[arm] for arm in SOME], [count * chance for chance in SOME.values()]).pvalue > 0.001
