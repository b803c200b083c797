"""Sequence model: a small transformer over what a learner took up, in order, that predicts the next item.

After eSASRec (Tikhonovich et al. 2025): SASRec's causal attention over a shared item embedding (Kang, McAuley 2018), gated
residuals, and a softmax over sampled negatives. It trains in PyTorch (`training.models.sequence_fit`, imported when a fit
begins) and is served as arrays by numpy alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.interactions import Histories, Interactions
from training.models.attention import last_states, shapes, state_of_one
from training.models.base import Arrays, columns, floats
from training.models.windows import N_GAPS, Windows, gaps, newest

_CELLS = 2**21  # entries of a batch times its longest squared: bounds the attention weights held at once


class SequenceModel(BaseModel):
    """`dim`, `blocks`, `heads`: the network; `max_length`: how much of a history it reads; `times`: time gaps, where known.

    `epochs` bounds the training, which ends where `patience` epochs in a row did not improve NDCG@10 on the inner
    validation. `batch`: take-ups in one step, fewer for small data (a thirty-second of all, at least 64); `negatives`: items
    drawn beside those of the batch. `threads` and `device` change the time, and the last digits of the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "sequence"

    dim: int = Field(default=64, ge=2, le=1024)
    blocks: int = Field(default=1, ge=1, le=16)
    heads: int = Field(default=2, ge=1, le=16)
    max_length: int = Field(default=50, ge=1, le=1024)
    times: bool = True
    dropout: float = Field(default=0.4, ge=0, lt=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    batch: int = Field(default=1024, ge=1)
    negatives: int = Field(default=512, ge=1)
    epochs: int = Field(default=60, ge=1)
    patience: int = Field(default=5, ge=1)
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    threads: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")
        return self

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedSequence":
        """Errors: DeviceError (a ValueError) for `device = "cuda"` without one."""
        from training.models.sequence_fit import fit

        return fit(self, interactions, rng)

    def shapes(self, n_items: int) -> dict[str, tuple[int, ...]]:
        """The shape of every weight by name."""
        return shapes(n_items, self.dim, self.blocks, self.heads, self.max_length, N_GAPS)


@dataclass(frozen=True, eq=False)
class FittedSequence:
    """weights: float32 arrays by name (`attention.shapes`), the row of `item` zero for an item nobody took up.

    NaN for such items, and for a history that holds no other (an empty one too). A history is read without such items, and
    of the rest the newest `max_length`. `curve`: by epoch, how it was learned; not stored with the arrays.
    """

    weights: Mapping[str, NDArray[np.float32]]
    times: bool = True
    curve: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    kind: ClassVar[str] = "sequence"

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.any(self.weights["item"], axis=1)
        return known

    @cached_property
    def _unknown(self) -> NDArray[np.intp]:
        return np.flatnonzero(~self._known)

    @cached_property
    def _by_dimension(self) -> NDArray[np.float32]:
        """float32[dim, n_items]: one state is multiplied with it in two thirds of the time, most of which is reading it."""
        return np.ascontiguousarray(self.weights["item"].T)

    @property
    def n_items(self) -> int:
        return len(self.weights["item"])

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        if len(histories) == 1 and len(histories.items):
            return columns(self._of_one(histories)[None], items)
        told = self._known[histories.items]
        read = histories if told.all() else histories.where(told)
        scores = self.states(read) @ self.weights["item"].T
        scores[:, self._unknown] = np.nan
        scores[read.lengths == 0] = np.nan
        return columns(scores, items)

    def _of_one(self, history: Histories) -> NDArray[np.float32]:
        """float32[n_items]: the same of one history."""
        told = self._known[history.items]
        if not told.any():
            return np.full(self.n_items, np.nan, dtype=np.float32)
        scores: NDArray[np.float32] = self.states(history if told.all() else history.where(told))[0] @ self._by_dimension
        scores[self._unknown] = np.nan
        return scores

    def states(self, histories: Histories) -> NDArray[np.float32]:
        """float32[n, dim]: what the model makes of each history of known items; zero for an empty one."""
        if len(histories) == 1 and len(histories.items):
            last = slice(-len(self.weights["position"]), None)
            return state_of_one(self.weights, histories.items[last], gaps(histories, times=self.times)[last])[None]
        windows = newest(histories, len(self.weights["position"]), times=self.times)
        found = np.zeros((len(histories), self.weights["item"].shape[1]), dtype=np.float32)
        for length in np.unique(windows.length[windows.length > 0]):
            rows = np.flatnonzero(windows.length == length)
            for start in range(0, len(rows), size := max(1, _CELLS // int(length) ** 2)):
                some = rows[start : start + size]
                found[some] = self._read(windows, some)
        return found

    def _read(self, windows: Windows, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32[k, dim] of windows of one length."""
        places = windows.places(rows)
        return last_states(self.weights, windows.items[places], windows.gaps[places])

    def arrays(self) -> Arrays:
        return dict(self.weights)

    def params(self) -> Mapping[str, float | int | str]:
        return {"times": int(self.times)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        n_items, dim = floats(arrays, "item", None, None).shape
        blocks, heads, max_length = floats(arrays, "attention_lag", None, None, None).shape
        if not dim or not blocks or not heads or not max_length or dim % heads:
            raise ValueError(f"{dim} dimensions, {blocks} blocks, {heads} heads, {max_length} positions make no transformer")
        wanted = shapes(n_items, dim, blocks, heads, max_length, N_GAPS)
        weights = {name: np.asarray(floats(arrays, name, *shape)) for name, shape in wanted.items()}
        return cls(weights, _flag(params, "times"))


def _flag(params: Mapping[str, Any], name: str) -> bool:
    if params[name] not in (0, 1):
        raise ValueError(f"{name} is {params[name]!r}, not 0 or 1")
    return bool(params[name])
