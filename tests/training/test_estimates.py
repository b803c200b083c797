"""The bootstrap: a worked value, its coverage in a seeded simulation, and what it refuses to say."""

import numpy as np
import pytest

from training.estimates import Estimate, Inconclusive, bootstrap_ratio


def interval(values: np.ndarray, learners: np.ndarray, seed: int = 0, resamples: int = 400) -> Estimate:
    rng = np.random.default_rng(seed)
    found = bootstrap_ratio(values, np.ones(len(values)), learners, rng=rng, resamples=resamples)
    assert isinstance(found, Estimate)
    return found


def test_the_value_is_the_ratio_of_sums() -> None:
    top, bottom = np.arange(20.0), np.full(20, 2.0)
    found = bootstrap_ratio(top, bottom, np.arange(20), rng=np.random.default_rng(0))
    assert isinstance(found, Estimate)
    assert (found.value, found.n) == (190 / 40, 20)
    assert found.low < found.value < found.high


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(3).random(50)
    assert interval(values, np.arange(50), seed=1) == interval(values, np.arange(50), seed=1)
    assert interval(values, np.arange(50), seed=1) != interval(values, np.arange(50), seed=2)


def test_agreement_with_the_textbook_standard_error() -> None:
    values = np.random.default_rng(4).normal(size=2_000)
    found = interval(values, np.arange(2_000), resamples=2_000)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(2_000), rel=0.08)


def test_repeating_every_row_of_a_learner_adds_no_certainty() -> None:
    values = np.random.default_rng(4).random(40)
    once, often = interval(values, np.arange(40)), interval(np.repeat(values, 9), np.repeat(np.arange(40), 9))
    assert (often.low, often.high, often.n) == pytest.approx((once.low, once.high, 40))


def test_intervals_cover_the_truth_about_95_times_in_100() -> None:
    """300 logs of 80 learners with 1 to 4 correlated rows each, true mean .2; four standard errors of a rate of .95 are .05."""
    rng, covered = np.random.default_rng(8), 0
    for run in range(300):
        learners = np.repeat(np.arange(80), rng.integers(1, 5, size=80))
        rate = rng.beta(1, 4, size=80)[learners]
        found = interval((rng.random(len(learners)) < rate).astype(float), learners, seed=run, resamples=300)
        covered += found.low <= 0.2 <= found.high
    assert 0.90 <= covered / 300 <= 0.99


@pytest.mark.parametrize("learners", [0, 1, 2, 9])
def test_few_learners_give_no_estimate(learners: int) -> None:
    values = np.arange(float(learners))
    found = bootstrap_ratio(values, np.ones(learners), np.arange(learners), rng=np.random.default_rng(0))
    assert found == Inconclusive(f"{learners} learners, an interval needs at least 10")


def test_no_spread_gives_no_estimate() -> None:
    found = bootstrap_ratio(np.zeros(50), np.ones(50), np.arange(50), rng=np.random.default_rng(0))
    assert isinstance(found, Inconclusive)
    assert "the same value, 0" in found.reason
