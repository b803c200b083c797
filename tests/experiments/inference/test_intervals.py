"""Intervals and p-values agree with each other, with scipy, and with how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from experiments.comparisons import compare
from experiments.inference.estimates import Estimate, Inconclusive
from experiments.inference.intervals import always_valid, always_valid_share, fixed
from experiments.inference.lifts import Lift, lift
from experiments.inference.samples import Moments, Sample, ratio
from experiments.outcomes.measures import measures
from experiments.simulate.worlds import World


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


def share(control: Sample, arm: Sample) -> Estimate:
    found = always_valid_share(control, arm)
    assert isinstance(found, Estimate)
    return found


def test_few_events_early_are_no_finding_on_one_scale_that_the_other_does_not_make() -> None:
    """9 % and 3 % of 143 learners: the delta method's always-valid interval of the share left zero out, 6 of 100 times in
    nothing; on the scale itself chance explains the difference.
    """
    control, arm = Sample(143, 0.0904, 0.085), Sample(143, 0.0279, 0.027)
    by_delta = always_valid(between(control, arm, relative=True), 2_000)
    absolute = always_valid(between(control, arm, relative=False), 2_000)
    found = always_valid_share(control, arm, 2_000)
    assert by_delta.excludes(0)
    assert not absolute.excludes(0)
    assert isinstance(found, Inconclusive) or not found.excludes(0)


@pytest.mark.parametrize("mean", [10.9, 11.2, 11.21, 13.0, 8.9])
def test_a_share_is_found_where_the_difference_is(mean: float) -> None:
    control, arm = Sample(500, 10.0, 9.0), Sample(700, mean, 16.0)
    assert share(control, arm).excludes(0) == always_valid(between(control, arm, relative=False)).excludes(0)


def test_a_share_of_a_mean_that_is_well_known_is_the_delta_methods() -> None:
    control, arm = Sample(2_000_000, 10.0, 9.0), Sample(2_000_000, 10.1, 9.0)
    delta = always_valid(between(control, arm, relative=True))
    found = share(control, arm)
    assert (found.low, found.high, found.error) == pytest.approx((delta.low, delta.high, delta.error), rel=1e-3)


def test_a_share_of_a_negative_mean_is_more_where_the_mean_is() -> None:
    turned = share(Sample(500, -10.0, 9.0), Sample(500, -8.0, 9.0))
    plain = share(Sample(500, 10.0, 9.0), Sample(500, 8.0, 9.0))
    assert (turned.low, turned.value, turned.high) == pytest.approx((-plain.high, 0.2, -plain.low))


def test_a_share_of_what_may_be_nothing_is_refused() -> None:
    assert isinstance(always_valid_share(Sample(100, 0.2, 1.0), Sample(100, 0.5, 1.0)), Inconclusive)


def test_a_comparison_at_any_look_takes_the_share_by_fieller() -> None:
    """The few events of the test above as a design would read them."""
    rows = {"control": (143, 0.0904, 0.085), "treatment": (143, 0.0279, 0.027)}
    arms = {arm: Moments(n, np.array([mean, 1, 0]), np.diag([spread, 0, 0])) for arm, (n, mean, spread) in rows.items()}
    design = World("completions", 2_000).design(peeking="always-valid")
    found = compare(arms, measures(design)[0], design)[0].at_any_look
    assert found == always_valid_share(Sample(143, 0.0904, 0.085), Sample(143, 0.0279, 0.027), 2_000)
