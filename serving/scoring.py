"""Scores of one learner over all items, where they came from, and which past item gave most to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Histories
from serving.prepared import Prepared
from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.linear import FittedLinear
from training.models.weights import standardise

POPULARITY = "popularity"


@dataclass(frozen=True, eq=False)
class Scores:
    """total: float32[m] (NaN: cannot score); names: the models; parts: float32[len(names), m], adding up to the total."""

    total: NDArray[np.float32]
    names: tuple[str, ...]
    parts: NDArray[np.float32]

    @classmethod
    def of_blend(cls, blend: FittedBlend, history: Histories) -> "Scores":
        """What `blend.score` and `blend.score_parts` say of one history, all parts standardised at once."""
        standard, known = standardise(np.concatenate([part.score(history) for part in blend.parts.values()]))
        parts = standard * np.array([[blend.weights[name]] for name in blend.parts], dtype=np.float32)
        total = parts.sum(axis=0)
        total[~known.any(axis=0)] = np.nan
        return cls(total, tuple(blend.parts), parts)

    @classmethod
    def of_one(cls, name: str, total: NDArray[np.float32]) -> "Scores":
        """The scores of a model without parts."""
        return cls(total, (name,), total[None])

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        """bool[m]: where there is a score."""
        return np.isfinite(self.total)

    def of(self, indices: NDArray[np.int64]) -> list[dict[str, float]]:
        """The parts of each item's score, by model name."""
        return [dict(zip(self.names, parts, strict=True)) for parts in self.parts[:, indices].T.tolist()]


def score(stock: Prepared, history: Histories, *, degraded: bool) -> Scores:
    """The model's scores of one history; plain popularity when degraded, or where the model can score nothing."""
    model = stock.bundle.model
    if not degraded:
        if isinstance(model, FittedBlend):
            found = Scores.of_blend(model, history)
        else:
            found = Scores.of_one(model.kind, model.score(history)[0])
        if found.scored.any():
            return found
    return Scores.of_one(POPULARITY, np.asarray(stock.table.popularity, dtype=np.float32))


def chances(stock: Prepared, history: Histories, scores: Scores, items: NDArray[np.int64]) -> list[float | None]:
    """How likely the learner takes up each item next, by the bundle's map; None without one.

    The map knows the scores of its model alone: None too where something else ranked, or had a part in it.
    """
    model, fitted = stock.bundle.model, stock.bundle.calibration
    own = tuple(model.parts) if isinstance(model, FittedBlend) else (model.kind,)
    if fitted is None or scores.names != own or not len(items):
        return [None] * len(items)
    found = fitted.probabilities(scores.total, history[0], items).tolist()
    return [one if one == one else None for one in found]  # NaN: taken up already


def largest(parts: Mapping[str, float]) -> str:
    """The name of the largest part, which is an item's source; ties by name, so that a replay says the same.

    A part of exactly 0 has nothing to say of an item, and is its source only where no other one has either.
    """
    said = [name for name in parts if parts[name] != 0] or [*parts]
    return max(said, key=lambda name: (parts[name], name))


def best_first(total: NDArray[np.float32], candidates: NDArray[np.int32]) -> NDArray[np.int32]:
    """Candidates by descending score, ties by lower index."""
    return candidates[np.lexsort((candidates, -total[candidates]))]


def causes(model: Fitted, history: Histories, items: NDArray[np.int64]) -> list[int | None]:
    """For each item, the past item that gave most to the `explained` part of its score; None where none gave anything.

    All items at once: the same figures as `FittedLinear.contributions`, which is far slower one by one.
    """
    found, taken = explained(model), history[0]
    if found is None or not len(taken) or not len(items):
        return [None] * len(items)
    _, linear = found
    rows = linear.weights[taken]
    weights = rows.toarray()[:, items] if sparse.issparse(rows) else rows[:, items]
    given = weights * np.power(np.float32(linear.decay), history.age())[:, None]
    strongest = given.argmax(axis=0)
    best = given[strongest, np.arange(len(items))]
    return [int(taken[at]) if value > 0 else None for at, value in zip(strongest, best.tolist(), strict=True)]


def explained(model: Fitted) -> tuple[str, FittedLinear] | None:
    """The part of a model, with its name, whose scores are sums over the history: `linear` or `item_knn`."""
    parts = model.parts if isinstance(model, FittedBlend) else {model.kind: model}
    return next(((name, part) for name, part in parts.items() if isinstance(part, FittedLinear)), None)
