"""Random order: one fixed random score per item. What a metric gives when nothing was learnt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from features.interactions import Histories, Interactions
from training.models.base import Arrays, columns, floats


class RandomOrder(BaseModel):
    """One random order for all; nothing to set, the seed comes with `rng`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "random"

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedRandomOrder":
        return FittedRandomOrder(rng.random(interactions.n_items, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class FittedRandomOrder:
    """draws: float32[n_items], uniform in [0, 1). Scores every item for everybody; never NaN."""

    draws: NDArray[np.float32]
    kind: ClassVar[str] = "random"

    @property
    def n_items(self) -> int:
        return len(self.draws)

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        return columns(np.tile(self.draws, (len(histories), 1)), items)

    def arrays(self) -> Arrays:
        return {"draws": self.draws}

    def params(self) -> Mapping[str, float | int | str]:
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        return cls(floats(arrays, "draws", None))
