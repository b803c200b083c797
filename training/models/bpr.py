"""BPR: factors that rank what a learner took up before what they did not (Rendle et al. 2009), by `implicit`.

Only the items' side is kept. A learner is the decayed mean of the factors of the items in their history: on two public data
sets this ranks better on validation than the factors that training found for the learner, than a linear map of the mean to
those, and than gradient steps on fixed item factors; and whoever came yesterday is scored like everybody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from features.interactions import Histories, Interactions
from training.models.base import Arrays, columns, decayed_sum, floats, number

_SMALL = 3_000  # items up to which a fit takes about a second


class BPR(BaseModel):
    """`decay`: weight of an item in the history for each newer one. With more `threads` than one a fit is not repeatable:
    they write to the same factors without waiting for each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "bpr"

    factors: int = Field(default=64, ge=1, le=1024)
    learning_rate: float = Field(default=0.1, gt=0)
    regularization: float = Field(default=0.01, ge=0)
    iterations: int = Field(default=200, ge=1)
    decay: float = Field(default=0.7, gt=0, le=1)
    threads: int = Field(default=1, ge=1)

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedBPR":
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        model = BayesianPersonalizedRanking(
            factors=self.factors,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            iterations=self.iterations,
            dtype=np.float32,
            num_threads=self.threads,
            random_state=int(rng.integers(2**31)),
        )
        curve: list[float] = []
        factors = np.zeros((interactions.n_items, self.factors + 1), dtype=np.float32)
        if len(interactions.items):
            told = lambda epoch, seconds, right, skipped: curve.append(right / max(len(interactions.items) - skipped, 1))  # noqa: E731
            model.fit(interactions.matrix(), show_progress=False, callback=told)
            factors[:] = model.item_factors  # zero where nobody took up an item
        return FittedBPR(np.ascontiguousarray(factors[:, :-1]), factors[:, -1].copy(), self.decay, {"train_auc": tuple(curve)})


@dataclass(frozen=True, eq=False)
class FittedBPR:
    """item_factors: float32[n_items, f], zero for items nobody took up; bias: float32[n_items].

    `curve`: by epoch, the share of the drawn pairs that were ranked right; not stored with the arrays. NaN for such items, and
    for a history that holds no other, or holds others so far back that their weight is nothing.
    """

    item_factors: NDArray[np.float32]
    bias: NDArray[np.float32]
    decay: float
    curve: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    kind: ClassVar[str] = "bpr"

    @property
    def n_items(self) -> int:
        return len(self.bias)

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.any(self.item_factors, axis=1)
        return known

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        """The factors and a column of ones, so that one sum gives a mean's two halves."""
        return np.column_stack([self.item_factors, self._known.astype(np.float32)])

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        scores = self.learner_factors(histories) @ self.item_factors.T + self.bias
        scores[:, ~self._known] = np.nan
        return columns(scores, items)

    def learner_factors(self, histories: Histories) -> NDArray[np.float32]:
        """float32[n, f]: the mean factors of the known items of a history, weighted `decay ** age`; NaN without any."""
        summed = decayed_sum(histories, self._table, self.decay)
        total = summed[:, -1:]
        return np.divide(summed[:, :-1], total, out=np.full_like(summed[:, :-1], np.nan), where=total > 0)

    def arrays(self) -> Arrays:
        return {"item_factors": self.item_factors, "bias": self.bias}

    def params(self) -> Mapping[str, float | int | str]:
        return {"decay": self.decay}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        factors = floats(arrays, "item_factors", None, None)
        return cls(factors, floats(arrays, "bias", len(factors)), number(params, "decay", low=0, high=1))


def grid(n_items: int) -> Sequence[BPR]:
    """A few settings to choose from on validation where a fit takes about a second, else the default alone."""
    if n_items > _SMALL:
        return (BPR(),)
    pairs = ((0.003, 0.5), (0.01, 0.5), (0.01, 0.3))
    return tuple(BPR(learning_rate=0.05, regularization=ridge, decay=decay) for ridge, decay in pairs)
