"""Item-kNN: what the learners of an item also took up, as the cosine of two items' learners (Sarwar et al. 2001).

The weight from item i to item j is the sum of length(u) ** -discount over the learners u of both, divided by
sqrt(count i * count j) + shrinkage. Only the strongest `neighbours` of each item are kept, so that a catalogue of
100,000 items fits: nothing here is ever as large as items times items.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from features.interactions import Interactions
from training.models.linear import FittedLinear

_SMALL = 3_000  # items up to which a fit takes less than a second
_BLOCK = 512  # items whose neighbours are found at once: at most 50 million pairs of 100,000 items, 0.6 GB


class ItemKNN(BaseModel):
    """`neighbours` kept for each item. `decay`: weight of an item in the history for each newer one.

    `shrinkage`: take-ups that pairs of rare items lack before they count as close. `discount`: how much less a learner of
    many items says about two of them (0: as much as any other).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "item_knn"

    neighbours: int = Field(default=200, ge=1)
    shrinkage: float = Field(default=20.0, ge=0)
    discount: float = Field(default=0.25, ge=0, le=1)
    decay: float = Field(default=0.7, gt=0, le=1)

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedItemKNN":
        """Draws nothing from `rng`. Of neighbours equally close at the cut, the lower index stays."""
        counts = interactions.item_counts()
        rows = [_closest(block, counts, first, self) for first, block in _together(interactions, self.discount)]
        weights = sparse.csr_matrix(sparse.vstack([interactions.matrix()[:0], *rows]))
        return FittedItemKNN(weights, counts > 0, self.decay)


@dataclass(frozen=True, eq=False)
class FittedItemKNN(FittedLinear):
    """weights: float32 csr[n_items, n_items], from an item of the history to its neighbours, at most so many a row.

    Scores as the linear model does: the decayed history times the weights; an item that is nobody's neighbour there gets 0.
    """

    kind: ClassVar[str] = "item_knn"


def grid(n_items: int) -> Sequence[ItemKNN]:
    """Settings to choose from on validation: half a dozen where a fit takes under a second, else the default alone."""
    if n_items > _SMALL:
        return (ItemKNN(),)
    return tuple(
        ItemKNN(shrinkage=shrinkage, discount=discount, decay=decay)
        for shrinkage, discount in ((2, 0.5), (5, 0.5), (20, 0.25))
        for decay in (0.4, 0.6)
    )


def _together(interactions: Interactions, discount: float) -> Iterator[tuple[int, sparse.csr_matrix]]:
    """(first item, float32 csr[b, m]): discounted learners who took up both, for a block of items at a time."""
    taken = interactions.matrix()
    lengths = np.maximum(interactions.lengths, 1)
    weighted = taken.multiply(lengths[:, None].astype(np.float32) ** np.float32(-discount)).tocsr()
    by_item = taken.T.tocsr()
    for first in range(0, interactions.n_items, _BLOCK):
        yield first, by_item[first : first + _BLOCK] @ weighted


def _closest(block: sparse.csr_matrix, counts: NDArray[np.int64], first: int, config: ItemKNN) -> sparse.csr_matrix:
    """float32 csr[b, m]: the strongest neighbours of each item of a block that begins with item `first`."""
    block.sort_indices()
    item = np.repeat(np.arange(first, first + block.shape[0]), np.diff(block.indptr))
    norm = np.sqrt(counts[item].astype(np.float64) * counts[block.indices]) + config.shrinkage
    block.data = np.where(block.indices == item, 0, block.data / norm).astype(np.float32)
    keep = [_strongest(block.data[start:end], config.neighbours) for start, end in pairwise(block.indptr)]
    block.data *= np.concatenate(keep)
    block.eliminate_zeros()
    return block


def _strongest(weights: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """bool[n]: the `count` highest of float32[n], of equals the first."""
    if len(weights) <= count:
        return np.ones(len(weights), dtype=bool)
    cut = np.partition(weights, -count)[-count]
    keep: NDArray[np.bool_] = weights > cut
    keep[np.flatnonzero(weights == cut)[: count - np.count_nonzero(keep)]] = True
    return keep
