"""Effects of segments, each drawn towards the common one by as much as its own noise calls for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats


@dataclass(frozen=True)
class Shrunk:
    """Means and standard errors [k] after shrinkage; the spread of true effects; the p-value of their being all alike."""

    values: list[float]
    errors: list[float]
    spread: float
    differ_p: float


def shrunk(values: Sequence[float], errors: Sequence[float]) -> Shrunk:
    """Empirical Bayes over k effects, k at least 2: their spread by Paule and Mandel (1982), `differ_p` by Cochran's Q.

    An error takes in that of the common mean, not that of the spread. Errors must be above zero.
    """
    found, noise = np.asarray(values, dtype=np.float64), np.asarray(errors, dtype=np.float64) ** 2
    between = _between(found, noise)
    centre, weights = _centre(found, noise + between)
    keep = between / (between + noise)
    variance = keep * noise + (1 - keep) ** 2 / weights.sum()
    differ = float(stats.chi2.sf(_excess(0.0, found, noise) + len(found) - 1, len(found) - 1))
    return Shrunk(list(centre + keep * (found - centre)), list(np.sqrt(variance)), float(between**0.5), differ)


def _centre(values: NDArray[np.float64], variances: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    weights = 1 / variances
    return float((weights * values).sum() / weights.sum()), weights


def _excess(between: float, values: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
    """How far the weighted squares exceed what chance gives; falls in `between`."""
    centre, weights = _centre(values, noise + between)
    return float((weights * (values - centre) ** 2).sum() - (len(values) - 1))


def _between(values: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
    if _excess(0.0, values, noise) <= 0:
        return 0.0
    highest = float(((values - values.mean()) ** 2).sum() + noise.max())  # there the squares sum to less than 1
    return float(optimize.brentq(_excess, 0.0, highest * len(values), args=(values, noise)))
