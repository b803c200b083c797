"""From a score to the probability that the learner takes the item up next: a fitted, monotone map, as a bundle holds it.

Scores compare within one ranking only, so the map starts from a share: the softmax, at a fitted temperature, of the
standardised scores of all items the learner has not taken up (temperature scaling: Guo, Pleiss, Sun, Weinberger, ICML 2017).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training.models.base import floats, number
from training.models.weights import standardise

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Calibration:
    """temperature of the softmax; knots: float32[k, 2], ascending (ln share, ln probability), straight lines between them."""

    temperature: float
    knots: Floats

    def probabilities(self, scores: Floats, taken: NDArray[np.integer], items: NDArray[np.integer]) -> NDArray[np.float64]:
        """float64[len(items)]: of one learner's scores, float32[m] (NaN: cannot score); `taken`: items of the history.

        NaN for an item that was taken up or has no score.
        """
        asked = np.array(scores, dtype=np.float32)
        asked[taken] = np.nan
        shares = log_shares(asked[None], np.array([self.temperature]))
        return self.of(shares.value[0, items] / self.temperature - shares.log_total[0, 0])

    def of(self, log_share: NDArray[np.floating]) -> NDArray[np.float64]:
        """The probabilities of log shares, of any shape; NaN stays NaN."""
        found = np.exp(np.interp(log_share, self.knots[:, 0], self.knots[:, 1]))
        return np.where(np.isnan(log_share), np.nan, found)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As a bundle stores it."""
        return {"knots": self.knots, "temperature": np.array([self.temperature], dtype=np.float32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The same again. Errors: KeyError, ValueError for arrays that are no such map."""
        knots = floats(arrays, "knots", None, 2)
        if not len(knots) or np.any(np.diff(knots, axis=0) < 0) or knots[-1, 1] > 0:
            raise ValueError("knots do not rise to a probability of at most 1")
        found = floats(arrays, "temperature", 1)
        return cls(number({"temperature": found[0]}, "temperature", low=1e-6), knots)


@dataclass(frozen=True, eq=False)
class Shares:
    """value: float32[n, m] standardised scores, NaN where there is none; log_total: float64[n, t] by temperature.

    The log share of an item at temperature T is `value / T - log_total`.
    """

    value: Floats
    log_total: NDArray[np.float64]


def log_shares(scores: Floats, temperatures: NDArray[np.floating]) -> Shares:
    """Of float32[n, m] scores, NaN where an item is no candidate. A row of equal scores has equal shares."""
    value, known = standardise(scores)
    value[~known] = -np.inf
    top = np.where(known.any(axis=1), value.max(axis=1, initial=-np.inf), 0)
    totals = [np.exp((value - top[:, None]) / np.float32(t)).sum(axis=1, dtype=np.float64) for t in temperatures]
    with np.errstate(divide="ignore"):
        found = np.log(np.stack(totals, axis=1)) + top[:, None] / temperatures
    value[~known] = np.nan
    return Shares(value, found)
