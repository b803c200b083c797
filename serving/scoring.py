"""Scores of one learner over all items, and where they came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories
from serving.prepared import Prepared

POPULARITY = "popularity"


@runtime_checkable
class Parted(Protocol):
    """A model whose score is a sum of named parts."""

    def score_parts(self, histories: Histories) -> Mapping[str, NDArray[np.float32]]:
        """float32[n, m] by name; they add up to the score."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A model that can say what each past item added to a score."""

    def contributions(self, histories: Histories, row: int, item: int) -> NDArray[np.float32]:
        """float32[length of the history]."""
        ...


@dataclass(frozen=True, eq=False)
class Scores:
    """total: float32[m] (NaN: cannot score), parts: float32[m] by model name, adding up to the total."""

    total: NDArray[np.float32]
    parts: Mapping[str, NDArray[np.float32]]

    def source(self, index: int) -> str:
        """The name of the largest part of an item's score."""
        return max(self.parts, key=lambda name: (float(np.nan_to_num(self.parts[name][index], nan=-np.inf)), name))

    def parts_of(self, index: int) -> dict[str, float]:
        """The parts of one score that are numbers."""
        return {name: float(part[index]) for name, part in self.parts.items() if np.isfinite(part[index])}


def score(stock: Prepared, history: Histories, *, degraded: bool) -> Scores:
    """The model's scores of one history; plain popularity when degraded, or where the model can score nothing."""
    model = stock.bundle.model
    if not degraded:
        if isinstance(model, Parted):
            parts = {name: part[0] for name, part in model.score_parts(history).items()}
            total = np.asarray(np.sum(list(parts.values()), axis=0), dtype=np.float32)
            total[np.all([part == 0 for part in parts.values()], axis=0)] = np.nan  # no part could score it
        else:
            total = model.score(history)[0]
            parts = {model.kind: total}
        if np.isfinite(total).any():
            return Scores(total, parts)
    counts = np.asarray(stock.table.popularity, dtype=np.float32)
    return Scores(counts, {POPULARITY: counts})


def best_first(total: NDArray[np.float32], candidates: NDArray[np.int32]) -> NDArray[np.int32]:
    """Candidates by descending score, ties by lower index."""
    return candidates[np.lexsort((candidates, -total[candidates]))]
