"""ALS: implicit-feedback matrix factorisation (Hu, Koren, Volinsky 2008) by `implicit`, keeping the items' side only.

A learner's factors are solved for when they are asked for, from their history: nobody is a row of a matrix, so a
learner who came yesterday is scored like everybody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from features.interactions import Histories, Interactions
from training.models.base import Arrays, columns, floats, number, tells_nothing

_BATCH = 512  # histories solved at once: 8 MB of 64 x 64 systems
_SMALL = 3_000  # items up to which a fit takes about a second


class ALS(BaseModel):
    """`alpha`: confidence of a take-up, where an item not taken up has 1. `threads` changes the time, not the factors.

    `engine` "spark": fitted by MLlib, whose penalty is weighted (`training.models.spark_als`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "als"

    factors: int = Field(default=64, ge=1, le=1024)
    regularization: float = Field(default=0.1, gt=0)
    alpha: float = Field(default=10.0, gt=1)
    iterations: int = Field(default=15, ge=1)
    threads: int = Field(default=1, ge=1)

    engine: Literal["implicit", "spark"] = "implicit"

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedALS":
        from training.models.spark_als import item_factors as by_spark

        factors = (by_spark if self.engine == "spark" else _by_implicit)(self, interactions, rng)
        factors[interactions.item_counts() == 0] = 0
        return FittedALS(factors, factors.T @ factors, self.regularization, self.alpha)


def _by_implicit(model: ALS, interactions: Interactions, rng: np.random.Generator) -> NDArray[np.float32]:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    # implicit runs its own threads over rows and warns where BLAS would start more inside each of them.
    with threadpool_limits(1, "blas"):
        fitted = AlternatingLeastSquares(
            factors=model.factors,
            regularization=model.regularization,
            alpha=model.alpha,
            iterations=model.iterations,
            dtype=np.float32,
            num_threads=model.threads,
            random_state=int(rng.integers(2**31)),
        )
        fitted.fit(interactions.matrix(), show_progress=False)
    return np.ascontiguousarray(fitted.item_factors, dtype=np.float32)


def grid(n_items: int) -> Sequence[ALS]:
    """A few settings to choose from on validation where a fit takes about a second, else the default alone."""
    if n_items > _SMALL:
        return (ALS(),)
    triples = ((64, 10.0, 1.0), (64, 10.0, 10.0), (128, 5.0, 10.0))
    return tuple(ALS(factors=factors, alpha=alpha, regularization=ridge) for factors, alpha, ridge in triples)


@dataclass(frozen=True, eq=False)
class FittedALS:
    """item_factors: float32[n_items, f], zero for items nobody took up; gram: float32[f, f] = item_factors' item_factors.

    NaN for such items, and for a history that holds no other.
    """

    item_factors: NDArray[np.float32]
    gram: NDArray[np.float32]
    regularization: float
    alpha: float
    kind: ClassVar[str] = "als"

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.any(self.item_factors, axis=1)
        return known

    @property
    def n_items(self) -> int:
        return len(self.item_factors)

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        scores = self.learner_factors(histories) @ self.item_factors.T
        scores[:, ~self._known] = np.nan
        scores[tells_nothing(histories, self._known)] = np.nan
        return columns(scores, items)

    def learner_factors(self, histories: Histories) -> NDArray[np.float32]:
        """float32[n, f]: (Y'Y + (alpha - 1) Yh'Yh + regularization I)^-1 alpha Yh'1, h the distinct items of a history."""
        if len(histories) <= _BATCH:
            return self._solve(histories)
        found = np.zeros((len(histories), self.gram.shape[0]), dtype=np.float32)
        for start, batch in histories.batches(_BATCH):
            found[start : start + len(batch)] = self._solve(batch)
        return found

    def _solve(self, histories: Histories) -> NDArray[np.float32]:
        base = self.gram + self.regularization * np.eye(len(self.gram), dtype=np.float32)
        left = np.empty((len(histories), *base.shape), dtype=np.float32)
        right = np.empty((len(histories), len(base), 1), dtype=np.float32)
        for row in range(len(histories)):
            mine = self.item_factors[np.unique(histories[row])]
            left[row] = base + np.float32(self.alpha - 1) * (mine.T @ mine)
            right[row, :, 0] = np.float32(self.alpha) * mine.sum(axis=0)
        return np.linalg.solve(left, right)[:, :, 0]

    def arrays(self) -> Arrays:
        return {"item_factors": self.item_factors, "gram": self.gram}

    def params(self) -> Mapping[str, float | int | str]:
        return {"regularization": self.regularization, "alpha": self.alpha}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        factors = floats(arrays, "item_factors", None, None)
        gram = floats(arrays, "gram", factors.shape[1], factors.shape[1])
        return cls(factors, gram, number(params, "regularization", low=0), number(params, "alpha", low=1))
