"""Linear: a closed-form item-to-item model, half EASE, half a ridge from the decayed past to the next item.

Both halves are one matrix W in the end, and a score is the decayed history times W: exact to explain, no learner in it.
Side information, where it is bound, takes part in both halves as rows of its own and so ends in the same W.
The equations stand in `closed_form`, a form for many items in `linear_sparse`, the choice of settings in `linear_search`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.models import linear_search, linear_sparse
from training.models.base import Arrays, columns, decayed_sum, floats, number, tells_nothing
from training.models.closed_form import ease, next_item
from training.models.likeness import Likeness
from training.models.row_lookups import decays, sum_of_rows

DENSE_LIMIT = 20_000
"""Items up to which `form = "auto"` is the dense form: 5 GB at the limit, and time that grows with the third power."""
_BLOCK = 1_024
_INTO = 10  # of `compact`: a weight that leads into an item is kept for each of so many that lead out of one

Weights = NDArray[np.float32] | sparse.csr_matrix


class Linear(BaseModel):
    """`decay`: weight of an item in the history for each newer one. `mix`: share of the next-item half, 0 is EASE alone.

    `ridge` regularises EASE, `next_ridge` the next-item half; both in take-ups. `next_decay`: weight of an item in the past
    that the next-item half learns from (None: as `decay`). `side`, `next_side`: weight, in EASE and in the next-item half, of
    what items have in common, where side information is bound, in take-ups; 0 leaves it out. `form`: see `DENSE_LIMIT` and
    `linear_sparse`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "linear"

    decay: float = Field(default=0.7, gt=0, le=1)
    ridge: float = Field(default=200.0, gt=0)
    next_ridge: float = Field(default=50.0, gt=0)
    mix: float = Field(default=0.65, ge=0, le=1)
    next_decay: float | None = Field(default=None, gt=0, le=1)
    side: float = Field(default=0.0, ge=0)
    next_side: float = Field(default=0.0, ge=0)
    form: Literal["auto", "dense", "sparse"] = "auto"

    def bind(self, side: SideInformation) -> "LinearModel":
        """The model with what is known of each item by attributes and text."""
        return LinearModel(self, side.n_items, Likeness.of(side))

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedLinear":
        """Draws nothing from `rng`. Memory: see `closed_form` and `linear_sparse`."""
        return LinearModel(self, interactions.n_items, None).fit(interactions, rng=rng)

    def is_sparse(self, n_items: int) -> bool:
        """Which form a number of items gets."""
        return self.form == "sparse" or (self.form == "auto" and n_items > DENSE_LIMIT)


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A linear model bound to side information; `likeness` is None where there is none."""

    config: Linear
    n_items: int
    likeness: Likeness | None
    name: ClassVar[str] = "linear"

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedLinear":
        """Raises ValueError where the side information is not of these items."""
        if self.n_items != interactions.n_items:
            raise ValueError(f"side information of {self.n_items} items for {interactions.n_items} items")
        mix = self.config.mix
        if mix == 0:
            return self.fitted(self.ease(interactions), interactions)
        if mix == 1:
            return self.fitted(self.next_item(interactions), interactions)
        return self.fitted(linear_search.mixed(self.ease(interactions), self.next_item(interactions), mix), interactions)

    def search(
        self,
        train: Interactions,
        histories: Histories,
        targets: NDArray[np.int32],
        *,
        rng: np.random.Generator,
        k: int = 10,
    ) -> tuple["LinearModel", "FittedLinear"]:
        """Settings that rank `targets` best after `histories`, and their fit: see `linear_search.search`."""
        return linear_search.search(self, train, histories, targets, rng=rng, k=k)

    def fitted(self, weights: Weights, interactions: Interactions) -> "FittedLinear":
        """The fitted model of a mixture of both halves."""
        known = interactions.item_counts() > 0
        if self.likeness is not None and self.config.side + self.config.next_side > 0:
            known |= self.likeness.known
        return FittedLinear(weights, known, self.config.decay)

    def ease(self, interactions: Interactions) -> Weights:
        """float32[m, m] or csr: the EASE half alone."""
        config, extra = self.config, (self.likeness, self.config.side)
        if config.is_sparse(self.n_items):
            return linear_sparse.ease(interactions, config.ridge, *extra)
        return ease(interactions.matrix(), config.ridge, *extra)

    def next_item(self, interactions: Interactions) -> Weights:
        """float32[m, m] or csr: the next-item half alone."""
        config, extra = self.config, (self.likeness, self.config.next_side)
        given = config.next_decay or config.decay, config.next_ridge, *extra
        if config.is_sparse(self.n_items):
            return linear_sparse.next_item(interactions, *given)
        return next_item(interactions, *given)


def grid(n_items: int) -> tuple[Linear, ...]:
    """Where `search` begins: the defaults."""
    return (Linear(),)


@dataclass(frozen=True, eq=False)
class FittedLinear:
    """weights: float32[n_items, n_items], from an item of the history to an item scored, dense or CSR; known: bool[n_items].

    NaN for an item that no learner took up in training and of which no side information says anything, and for a history that
    holds no other (an empty one too).
    """

    weights: Weights
    known: NDArray[np.bool_]
    decay: float
    kind: ClassVar[str] = "linear"

    @property
    def n_items(self) -> int:
        return len(self.known)

    @cached_property
    def _unknown(self) -> NDArray[np.intp]:
        return np.flatnonzero(~self.known)

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        if len(histories) == 1 and sparse.issparse(self.weights):
            return columns(self._of_one(histories, self.weights)[None], items)
        scores = self._sum(histories)
        scores[:, self._unknown] = np.nan
        scores[tells_nothing(histories, self.known)] = np.nan
        return columns(scores, items)

    def _of_one(self, history: Histories, table: sparse.csr_matrix) -> NDArray[np.float32]:
        if not self.known[history.items].any():
            return np.full(self.n_items, np.nan, dtype=np.float32)
        scores = sum_of_rows(table, history.items, decays(self.decay, len(history.items)))
        scores[self._unknown] = np.nan
        return scores

    def _sum(self, histories: Histories) -> NDArray[np.float32]:
        if not sparse.issparse(self.weights):
            return decayed_sum(histories, self.weights, self.decay)
        found: NDArray[np.float32] = (histories.matrix(self.decay) @ self.weights).toarray()
        return found

    def contributions(self, histories: Histories, row: int, item: int) -> NDArray[np.float32]:
        """float32[length]: what each entry of a history adds to an item's score; the sum is the score where not NaN."""
        history = histories[row]
        weights = self.weights[history, [item] * len(history)]
        age = np.arange(len(history))[::-1]
        return np.asarray(np.float32(self.decay) ** age * np.asarray(weights).ravel(), dtype=np.float32)

    def compact(self, rows: int = 300) -> "FittedLinear":
        """The same model with the `rows` strongest weights of each row only, as CSR: what a bundle stores.

        And the strongest weights into each item, a tenth as many: else an item of few take-ups would lose all of them.
        """
        return replace(self, weights=_strongest(self.weights, rows))

    def arrays(self) -> Arrays:
        known = {"known": self.known}
        if not sparse.issparse(self.weights):
            return known | {"weights": self.weights}
        return known | {"indptr": self.weights.indptr, "indices": self.weights.indices, "data": self.weights.data}

    def params(self) -> Mapping[str, float | int | str]:
        return {"decay": self.decay}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        known = np.asarray(arrays["known"])
        if known.dtype != bool or known.ndim != 1:
            raise ValueError(f"known is {known.dtype}{list(known.shape)}, not bool[any]")
        decay = number(params, "decay", low=0, high=1)
        if "weights" in arrays:
            return cls(np.asarray(floats(arrays, "weights", len(known), len(known))), known, decay)
        return cls(_rows_of(arrays, len(known)), known, decay)


def _rows_of(arrays: Arrays, m: int) -> sparse.csr_matrix:
    """float32 csr[m, m]; ValueError where an index leads outside, which a product would follow."""
    indptr, indices = arrays["indptr"], arrays["indices"]
    if any(array.dtype not in (np.int32, np.int64) or array.ndim != 1 for array in (indptr, indices)):
        raise ValueError("indptr and indices are not int32[any] or int64[any]")
    if len(indptr) != m + 1 or indptr[0] != 0 or indptr[-1] != len(indices) or np.any(np.diff(indptr) < 0):
        raise ValueError(f"indptr does not rise from 0 to {len(indices)} in {m} steps")
    if len(indices) and (indices.min() < 0 or indices.max() >= m):
        raise ValueError(f"an index lies outside 0..{m - 1}")
    return sparse.csr_matrix((floats(arrays, "data", len(indices)), indices, indptr), shape=(m, m))


def _strongest(weights: Weights, count: int) -> sparse.csr_matrix:
    """The `count` entries of largest absolute value of each row and `count` / 10 of each column, a block of rows at a time."""
    least = _least_into(weights, count // _INTO)
    blocks = []
    for start in range(0, weights.shape[0], _BLOCK):
        block = _block(weights, slice(start, start + _BLOCK))
        if count < block.shape[1]:
            size = np.abs(block)
            strong = np.zeros(block.shape, dtype=bool)
            np.put_along_axis(strong, np.argpartition(size, -count, axis=1)[:, -count:], True, axis=1)
            block = np.where(strong | (size >= least), block, np.float32(0))
        blocks.append(sparse.csr_matrix(block))
    found: sparse.csr_matrix = sparse.csr_matrix(sparse.vstack(blocks, dtype=np.float32))
    return found


def _least_into(weights: Weights, count: int) -> NDArray[np.float32]:
    """float32[m]: the size of the weight of rank `count` in each column; infinite for a count of 0."""
    if count == 0:
        return np.full(weights.shape[1], np.inf, dtype=np.float32)
    top = np.zeros((count, weights.shape[1]), dtype=np.float32)
    for start in range(0, weights.shape[0], _BLOCK):
        size = np.vstack([top, np.abs(_block(weights, slice(start, start + _BLOCK)))])
        top = np.partition(size, -count, axis=0)[-count:]
    return np.asarray(np.maximum(top.min(axis=0), np.finfo(np.float32).tiny), dtype=np.float32)


def _block(weights: Weights, rows: slice) -> NDArray[np.float32]:
    block = weights[rows]
    return np.asarray(block.toarray() if sparse.issparse(block) else block, dtype=np.float32)
