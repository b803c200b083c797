"""Content: items whose texts are close to what the learner took up lately.

Needs no other learner: the only model that can rank an item on the day it is added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from features.interactions import Histories, Interactions
from training.models.base import Arrays, columns, decayed_sum, floats, number

_NOTHING = 1e-5


class ContentConfig(BaseModel):
    """`decay`: weight of an item in the history for each newer one. `bind` makes it a model of one catalogue's texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "content"

    decay: float = Field(default=0.5, gt=0, le=1)

    def bind(self, vectors: NDArray[np.float32]) -> "Content":
        """A model over float32[n_items, d] text vectors; a row of zeros or NaN is an item without text.

        The mean of all texts is taken off first: what a whole catalogue has in common tells no two items apart.
        """
        unit = _unit(np.array(vectors, dtype=np.float32))
        texts = np.any(unit, axis=1)
        if texts.any():
            unit[texts] = _unit(unit[texts] - unit[texts].mean(axis=0))
        return Content(self, unit)


def grid(n_items: int) -> Sequence[ContentConfig]:
    """Decays to choose from on validation."""
    return tuple(ContentConfig(decay=decay) for decay in (0.5, 0.8))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1, or of zeros where a row is NaN or shorter than rounding can tell from zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > _NOTHING)
    return unit


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
    """vectors: float32[n_items, d], unit length or zero. NaN for an item, or a history, without any text
    (or with one that equals the mean of all)."""

    vectors: NDArray[np.float32]
    decay: float
    kind: ClassVar[str] = "content"

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.any(self.vectors, axis=1)
        return known

    @property
    def n_items(self) -> int:
        return len(self.vectors)

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        """The cosine between an item and the decayed mean of the history."""
        mean = decayed_sum(histories, self.vectors, self.decay)
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
        return cls(floats(arrays, "vectors", None, None), number(params, "decay", low=0, high=1))
