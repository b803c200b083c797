"""Each estimator beside arithmetic on the rows themselves, and beside a simulation of what it claims."""

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.inference.estimates import Inconclusive
from experiments.inference.lifts import Lift, lift
from experiments.inference.samples import Moments, Sample, adjusted, mean, ratio


def sample(rows: list[tuple[float, float, float]]) -> Sample:
    found = ratio(Moments.of(np.array(rows, dtype=np.float64)))
    assert isinstance(found, Sample)
    return found


def test_the_mean_of_one_two_six() -> None:
    # squares 1 + 4 + 36 = 41; (41 - 9 * 9 / 3) / 2 = 7
    assert mean(3, 9, 41) == sample([(1, 1, 0), (2, 1, 0), (6, 1, 0)]) == Sample(3, 3, 7)


def test_a_ratio_weighs_units_by_their_denominators() -> None:
    # (1 + 6) / (1 + 2) = 7/3; residuals 1 - 7/3 and 6 - 14/3 are -4/3 and 4/3: variance 32/9, over the squared mean 1.5
    found = sample([(1, 1, 0), (6, 2, 0)])
    assert found.mean == pytest.approx(7 / 3)
    assert found.variance == pytest.approx(32 / 9 / 1.5**2)


def test_clusters_of_copies_know_no_more_than_their_number(rng: np.random.Generator) -> None:
    """Ten copies of a unit in a cluster: the mean and its error are those of one copy each."""
    alone = rng.normal(5, 2, 40)
    copies = np.column_stack([10 * alone, np.full(40, 10.0), np.zeros(40)])
    found = ratio(Moments.of(copies))
    assert isinstance(found, Sample)
    assert (found.n, found.mean) == (40, pytest.approx(alone.mean()))
    assert found.error == pytest.approx(alone.std(ddof=1) / 40**0.5)


def test_nothing_to_divide_by_is_no_number() -> None:
    assert ratio(Moments.of(np.array([[1.0, 0, 0], [2, 0, 0]]))) == Inconclusive(
        "nothing to divide by: the denominator is zero"
    )


def correlated(rng: np.random.Generator, n: int, effect: float = 0.0) -> NDArray[np.float64]:
    """Outcome and covariate that correlate by .7, each of variance 1."""
    before = rng.normal(size=n)
    return np.column_stack([0.7 * before + 0.51**0.5 * rng.normal(size=n) + effect, np.ones(n), before])


def test_adjusting_takes_the_squared_correlation_off_the_variance(rng: np.random.Generator) -> None:
    found = adjusted({"control": Moments.of(correlated(rng, 40_000)), "treatment": Moments.of(correlated(rng, 40_000))})
    assert isinstance(found, dict)
    assert [one.variance for one in found.values()] == pytest.approx([1 - 0.7**2] * 2, rel=0.05)


def test_adjusting_moves_no_effect(rng: np.random.Generator) -> None:
    """Mean of 400 experiments within 3.5 standard errors of the truth, and the spread is what each says of itself."""
    values, errors = [], []
    for _ in range(400):
        found = adjusted({"a": Moments.of(correlated(rng, 200)), "b": Moments.of(correlated(rng, 200, 0.3))})
        assert isinstance(found, dict)
        one = lift(found["a"], found["b"], relative=False)
        assert isinstance(one, Lift)
        values.append(one.value)
        errors.append(one.variance**0.5)
    assert abs(np.mean(values) - 0.3) < 3.5 * np.std(values) / 20
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.12)


def test_a_covariate_that_does_not_vary_explains_nothing() -> None:
    rows = np.array([[1.0, 1, 3], [2, 1, 3]])
    found = adjusted({"a": Moments.of(rows), "b": Moments.of(rows)})
    assert found == Inconclusive("what is known from before does not vary, so it explains nothing")


def test_without_spread_nothing_is_tested() -> None:
    found = lift(Sample(10, 1, 0), Sample(10, 2, 0), relative=False)
    assert isinstance(found, Inconclusive)
    assert "spread" in found.reason


def test_one_unit_an_arm_is_no_experiment() -> None:
    assert isinstance(lift(Sample(1, 1, 0), Sample(1, 2, 0), relative=False), Inconclusive)


def test_a_share_of_what_may_be_nothing_is_refused() -> None:
    found = lift(Sample(100, 0.1, 1), Sample(100, 0.2, 1), relative=True)
    assert isinstance(found, Inconclusive)
    assert "cannot be told from zero" in found.reason


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def test_an_arm_without_anything_beside_a_control_with_something_is_refused_not_a_division_by_zero() -> None:
    """As a share of the control the arm's zero has no variance by the delta method: the interval was of width nothing."""
    found = lift(Sample(100, 0.1, 0.09), Sample(100, 0.0, 0.0), relative=True)
    assert isinstance(found, Inconclusive)
    assert isinstance(lift(Sample(100, 0.1, 0.09), Sample(100, 0.0, 0.0), relative=False), Lift)
