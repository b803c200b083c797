"""What is reckoned here in closed form agrees with libraries that others keep, over seeded random data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import tea_tasting as tt
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower
from statsmodels.stats.proportion import proportions_chisquare
from tea_tasting.aggr import Aggregates

from experiments.inference.intervals import fixed
from experiments.inference.lifts import Lift, lift
from experiments.inference.multiplicity import holm
from experiments.inference.power import Test, detectable, units_in_control
from experiments.inference.sample_ratio import sample_ratio
from experiments.inference.samples import Moments, Sample, adjusted, ratio

Rows = NDArray[np.float64]
SEEDS = range(5)


def between(control: object, arm: object, *, relative: bool = False) -> Lift:
    assert isinstance(control, Sample)
    assert isinstance(arm, Sample)
    found = lift(control, arm, relative=relative)
    assert isinstance(found, Lift)
    return found


def arms(seed: int) -> tuple[Rows, Rows]:
    """Numerator, denominator and covariate of two arms of unlike size and spread."""
    rng = np.random.default_rng(seed)
    found = []
    for n, effect in ((400, 1.0), (300, 1.3)):
        before, offers = rng.gamma(2, 2, n), rng.integers(1, 9, n).astype(float)
        found.append(np.column_stack([offers * effect * rng.lognormal(0, 0.5, n) + before, offers, before]))
    return found[0], found[1]


def aggregates(rows: Rows) -> Aggregates:
    names = ("y", "d", "x")
    spread = np.cov(rows, rowvar=False)
    pairs = {(a, b): float(spread[i, j]) for i, a in enumerate(names) for j, b in enumerate(names) if a < b}
    means = dict(zip(names, map(float, rows.mean(axis=0)), strict=True))
    return Aggregates(len(rows), means, {name: float(spread[i, i]) for i, name in enumerate(names)}, pairs)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mean_is_tea_tastings_and_scipys(seed: int) -> None:
    control, arm = arms(seed)
    theirs = tt.Mean("y").analyze_aggregates(aggregates(control), aggregates(arm))
    alone = [np.column_stack([rows[:, 0], np.ones(len(rows)), rows[:, 2]]) for rows in (control, arm)]
    ours = fixed(between(*(ratio(Moments.of(rows)) for rows in alone)))
    assert (ours.value, ours.low, ours.high, ours.p_value) == pytest.approx(
        (theirs.effect_size, theirs.effect_size_ci_lower, theirs.effect_size_ci_upper, theirs.pvalue)
    )
    assert ours.p_value == pytest.approx(stats.ttest_ind(control[:, 0], arm[:, 0], equal_var=False).pvalue)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ratio_by_the_delta_method_is_tea_tastings(seed: int) -> None:
    control, arm = arms(seed)
    theirs = tt.RatioOfMeans("y", "d").analyze_aggregates(aggregates(control), aggregates(arm))
    ours = fixed(between(ratio(Moments.of(control)), ratio(Moments.of(arm))))
    assert (ours.value, ours.low, ours.high, ours.p_value) == pytest.approx(
        (theirs.effect_size, theirs.effect_size_ci_lower, theirs.effect_size_ci_upper, theirs.pvalue)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_relative_lift_is_that_of_the_delta_method_by_numerical_derivatives(seed: int) -> None:
    """tea-tasting takes the logarithm's interval and gbstats this one, so here the gradient is taken by differences."""
    control, arm = arms(seed)
    samples = [Sample(len(rows), rows[:, 0].mean(), rows[:, 0].var(ddof=1)) for rows in (control, arm)]
    ours = between(*samples, relative=True)
    a, b, step = samples[0].mean, samples[1].mean, 1e-5
    by_a = ((b - a - step) / (a + step) - (b - a + step) / (a - step)) / (2 * step)
    by_b = ((b + step - a) / a - (b - step - a) / a) / (2 * step)
    assert ours.value == pytest.approx(b / a - 1)
    assert ours.variance == pytest.approx(by_a**2 * samples[0].error ** 2 + by_b**2 * samples[1].error ** 2, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_cuped_is_the_regression_on_arm_and_covariate(seed: int) -> None:
    """The same slope within arms as statsmodels' least squares, up to n / (n - 1) in each arm; tea-tasting's is of both arms
    together, which an effect bends a little.
    """
    control, arm = (np.column_stack([rows[:, 0], np.ones(len(rows)), rows[:, 2]]) for rows in arms(seed))
    found = adjusted({"control": Moments.of(control), "arm": Moments.of(arm)})
    assert isinstance(found, dict)
    ours = fixed(between(found["control"], found["arm"]))
    y, x = np.concatenate([control[:, 0], arm[:, 0]]), np.concatenate([control[:, 2], arm[:, 2]])
    treated = np.repeat([0.0, 1.0], [len(control), len(arm)])
    theirs = sm.OLS(y, sm.add_constant(np.column_stack([treated, x]))).fit(cov_type="HC1")
    assert ours.value == pytest.approx(theirs.params[1], rel=1e-3)
    assert ours.error == pytest.approx(theirs.bse[1], rel=0.02)
    near = tt.Mean("y", "x").analyze_aggregates(aggregates(control), aggregates(arm))
    assert ours.value == pytest.approx(near.effect_size, rel=0.02)
    assert ours.error == pytest.approx(np.diff([near.effect_size_ci_lower, near.effect_size_ci_upper])[0] / 2 / 1.963, rel=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_clusters_are_the_regression_with_cluster_robust_errors(seed: int) -> None:
    """statsmodels scales by G / (G - 1) (n - 1) / (n - 2) over both arms, this by G / (G - 1) in each."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 20, 120)
    cluster = np.repeat(np.arange(120), sizes)
    treated = (cluster % 2).astype(float)
    y = 3 + 0.5 * treated + rng.normal(0, 1, 120)[cluster] + rng.normal(0, 2, len(cluster))
    theirs = sm.OLS(y, sm.add_constant(treated)).fit(cov_type="cluster", cov_kwds={"groups": cluster})
    sums = pd.DataFrame({"cluster": cluster, "y": y, "d": 1.0, "x": 0.0}).groupby("cluster").sum().to_numpy()
    ours = fixed(between(ratio(Moments.of(sums[::2])), ratio(Moments.of(sums[1::2]))))
    assert ours.value == pytest.approx(theirs.params[1])
    assert ours.error == pytest.approx(theirs.bse[1], rel=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sample_ratio_is_tea_tastings_and_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    control, arm = (int(one) for one in rng.multinomial(9_000, [0.75, 0.25]))
    data = pd.DataFrame({"variant": np.repeat([0, 1], [control, arm]), "x": 1})
    theirs = tt.Experiment({"sizes": tt.SampleRatio(1 / 3, method="norm", correction=False)}).analyze(data)
    ours = sample_ratio({"control": control, "arm": arm}, {"control": 0.75, "arm": 0.25})
    assert ours == pytest.approx(theirs["sizes"].pvalue)
    assert ours == pytest.approx(proportions_chisquare([control], [control + arm], 0.75)[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_holm_rejects_one_after_another(seed: int) -> None:
    """Its definition beside the adjusted p-values: the smallest at alpha / k, the next at alpha / (k - 1), until one fails."""
    values = np.random.default_rng(seed).beta(0.3, 4, 9)
    order, rejected = np.argsort(values), set[int]()
    for step, place in enumerate(order):
        if values[place] > 0.05 / (len(values) - step):
            break
        rejected.add(int(place))
    assert {place for place, one in enumerate(holm(list(values))) if one <= 0.05} == rejected


@pytest.mark.parametrize("ratio_", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("effect", [0.02, 0.1, 0.25, 0.5, 1.0])
def test_power_is_statsmodels(effect: float, ratio_: float) -> None:
    """By the normal where arms are large, by the noncentral t where one has fewer than a hundred."""
    ours = units_in_control(effect, 1.0, Test(ratio=ratio_))
    large = min(ours, ours * ratio_) >= 100
    theirs = (NormalIndPower() if large else TTestIndPower()).solve_power(effect, power=0.8, alpha=0.05, ratio=ratio_)
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert detectable(ours, 1.0, Test(ratio=ratio_)) == pytest.approx(effect, rel=1e-6)


def test_power_is_tea_tastings() -> None:
    data = Aggregates(10_000, {"y": 12.0}, {"y": 9.0}, {})
    found = tt.Mean("y", rel_effect_size=0.04, use_t=False).solve_power_from_aggregates(data, "n_obs")
    assert 2 * units_in_control(0.48, 3.0) == pytest.approx(found[0].n_obs, abs=1.0)
