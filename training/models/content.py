"""Content: items whose texts are close to what the learner took up lately.

Needs no other learner: the only model that can rank an item on the day it is added.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from features.interactions import Histories, Interactions
from training.models.base import Arrays, columns


class ContentConfig(BaseModel):
    """`decay`: weight of an item in the history for each newer one. `bind` makes it a model of one catalogue's texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decay: float = Field(default=0.5, gt=0, le=1)

    def bind(self, vectors: NDArray[np.float32]) -> "Content":
        """A model over float32[n_items, d] text vectors; a row of zeros or NaN is an item without text."""
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.divide(vectors, norms, out=np.zeros_like(vectors, dtype=np.float32), where=norms > 0)
        return Content(self, np.ascontiguousarray(unit, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Content:
    """A content model bound to its texts; `vectors`: float32[n_items, d], unit length or zero."""

    config: ContentConfig
    vectors: NDArray[np.float32]
    name: ClassVar[str] = "content"

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedContent":
        """Raises ValueError where the vectors were not made for these items."""
        if len(self.vectors) != interactions.n_items:
            raise ValueError(f"{len(self.vectors)} text vectors for {interactions.n_items} items")
        return FittedContent(self.vectors, self.config.decay)


@dataclass(frozen=True, eq=False)
class FittedContent:
    """vectors: float32[n_items, d], unit length or zero. NaN for an item, or a history, without any text."""

    vectors: NDArray[np.float32]
    decay: float
    kind: ClassVar[str] = "content"

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.any(self.vectors, axis=1)
        return known

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        """The cosine between an item and the decayed mean of the history."""
        mean = histories.matrix(self.decay) @ self.vectors
        norms = np.linalg.norm(mean, axis=1, keepdims=True)
        mean = np.divide(mean, norms, out=np.full_like(mean, np.nan), where=norms > 0)
        scores = mean @ self.vectors.T
        scores[:, ~self._known] = np.nan
        return columns(scores, items)

    def arrays(self) -> Arrays:
        return {"vectors": self.vectors}

    def params(self) -> Mapping[str, float | int | str]:
        return {"decay": self.decay}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        return cls(arrays["vectors"], float(params["decay"]))
