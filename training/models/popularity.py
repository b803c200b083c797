"""Popularity: how many distinct learners took up an item. The same ranking for everybody, and the baseline to beat."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from features.interactions import Histories, Interactions
from training.models.base import Arrays, at_the_mean, columns, floats


class Popularity(BaseModel):
    """Plain counts; nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "popularity"

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedPopularity":
        return FittedPopularity(interactions.item_counts().astype(np.float32))


@dataclass(frozen=True, eq=False)
class FittedPopularity:
    """counts: float32[n_items], learners per item. Scores every item, never NaN; one that nobody took up as the mean of others.

    How popular a new item would be is not known: the least of all is a claim, and it held new items back behind any other.
    """

    counts: NDArray[np.float32]
    kind: ClassVar[str] = "popularity"

    @property
    def n_items(self) -> int:
        return len(self.counts)

    @cached_property
    def _levels(self) -> NDArray[np.float32]:
        found: NDArray[np.float32] = at_the_mean(self.counts[None], self.counts == 0)[0]
        return found

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        return columns(np.tile(self._levels, (len(histories), 1)), items)

    def arrays(self) -> Arrays:
        return {"counts": self.counts}

    def params(self) -> Mapping[str, float | int | str]:
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        return cls(floats(arrays, "counts", None))
