"""The model contract: a frozen config that fits, and a fitted model that scores.

Top-k, removal of seen items and blending stand outside (`training.models.blend`, `training.evaluate`, `serving.pipeline`).
A fitted model is arrays and parameters, so that a bundle can hold it without code: `arrays()` and `params()` out,
`from_arrays(arrays, params)` in.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories, Interactions

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
    found = arrays[name]
    fits = len(found.shape) == len(shape) and all(want in (None, have) for want, have in zip(shape, found.shape, strict=True))
    if found.dtype != np.float32 or not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} is {found.dtype}{list(found.shape)}, not float32[{wanted}]")
    if found.size and not np.isfinite([found.min(), found.max()]).all():  # either is NaN where one entry is
        raise ValueError(f"{name} holds a number that is not finite")
    return found


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


def tells_nothing(histories: Histories, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[n]: the histories without any item of `known` (bool[n_items], what a model has learnt of)."""
    found: NDArray[np.bool_] = np.bincount(histories.rows(), known[histories.items], minlength=len(histories)) == 0
    return found


def decayed_sum(histories: Histories, table: NDArray[np.float32], decay: float) -> NDArray[np.float32]:
    """float32[n, d]: the sum of `decay ** age` times an item's row of float32[n_items, d], over each history.

    One history, as a service asks, goes without a sparse matrix, whose making takes longer than the sum.
    """
    if len(histories) == 1:
        weights = np.power(np.float32(decay), histories.age(), dtype=np.float32)
        return (weights @ table[histories.items])[None]
    found: NDArray[np.float32] = histories.matrix(decay) @ table
    return found
