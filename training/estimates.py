"""A statistic is an estimate with its interval, or the reason why there is none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_LEARNERS = 10
"""Below this a bootstrap by learner is too narrow to be shown (and of two learners it is the two values themselves)."""

_DRAWS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, from `n` independent learners."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Inconclusive:
    """No estimate, and why."""

    reason: str


def bootstrap_ratio(
    numerator: NDArray[np.float64],
    denominator: NDArray[np.float64],
    learners: NDArray[np.integer],
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Estimate | Inconclusive:
    """sum(numerator) / sum(denominator) with a percentile interval, resampling learners with all of their rows.

    Cluster bootstrap: rows of one learner are not independent (Cameron, Gelbach, Miller 2008). All arrays are [k].
    """
    _, row = np.unique(learners, return_inverse=True)
    top, bottom = _totals(row, numerator), _totals(row, denominator)
    n = len(top)
    if n < FEWEST_LEARNERS:
        return Inconclusive(f"{n} learners, an interval needs at least {FEWEST_LEARNERS}")
    if np.ptp(top / bottom) == 0:
        return Inconclusive(f"all {n} learners have the same value, {top[0] / bottom[0]:g}: a bootstrap sees no spread")
    drawn = np.concatenate([_ratios(top, bottom, size, rng) for size in _chunks(resamples, n)])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(top.sum() / bottom.sum()), float(low), float(high), n)


def _totals(row: NDArray[np.integer], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(row, values).astype(np.float64)


def _chunks(resamples: int, n: int) -> list[int]:
    """Sizes that sum to `resamples`, each small enough to bound memory at n draws a resample."""
    size = max(1, _DRAWS_AT_ONCE // n)
    return [min(size, resamples - start) for start in range(0, resamples, size)]


def _ratios(top: NDArray[np.float64], bottom: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    draws = rng.integers(len(top), size=(size, len(top)))
    found: NDArray[np.float64] = top[draws].sum(axis=1) / bottom[draws].sum(axis=1)
    return found
