"""The model contract: a frozen config that fits, and a fitted model that scores.

Top-k, removal of seen items and blending stand outside (`training.models.blend`, `training.evaluate`, `serving.pipeline`).
A fitted model is arrays and parameters, so that a bundle can hold it without code: `arrays()` and `params()` out,
`from_arrays(arrays, params)` in.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Histories, Interactions
from features.pieces import between

Arrays = Mapping[str, NDArray[Any]]

_LARGEST = float(np.finfo(np.float32).max)


@runtime_checkable
class Fitted(Protocol):
    """What `Model.fit` returns: immutable, without per-learner state."""

    kind: ClassVar[str]

    @property
    def n_items(self) -> int:
        """How many items it was fitted on."""
        ...

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        """float32[n, m] scores of `items` (int32[m] indices; None: all) for each history; NaN where it cannot score.

        Scores compare within a row only. A score depends on the history, its times and its audience, on nothing else.
        """
        ...

    def arrays(self) -> Arrays:
        """The fitted arrays by name, C-ordered: what the bundle stores as `.npy`."""
        ...

    def params(self) -> Mapping[str, float | int | str]:
        """The scalars needed beside the arrays to score again."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        """The same fitted model again; `arrays` may be memory-mapped and read-only.

        Raises KeyError, TypeError or ValueError for arrays that could not be scored with: they may come from anywhere.
        """
        ...


@runtime_checkable
class Learned(Protocol):
    """A fitted model that was learned in epochs, for a learning curve; the curve is not stored with its arrays."""

    @property
    def curve(self) -> Mapping[str, tuple[float, ...]]:
        """By name, a value of each epoch: `loss` in training, `validation_ndcg`. Empty when loaded from arrays."""
        ...


class Model(Protocol):
    """A frozen config of one model family."""

    name: ClassVar[str]

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> Fitted:
        """Learn from interactions. The same interactions and rng give the same fitted arrays."""
        ...


def floats(arrays: Arrays, name: str, *shape: int | None) -> NDArray[np.float32]:
    """The array `name`: finite float32 of this shape (None: any length). Errors: KeyError, ValueError."""
    between()
    found = arrays[name]
    fits = len(found.shape) == len(shape) and all(want in (None, have) for want, have in zip(shape, found.shape, strict=True))
    if found.dtype != np.float32 or not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} is {found.dtype}{list(found.shape)}, not float32[{wanted}]")
    if found.size and not np.isfinite([found.min(), found.max()]).all():  # either is NaN where one entry is
        raise ValueError(f"{name} holds a number that is not finite")
    return found


def csr(arrays: Arrays, name: str, n_rows: int, n_columns: int) -> sparse.csr_matrix:
    """float32 csr[n_rows, n_columns] of the arrays `name_indptr`, `name_indices` and `name_data`.

    Errors: KeyError; ValueError also where an index leads outside, which a product would follow.
    """
    between()
    indptr, indices = arrays[f"{name}_indptr"], arrays[f"{name}_indices"]
    if any(array.dtype not in (np.int32, np.int64) or array.ndim != 1 for array in (indptr, indices)):
        raise ValueError(f"{name}_indptr and {name}_indices are not int32[any] or int64[any]")
    if len(indptr) != n_rows + 1 or indptr[0] != 0 or indptr[-1] != len(indices) or np.any(np.diff(indptr) < 0):
        raise ValueError(f"{name}_indptr does not rise from 0 to {len(indices)} in {n_rows} steps")
    if len(indices) and (indices.min() < 0 or indices.max() >= n_columns):
        raise ValueError(f"an index of {name}_indices lies outside 0..{n_columns - 1}")
    return sparse.csr_matrix((floats(arrays, f"{name}_data", len(indices)), indices, indptr), shape=(n_rows, n_columns))


def csr_arrays(name: str, table: sparse.csr_matrix) -> Arrays:
    """The arrays that `csr` reads."""
    return {f"{name}_indptr": table.indptr, f"{name}_indices": table.indices, f"{name}_data": table.data}


def number(params: Mapping[str, Any], name: str, *, low: float = -_LARGEST, high: float = _LARGEST) -> float:
    """The parameter `name`, within `low` and `high`. Errors: KeyError, OverflowError, TypeError, ValueError."""
    found = float(params[name])
    if not low <= found <= high:
        raise ValueError(f"{name} is {found}, not within {low:g} and {high:g}")
    return found


def retrieve(scores: NDArray[np.float32], n: int) -> NDArray[np.int32]:
    """int32[<= n]: indices of the n best of one score row, best first, NaN never, ties by lower index."""
    usable = np.flatnonzero(~np.isnan(scores))
    if len(usable) > n:
        cut = np.partition(scores[usable], len(usable) - n)[len(usable) - n]
        usable = usable[scores[usable] >= cut]
    order = np.lexsort((usable, -scores[usable]))
    return usable[order][:n].astype(np.int32)


def columns(scores: NDArray[np.float32], items: NDArray[np.int32] | None) -> NDArray[np.float32]:
    """float32[n, m] C-ordered: the columns of `items`, or all of them where `items` is None."""
    return scores if items is None else np.ascontiguousarray(scores[:, items])


def at_the_mean(levels: NDArray[np.floating], new: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32[n, m]: the levels, in the columns that are `new` (bool[m]) each row's mean over the others that are finite."""
    found = np.array(levels, dtype=np.float32)
    others = found[:, ~new & np.isfinite(found).all(axis=0)]
    if others.shape[1]:
        found[:, new] = others.mean(axis=1, keepdims=True, dtype=np.float64)
    return found


def tells_nothing(histories: Histories, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[n]: the histories without any item of `known` (bool[n_items], what a model has learnt of)."""
    found: NDArray[np.bool_] = np.bincount(histories.rows(), known[histories.items], minlength=len(histories)) == 0
    return found


def decayed_sum(histories: Histories, table: NDArray[np.float32] | sparse.csr_matrix, decay: float) -> NDArray[np.float32]:
    """float32[n, d] C-ordered: the sum of `decay ** age` times an item's row of float32[n_items, d], over each history.

    One history, as a service asks, goes without making a sparse matrix, which takes longer than the sum.
    """
    if len(histories) == 1:
        weights = np.power(np.float32(decay), histories.age(), dtype=np.float32)
        if sparse.issparse(table):
            return _sum_of_rows(table, histories.items, weights)[None]
        return (weights @ table[histories.items])[None]
    found = histories.matrix(decay) @ table
    return np.asarray(found.toarray(order="C") if sparse.issparse(found) else found, dtype=np.float32)


def _sum_of_rows(table: sparse.csr_matrix, rows: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[d] by a count."""
    lengths = np.diff(table.indptr)[rows]
    place = np.arange(lengths.sum()) + np.repeat(table.indptr[rows] - np.cumsum(lengths) + lengths, lengths)
    given = table.data[place] * np.repeat(weights, lengths)
    return np.bincount(table.indices[place], given, minlength=table.shape[1]).astype(np.float32)
