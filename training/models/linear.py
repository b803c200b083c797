"""Linear: a closed-form item-to-item model, half EASE, half a ridge from the decayed past to the next item.

Both halves are one matrix W in the end, and a score is the decayed history times W: exact to explain, no learner in it.

EASE (Steck 2019): W = I - P diag(1 / diag P), P = (X'X + ridge I)^-1 over the binary learner-item matrix X.
Next item: W = (Z'Z + next_ridge I)^-1 Z'Y, one row of Z per take-up after a learner's first: the decayed items before
it, and Y the item itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.linalg import lapack

from features.interactions import Histories, Interactions
from training.models.base import Arrays, columns, decayed_sum, floats, number, tells_nothing

_NEGLIGIBLE = 1e-3  # a decayed weight below this leaves the next-item regression
_SMALL = 3_000  # items up to which a fit takes less than a second
_BLOCK = 1_024


class Linear(BaseModel):
    """`decay`: weight of an item in the past for each newer one. `mix`: share of the next-item half, 0 is EASE alone.

    `ridge` regularises EASE, `next_ridge` the next-item half; both in take-ups.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "linear"

    decay: float = Field(default=0.7, gt=0, le=1)
    ridge: float = Field(default=200.0, gt=0)
    next_ridge: float = Field(default=50.0, gt=0)
    mix: float = Field(default=0.65, ge=0, le=1)

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedLinear":
        """Draws nothing from `rng`. Memory: about three dense float32[n_items, n_items] (1.8 GB for 12,000 items)."""
        halves = []
        if self.mix < 1:
            half = _half(interactions, (self.ridge,), lambda: ease(interactions.matrix(), self.ridge))
            halves.append((1 - self.mix) * half)
        if self.mix > 0:
            key = (self.decay, self.next_ridge)
            halves.append(self.mix * _half(interactions, key, lambda: next_item(interactions, *key)))
        weights = halves.pop()
        for other in halves:
            weights += other
        return FittedLinear(weights, interactions.item_counts() > 0, self.decay)


_HALVES: WeakKeyDictionary[Interactions, dict[tuple[float, ...], NDArray[np.float32]]] = WeakKeyDictionary()


def _half(interactions: Interactions, key: tuple[float, ...], fit: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """A half as `fit` makes it, kept as long as a small table lives: the settings of a grid share most of theirs."""
    if interactions.n_items > _SMALL:
        return fit()
    kept = _HALVES.setdefault(interactions, {})
    if key not in kept:
        kept[key] = fit()
    return kept[key]


@dataclass(frozen=True, eq=False)
class FittedLinear:
    """weights: float32[n_items, n_items], from an item of the history to an item scored, dense or CSR; known: bool[n_items].

    NaN for an item that no learner took up in training, and for a history that holds no other (an empty one too).
    """

    weights: NDArray[np.float32] | sparse.csr_matrix
    known: NDArray[np.bool_]
    decay: float
    kind: ClassVar[str] = "linear"

    @property
    def n_items(self) -> int:
        return len(self.known)

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        scores = self._sum(histories)
        scores[:, ~self.known] = np.nan
        scores[tells_nothing(histories, self.known)] = np.nan
        return columns(scores, items)

    def _sum(self, histories: Histories) -> NDArray[np.float32]:
        if not sparse.issparse(self.weights):
            return decayed_sum(histories, self.weights, self.decay)
        if len(histories) == 1:
            return _one_sum(histories, self.weights, self.decay)
        found: NDArray[np.float32] = (histories.matrix(self.decay) @ self.weights).toarray()
        return found

    def contributions(self, histories: Histories, row: int, item: int) -> NDArray[np.float32]:
        """float32[length]: what each entry of a history adds to an item's score; the sum is the score where not NaN."""
        history = histories[row]
        weights = self.weights[history, [item] * len(history)]
        age = np.arange(len(history))[::-1]
        return np.asarray(np.float32(self.decay) ** age * np.asarray(weights).ravel(), dtype=np.float32)

    def compact(self, rows: int = 300) -> "FittedLinear":
        """The same model with the `rows` strongest weights of each row only, as CSR: what a bundle stores."""
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


def grid(n_items: int) -> tuple[Linear, ...]:
    """Settings to choose from on validation: a dozen where a fit takes under a second, else the default alone."""
    if n_items > _SMALL:
        return (Linear(),)
    alone = [Linear(decay=0.5, ridge=100, mix=0), Linear(decay=0.5, next_ridge=100, mix=1)]
    mixed = [
        Linear(decay=decay, ridge=ridge, next_ridge=next_ridge, mix=mix)
        for decay in (0.5, 0.7)
        for ridge in (50, 100, 200)
        for next_ridge, mix in ((10, 0.3), (50, 0.5))
    ]
    return (*alone, *mixed)


def _strongest(weights: NDArray[np.float32] | sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    """The `count` entries of largest absolute value of each row, a block of rows at a time."""
    blocks = []
    for start in range(0, weights.shape[0], _BLOCK):
        block = weights[start : start + _BLOCK]
        block = np.array(block.toarray() if sparse.issparse(block) else block)
        if count < block.shape[1]:
            weak = np.argpartition(np.abs(block), -count, axis=1)[:, :-count]
            np.put_along_axis(block, weak, 0, axis=1)
        blocks.append(sparse.csr_matrix(block))
    found: sparse.csr_matrix = sparse.csr_matrix(sparse.vstack(blocks, dtype=np.float32))
    return found


def _one_sum(history: Histories, weights: sparse.csr_matrix, decay: float) -> NDArray[np.float32]:
    """`decayed_sum` of one history over a CSR table, by a count: three times faster than a product of sparse matrices."""
    starts, lengths = weights.indptr[history.items], np.diff(weights.indptr)[history.items]
    ends = np.cumsum(lengths)
    place = np.arange(lengths.sum()) + np.repeat(starts - ends + lengths, lengths)
    given = weights.data[place] * np.repeat(np.float32(decay) ** history.age(), lengths)
    return np.bincount(weights.indices[place], given, minlength=history.n_items).astype(np.float32)[None]


def ease(taken: sparse.csr_matrix, ridge: float) -> NDArray[np.float32]:
    """float32[m, m] EASE weights of a binary csr[n, m]; the diagonal is zero."""
    inverse = _inverse(_gram(taken, ridge))
    scale = np.diag(inverse).copy()
    inverse /= -scale
    np.fill_diagonal(inverse, 0)
    return inverse


def next_item(interactions: Interactions, decay: float, ridge: float) -> NDArray[np.float32]:
    """float32[m, m] ridge weights from the decayed items before a take-up to the item taken up; the diagonal is zero."""
    past, following = transitions(interactions, decay)
    factor, _ = lapack.spotrf(_gram(past, ridge).T, lower=1, overwrite_a=1, clean=0)
    target = (past.T @ following).toarray(order="F")
    weights, _ = lapack.spotrs(factor, target, lower=1, overwrite_b=1)
    del factor
    np.fill_diagonal(weights, 0)
    return np.ascontiguousarray(weights, dtype=np.float32)


def transitions(interactions: Interactions, decay: float) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """float32 csr[nnz, m] twice: the decayed items before each take-up (its row empty for a learner's first), and the item."""
    items, n_entries = interactions.items, len(interactions.items)
    position = np.arange(n_entries) - np.repeat(interactions.indptr[:-1], interactions.lengths)
    longest = int(position.max(initial=0))
    window = longest if decay == 1 else min(longest, 1 + int(np.log(_NEGLIGIBLE) / np.log(decay)))
    later = [np.flatnonzero(position >= lag) for lag in range(1, window + 1)]
    row = np.concatenate([np.zeros(0, dtype=np.int64), *later])
    lag = np.repeat(np.arange(1, window + 1), [len(rows) for rows in later])
    weight = np.power(np.float32(decay), lag - 1, dtype=np.float32)
    shape = (n_entries, interactions.n_items)
    past = sparse.csr_matrix((weight, (row, items[row - lag])), shape=shape)
    return past, sparse.csr_matrix((np.ones(n_entries, dtype=np.float32), (np.arange(n_entries), items)), shape=shape)


def _gram(rows: sparse.csr_matrix, ridge: float) -> NDArray[np.float32]:
    gram: NDArray[np.float32] = (rows.T @ rows).toarray(order="C")
    gram[np.diag_indices_from(gram)] += np.float32(ridge)
    return gram


def _inverse(gram: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of a symmetric positive definite matrix, in its place."""
    factor, _ = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    lower, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    upper = lower.T  # C-ordered, its upper triangle valid
    for row in range(1, len(upper)):
        upper[row, :row] = upper[:row, row]
    return np.ascontiguousarray(upper)
