"""Several tests, several segments, several looks, and the Bayesian view."""

import numpy as np
import pytest
from scipy import stats

from experiments.inference.bayes import chance_above
from experiments.inference.group_sequential import chance_to_cross, pocock
from experiments.inference.multiplicity import holm
from experiments.inference.power import units_in_control
from experiments.inference.sample_ratio import sample_ratio
from experiments.inference.shrinkage import shrunk


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04: times 4, 3, 2, 1 is .04 .06 .06 .04, never falling
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_effects_that_differ_keep_most_of_their_difference() -> None:
    found = shrunk([0.0, 10.0], [0.1, 0.1])
    assert found.values == pytest.approx([0, 10], abs=0.01)
    assert found.differ_p < 1e-6
    assert found.spread == pytest.approx(50**0.5, rel=0.01)  # the variance of 0 and 10 is 50


def test_shrinkage_is_closer_to_the_truth_than_the_segments_alone() -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(1, 0.3, (200, 6))
    seen = truth + rng.normal(0, 0.6, truth.shape)
    drawn = np.array([shrunk(list(row), [0.6] * 6).values for row in seen])
    assert ((drawn - truth) ** 2).mean() < 0.6 * ((seen - truth) ** 2).mean()


def test_a_chance_to_win_without_a_prior_is_the_one_sided_test() -> None:
    assert chance_above(1.96, 1) == pytest.approx(0.975, abs=1e-4)
    assert chance_above(0, 1) == 0.5


def test_a_prior_draws_a_lucky_result_back() -> None:
    # prior 1, error 1: the posterior has mean 1 and deviation sqrt(1/2)
    assert chance_above(2, 1, prior=1) == pytest.approx(stats.norm.cdf(2**0.5))
    assert chance_above(2, 1, bar=1, prior=1) == pytest.approx(0.5)


def test_power_holds_in_a_simulation() -> None:
    rng, n = np.random.default_rng(2), round(units_in_control(0.5, 1))
    p_values = stats.ttest_ind(rng.normal(0, 1, (n, 4000)), rng.normal(0.5, 1, (n, 4000))).pvalue
    assert abs((p_values < 0.05).mean() - 0.8) < 0.025


def test_one_look_at_its_bound_errs_at_the_level() -> None:
    assert chance_to_cross(pocock(1)) == pytest.approx(0.05, abs=1e-6)


def test_a_sample_ratio_needs_two_arms_and_somebody_in_them() -> None:
    with pytest.raises(ValueError, match="two arms"):
        sample_ratio({"a": 3}, {"a": 1.0, "b": 0.0})
    with pytest.raises(ValueError, match="two arms"):
        sample_ratio({}, {"a": 0.5, "b": 0.5})
