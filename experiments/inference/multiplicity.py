"""Several tests at once: p-values that still mean what they say."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted so that the chance of even one false finding stays at the level (Holm 1979); in the order given."""
    order, sorted_p = _sorted(p_values)
    steps = np.maximum.accumulate(sorted_p * np.arange(len(sorted_p), 0, -1))
    return _back(order, steps)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted so that the expected share of false findings stays at the level (1995); in the order given."""
    order, sorted_p = _sorted(p_values)
    steps = sorted_p * len(sorted_p) / np.arange(1, len(sorted_p) + 1)
    return _back(order, np.minimum.accumulate(steps[::-1])[::-1])


def _sorted(p_values: Sequence[float]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    return order, values[order]


def _back(order: NDArray[np.intp], adjusted: NDArray[np.float64]) -> list[float]:
    found = np.empty_like(adjusted)
    found[order] = np.minimum(adjusted, 1.0)
    return [float(one) for one in found]
