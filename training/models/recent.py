"""Recent popularity: learners per item, each counted less the longer ago it was, for each audience.

An audience's share of an item is smoothed towards everybody's share, as if `prior` further take-ups had followed the
whole population (the posterior mean under a Dirichlet prior): an audience of three people ranks nearly like everybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from features.interactions import Histories, Interactions
from training.models.base import Arrays, at_the_mean, columns, floats

_DAY = np.timedelta64(1, "D")


class Recent(BaseModel):
    """`half_life_days`: after it a take-up counts half. `prior`: take-ups of the whole population added to an audience."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "recent"

    half_life_days: float = Field(default=90.0, gt=0)
    prior: float = Field(default=50.0, gt=0)

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedRecent":
        """Ages are relative to `interactions.until`, or its newest time; entries without a time do not count."""
        dated = ~np.isnat(interactions.at)
        counts = np.zeros((interactions.n_audiences + 1, interactions.n_items))
        if not dated.any():
            return FittedRecent(np.full(counts.shape, np.nan, dtype=np.float32))
        at, items = interactions.at[dated], interactions.items[dated]
        until = at.max() if np.isnat(interactions.until) else interactions.until
        weight = np.exp2(-np.maximum((until - at) / _DAY, 0) / self.half_life_days)
        audience = interactions.audience[interactions.rows()[dated]]
        np.add.at(counts, (_row(audience, interactions.n_audiences), items), weight)
        counts[-1] = np.bincount(items, weight, minlength=interactions.n_items)
        return FittedRecent(_shares(counts, self.prior))


def grid(n_items: int) -> Sequence[Recent]:
    """Half-lives to choose from on validation."""
    return tuple(Recent(half_life_days=days) for days in (7, 30, 90, 365))


def _row(audience: NDArray[np.int32], n_audiences: int) -> NDArray[np.int32]:
    """The row of an audience's shares; the last row (everybody) for an audience that the table does not know."""
    return np.where((audience >= 0) & (audience < n_audiences), audience, n_audiences).astype(np.int32)


def _shares(counts: NDArray[np.float64], prior: float) -> NDArray[np.float32]:
    """Smoothed shares from decayed counts; float64[a + 1, m], the last row counting everybody."""
    total = counts[-1].sum()
    everybody = counts[-1] / total if total > 0 else counts[-1]
    shares: NDArray[np.float64] = (counts + prior * everybody) / (counts.sum(axis=1, keepdims=True) + prior)
    shares[-1] = everybody
    return shares.astype(np.float32)


@dataclass(frozen=True, eq=False)
class FittedRecent:
    """shares: float32[n_audiences + 1, n_items], the last row for everybody. All NaN where the table had no times.

    An item that nobody took up scores as the mean of the others: how popular it would be is not known.
    """

    shares: NDArray[np.float32]
    kind: ClassVar[str] = "recent"

    @property
    def n_items(self) -> int:
        return int(self.shares.shape[1])

    @cached_property
    def _levels(self) -> NDArray[np.float32]:
        return at_the_mean(self.shares, self.shares[-1] == 0)

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        return columns(self._levels[_row(histories.audience, len(self.shares) - 1)], items)

    def arrays(self) -> Arrays:
        return {"shares": self.shares}

    def params(self) -> Mapping[str, float | int | str]:
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        shares = floats(arrays, "shares", None, None)
        if not len(shares):
            raise ValueError("shares has no row for everybody")
        return cls(shares)
