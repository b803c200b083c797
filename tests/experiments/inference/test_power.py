"""How many units, and how little they find: by hand, at the edges, and in simulations of experiments."""

import numpy as np
import pytest
from scipy import stats

from experiments.inference.baselines import Baseline, of_clusters, of_learners, of_units
from experiments.inference.intervals import always_valid
from experiments.inference.lifts import Lift
from experiments.inference.power import Test, detectable, inflation, units_in_control
from experiments.inference.samples import Moments


@pytest.mark.parametrize("test", [Test(), Test(ratio=0.2), Test(alpha=0.0125), Test(tuned_to=800), Test(tuned_to=800, ratio=3)])
@pytest.mark.parametrize("effect", [1e-6, 0.01, 0.3, 0.8])
def test_so_many_units_find_just_that_effect(effect: float, test: Test) -> None:
    units = units_in_control(effect, 1.5, test, correlation=0.4)
    assert detectable(units, 1.5, test, correlation=0.4) == pytest.approx(effect, rel=1e-5)


def test_an_effect_far_beyond_the_spread_needs_two_units_in_the_smaller_arm() -> None:
    assert units_in_control(1000, 1.0) == 2
    assert units_in_control(1000, 1.0, Test(ratio=0.1)) == 20
    assert units_in_control(1, 0.0) == 2
    with pytest.raises(ValueError, match="zero cannot be found"):
        units_in_control(0, 1)


def test_a_small_arm_costs_more_units_in_all() -> None:
    # (1 + 1/9) / .1 over (1 + 1) / .5: 11.11 / 4 = 2.78 times as many in all
    uneven, even = units_in_control(0.1, 1, Test(ratio=9)) / 0.1, units_in_control(0.1, 1) / 0.5
    assert uneven / even == pytest.approx(100 / 36)


def test_four_of_five_small_experiments_find_their_effect() -> None:
    """17 an arm for one standard deviation, as the t test has it; the normal would say 16."""
    rng, n = np.random.default_rng(2), round(units_in_control(1.0, 1.0))
    a, b = rng.normal(0, 1, (4000, n)), rng.normal(1, 1, (4000, n))
    assert n == 17
    assert np.mean(stats.ttest_ind(b, a, axis=1).pvalue < 0.05) == pytest.approx(0.81, abs=0.02)


def test_four_of_five_always_valid_readings_at_the_end_find_their_effect() -> None:
    test = Test(tuned_to=1000)
    rng, n = np.random.default_rng(4), round(units_in_control(0.2, 1.0, test))
    edge = always_valid(Lift(0.0, 2 / n, 2 * n - 2, 2 * n), 1000).high
    drift = rng.normal(0.2, (2 / n) ** 0.5, 20_000)
    assert n > 1.5 * units_in_control(0.2, 1.0)
    assert np.mean(drift > edge) == pytest.approx(0.8, abs=0.01)


def test_the_design_effect_by_hand() -> None:
    assert inflation(11, 0.1) == 2  # 1 + 10 * .1
    assert inflation(11, 0.1, variation=1.0) == pytest.approx(3.1)  # 1 + (2 * 11 - 1) * .1


def test_clusters_of_ten_who_are_alike() -> None:
    found = of_learners(5, 2, size=10, similarity=0.2)
    # design effect 1 + 9 * .2 = 2.8; a cluster's mean has variance 4 * 2.8 / 10
    assert found == Baseline(5, pytest.approx((4 * 2.8 / 10) ** 0.5), 0.0, None, 10, 0.2, pytest.approx(2.8))
    assert of_learners(5, 2, correlation=0.3) == Baseline(5, 2, 0.3)


def test_the_past_tells_mean_deviation_and_correlation() -> None:
    rng = np.random.default_rng(3)
    before = rng.normal(size=20_000)
    outcome = 5 + 0.7 * before + 0.51**0.5 * rng.normal(size=20_000)
    found = of_units(Moments.of(np.column_stack([outcome, np.ones(20_000), before])))
    assert isinstance(found, Baseline)
    assert (found.mean, found.deviation, found.correlation) == pytest.approx((5, 1, 0.7), abs=0.02)
    assert found.units == 20_000


def test_the_past_tells_how_alike_members_are() -> None:
    """Between clusters a variance of 1, within of 3: members correlate by 1/4."""
    rng, size = np.random.default_rng(3), 8
    values = rng.normal(size=(3000, 1)) + 3**0.5 * rng.normal(size=(3000, size))
    learners = np.column_stack([values.ravel(), np.ones(values.size), np.zeros(values.size)])
    clusters = np.column_stack([values.sum(axis=1), np.full(3000, size), np.zeros(3000)])
    found = of_clusters(Moments.of(clusters), Moments.of(learners))
    assert isinstance(found, Baseline)
    assert (found.units, found.size) == (3000, size)
    assert found.similarity == pytest.approx(0.25, abs=0.02)
    assert found.inflation == pytest.approx(1 + 7 * 0.25, abs=0.15)
    assert found.deviation == pytest.approx((1 + 3 / size) ** 0.5, abs=0.03)
