"""Intervals and p-values agree with each other, with scipy, and with how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from experiments.inference.intervals import always_valid, fixed
from experiments.inference.lifts import Lift, lift
from experiments.inference.samples import Moments, Sample, ratio


def between(control: Sample, arm: Sample, *, relative: bool = False) -> Lift:
    found = lift(control, arm, relative=relative)
    assert isinstance(found, Lift)
    return found


def test_the_fixed_interval_is_welchs() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 30), rng.normal(0.4, 3, 50)
    found = fixed(between(Sample(30, a.mean(), a.var(ddof=1)), Sample(50, b.mean(), b.var(ddof=1))))
    theirs = stats.ttest_ind(b, a, equal_var=False)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval()))


@pytest.mark.parametrize("value", [0.12, 0.4])
def test_an_always_valid_interval_ends_where_its_p_value_is_the_level(value: float) -> None:
    one = Lift(value, 0.01, 998, 1000)
    found = always_valid(one, alpha=0.05)
    shifted = always_valid(Lift(found.high - value, 0.01, 998, 1000))
    assert shifted.p_value == pytest.approx(0.05)
    assert always_valid(one).p_value <= 1


def test_it_is_narrowest_near_the_size_it_is_tuned_to() -> None:
    widths = {tuned: always_valid(Lift(0, 4 / 2000, 1998, 2000), tuned).high for tuned in (200, 2000, 20_000)}
    assert min(widths, key=widths.__getitem__) == 2000


def test_a_skewed_clustered_world_is_covered() -> None:
    """95 % of 2,000 intervals hold the true relative lift of a clustered, log-normal metric: within 3.3 binomial errors."""
    rng, truth, runs, hits = np.random.default_rng(11), 0.1, 2000, 0
    for _ in range(runs):
        arms = []
        for effect in (1.0, 1 + truth):
            sizes = rng.integers(2, 12, 150)
            totals = sizes * effect * rng.lognormal(0, 0.8, 150)
            found = ratio(Moments.of(np.column_stack([totals, sizes, np.zeros(150)])))
            assert isinstance(found, Sample)
            arms.append(found)
        one = fixed(between(*arms, relative=True))
        hits += one.low <= truth <= one.high
    assert abs(hits / runs - 0.95) < 3.3 * (0.95 * 0.05 / runs) ** 0.5


def test_an_interval_knows_what_it_leaves_out() -> None:
    found = fixed(Lift(1.0, 0.01, 100, 102))
    assert found.excludes(0)
    assert not found.excludes(1.1)
