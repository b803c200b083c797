"""Catalogue order: the order in which an organisation lists its items, for a tenant of whom nothing else is known.

It learns nothing and is no family that competes: it is what serves before there is anything to learn from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Catalogue
from features.interactions import Histories
from features.vocabulary import Vocabulary
from training.models.base import Arrays, columns, floats


@dataclass(frozen=True, eq=False)
class FittedCatalogueOrder:
    """order: float32[n_items], m for the first item down to 1 for the last. Scores every item for everybody; never NaN."""

    order: NDArray[np.float32]
    kind: ClassVar[str] = "catalogue"

    @classmethod
    def of(cls, catalogue: Catalogue, items: Vocabulary) -> Self:
        """By `position`, those without one behind, by id."""
        position = [getattr(catalogue.items.get(name), "position", None) for name in items.ids]
        place = np.array([np.inf if at is None else at for at in position], dtype=np.float64)
        order = np.empty(len(place), dtype=np.float32)
        order[np.argsort(place, kind="stable")] = np.arange(len(place), 0, -1)
        return cls(order)

    @property
    def n_items(self) -> int:
        return len(self.order)

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        return columns(np.tile(self.order, (len(histories), 1)), items)

    def arrays(self) -> Arrays:
        return {"order": self.order}

    def params(self) -> Mapping[str, float | int | str]:
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        return cls(floats(arrays, "order", None))
