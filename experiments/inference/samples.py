"""What one arm tells of one metric: the number of independent units, a mean, and the variance of one unit."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.inference.estimates import Inconclusive


@dataclass(frozen=True)
class Sample:
    """`n` independent units, their mean, and the variance of what one of them adds to it."""

    n: int
    mean: float
    variance: float

    @property
    def error(self) -> float:
        """Of the mean."""
        return math.sqrt(self.variance / self.n)


def mean(n: int, total: float, squares: float) -> Sample:
    """The sample of `n` values (at least 2) from their sum and the sum of their squares."""
    return Sample(n, total / n, max((squares - total * total / n) / (n - 1), 0.0))


def proportion(n: int, successes: int) -> Sample:
    """The sample of `n` yes-or-no values; the variance is p (1 - p), as of a binomial."""
    share = successes / n
    return Sample(n, share, share * (1 - share))


@dataclass(frozen=True)
class Moments:
    """Means [3] and covariances [3, 3] over `n` independent units of numerator, denominator and covariate.

    A metric is the sum of numerators over the sum of denominators. A mean has denominators of 1. Where whole clusters were
    randomised, they are the units: the numerator is a cluster's total and the denominator its size.
    """

    n: int
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    @classmethod
    def of(cls, rows: NDArray[np.float64]) -> "Moments":
        """Of rows [n, 3], n at least 2."""
        return cls(len(rows), rows.mean(axis=0), np.cov(rows, rowvar=False))


def ratio(moments: Moments) -> Sample | Inconclusive:
    """The sample of a ratio by the delta method (Deng, Knoblich, Lu 2018, eq. 4); exact for a mean, robust for clusters."""
    if moments.means[1] == 0:
        return Inconclusive("nothing to divide by: the denominator is zero")
    value, gradient = _linear(moments, 0)
    return Sample(moments.n, value, _variance(moments, gradient))


def adjusted(arms: dict[str, Moments]) -> dict[str, Sample] | Inconclusive:
    """Each arm's sample less what the covariate explains: CUPED (Deng, Xu, Kohavi, Walker 2013), one slope for all arms.

    The slope is that within arms, so that an effect does not bend it; samples are centred at the covariate's mean over arms.
    """
    if any(one.means[1] == 0 for one in arms.values()):
        return Inconclusive("nothing to divide by: the denominator is zero")
    slope = _slope(arms)
    if slope is None:
        return Inconclusive("what is known from before does not vary, so it explains nothing")
    centre = sum(one.n * _linear(one, 2)[0] for one in arms.values()) / sum(one.n for one in arms.values())
    return {arm: _adjusted(one, slope, centre) for arm, one in arms.items()}


def _slope(arms: dict[str, Moments]) -> float | None:
    together = spread = 0.0
    for one in arms.values():
        outcome, before = _linear(one, 0)[1], _linear(one, 2)[1]
        together += one.n * float(outcome @ one.covariances @ before)
        spread += one.n * _variance(one, before)
    return together / spread if spread > 0 else None


def _adjusted(moments: Moments, slope: float, centre: float) -> Sample:
    (value, outcome), (before, covariate) = _linear(moments, 0), _linear(moments, 2)
    return Sample(moments.n, value - slope * (before - centre), _variance(moments, outcome - slope * covariate))


def _linear(moments: Moments, column: int) -> tuple[float, NDArray[np.float64]]:
    """The ratio of a column to the denominator, and its gradient [3] in the three means."""
    value, gradient = float(moments.means[column] / moments.means[1]), np.zeros(3)
    gradient[column] = 1
    gradient[1] -= value
    return value, gradient / moments.means[1]


def _variance(moments: Moments, gradient: NDArray[np.float64]) -> float:
    return max(float(gradient @ moments.covariances @ gradient), 0.0)
