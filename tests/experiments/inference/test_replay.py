"""Arms drawn anew over outcomes that know of none find something one time in twenty, unless the analysis is wrong."""

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.inference.replay import carried_by, replay

HALVES = {"control": ((0, 5_000),), "treatment": ((5_000, 10_000),)}
FEW = {"control": ((0, 9_000),), "treatment": ((9_000, 10_000),)}


def means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([values, np.ones(len(values)), np.zeros(len(values))])


def ids(n: int) -> list[str]:
    return [str(place) for place in range(n)]


@pytest.mark.parametrize("relative", [False, True])
def test_a_healthy_metric_is_in_order(relative: bool) -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(5, 1, 600)
    rows = np.column_stack([before + rng.normal(5, 1, 600), np.ones(600), before])
    found = replay(rows, ids(600), HALVES, relative=relative)
    assert found.runs == 400
    assert 6 <= found.false_positives <= 35  # the 99.9 % interval around 20
    assert not found.too_many
    assert not found.too_few


def test_learners_of_clusters_that_are_counted_one_by_one_are_found_out() -> None:
    """A leak: 50 sites are assigned as wholes, and their learners, who are alike, are taken for independent."""
    rng, site = np.random.default_rng(2), np.arange(1_000) // 20
    rows = means(rng.normal(size=50)[site] + rng.normal(size=1_000))
    leaked = replay(rows, [str(one) for one in site], HALVES, relative=False)
    assert leaked.too_many
    assert leaked.false_positives > 100
    sums = np.array([rows[site == one].sum(axis=0) for one in range(50)])
    assert not replay(sums, ids(50), HALVES, relative=False).too_many


def test_rare_outcomes_in_a_small_arm_are_found_out() -> None:
    """Ten of a thousand, and a tenth of the units treated: often that arm has none, and its variance seems to be nothing."""
    rare = np.zeros(1_000)
    rare[:10] = 1
    assert replay(means(rare), ids(1_000), FEW, relative=False).too_many


def test_a_few_that_make_up_all_are_counted() -> None:
    rare = np.zeros(1_000)
    rare[:3] = 1
    assert carried_by(means(rare)) == pytest.approx(3, abs=0.1)
    assert carried_by(means(np.random.default_rng(1).normal(size=3_000))) == pytest.approx(1_000, rel=0.1)  # kurtosis 3
    assert carried_by(means(np.ones(9))) == 0
    assert replay(means(rare), ids(1_000), HALVES, relative=False).too_few


def test_without_any_spread_nothing_is_found() -> None:
    assert replay(means(np.ones(100)), ids(100), HALVES, relative=True, runs=20).false_positives == 0
