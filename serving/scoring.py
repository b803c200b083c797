"""Scores of one learner over all items, where they came from, and which past item gave most to them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Histories
from serving.prepared import Prepared
from serving.rules.holding import OF_POLICY, OF_REQUEST
from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.linear import FittedLinear
from training.models.ranker import FittedRanker, Look
from training.models.row_lookups import decays, entries
from training.models.weights import standardise

POPULARITY = "popularity"
RANKER = "ranker"
"""The part of a score that the trees add to the blend's: it orders what the blend found and is nobody's source."""
_OF_RULES: Final = (OF_POLICY, OF_REQUEST)


@dataclass(frozen=True, eq=False)
class Scores:
    """total: float32[m] (NaN: cannot score); names: the models; own: their parts, None: those of the look.

    look: the candidates that trees put in order, where some did. of_model: whether the bundle's model ranked, and no fallback.
    """

    total: NDArray[np.float32]
    names: tuple[str, ...]
    own: NDArray[np.float32] | None
    look: Look | None = None
    of_model: bool = True

    @classmethod
    def of_ranker(cls, ranker: FittedRanker, history: Histories) -> "Scores":
        """What `ranker.score` says of one history: its blend's parts, and what the trees added to each candidate."""
        if ranker.trees is None:
            return cls.of_blend(ranker.blend, history)
        look = ranker.look(history)
        return cls(ranker.lifted(look)[0], (*ranker.blend.parts, RANKER), None, look)

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

    @cached_property
    def parts(self) -> NDArray[np.float32]:
        """float32[len(names), m], adding up to the total; of all items only where somebody asks."""
        return self._parts_of(np.arange(len(self.total)))

    def of(self, indices: NDArray[np.int64]) -> list[dict[str, float]]:
        """The parts of each item's score, by model name."""
        return [dict(zip(self.names, parts, strict=True)) for parts in self._parts_of(indices).T.tolist()]

    def _parts_of(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.own is not None:
            return self.own[:, indices]
        assert self.look is not None
        lifted = self.total[indices] - self.look.total[0, indices]  # by the trees; nothing of what was no candidate
        return np.concatenate([self.look.parts_of(indices)[:, 0], np.nan_to_num(lifted)[None]])


def score(stock: Prepared, history: Histories, *, degraded: bool) -> Scores:
    """The model's scores of one history; plain popularity when degraded, or where the model can score nothing."""
    model = stock.bundle.model
    if not degraded:
        if isinstance(model, FittedRanker):
            found = Scores.of_ranker(model, history)
        elif isinstance(model, FittedBlend):
            found = Scores.of_blend(model, history)
        else:
            found = Scores.of_one(model.kind, model.score(history)[0])
        if found.scored.any():
            return found
    fallback = Scores.of_one(POPULARITY, np.asarray(stock.table.popularity, dtype=np.float32))
    return replace(fallback, of_model=False)


def chances(stock: Prepared, history: Histories, scores: Scores, items: NDArray[np.int64]) -> list[float | None]:
    """How likely the learner takes up each item next, by the bundle's map; None without one.

    The map knows the scores of its model alone: None too where something else ranked, or had a part in it.
    """
    model, fitted = stock.bundle.model, stock.bundle.calibration
    own = (*parts_of(model), RANKER) if isinstance(model, FittedRanker) and model.trees is not None else tuple(parts_of(model))
    if fitted is None or scores.names != own or not len(items):
        return [None] * len(items)
    found = fitted.probabilities(scores.total, history[0], items).tolist()
    return [one if one == one else None for one in found]  # NaN: taken up already


def largest(parts: Mapping[str, float]) -> str:
    """The name of the largest part, which is an item's source; ties by name, so that a replay says the same.

    A part of exactly 0 has nothing to say of an item, and is its source only where no other one has either. What trees added
    is never one: they look at what the others found. Nor is what a rule adds.
    """
    sources = [name for name in parts if name != RANKER and not name.startswith(_OF_RULES)]
    said = [name for name in sources if parts[name] != 0] or sources
    return max(said, key=lambda name: (parts[name], name))


def best_first(total: NDArray[np.float32], candidates: NDArray[np.int32], most: int | None = None) -> NDArray[np.int32]:
    """Candidates by descending score (no NaN), ties by lower index: one fast sort of numbers that hold both.

    `most`: only the first so many are wanted (None: all). What stands below them is then not sorted.
    """
    worth = total.take(candidates)
    if most is not None and most < len(worth):
        some = _highest(worth, most)
        worth, candidates = worth.take(some), candidates.take(some)
    bits = (np.float32(0) - worth).view(np.int32)  # 0 - 0 is 0, and never -0, which is no other number
    bits ^= bits >> 31 & np.int32(0x7FFFFFFF)
    key = np.empty(len(bits), dtype=np.int64)
    low, high = (key.view(np.int32)[at::2] for at in ((0, 1) if sys.byteorder == "little" else (1, 0)))
    low[:], high[:] = candidates, bits
    key.sort()
    return low[:most].copy()


_EVERY: Final = 16, 1


def _highest(worth: NDArray[np.floating], most: int) -> NDArray[np.intp]:
    """Where the `most` highest of n > most values stand (no NaN), and some that follow them; all of those that are equal.

    What lies above a guess, which is a high one of every sixteenth value; where that was too high, of all of them.
    """
    found = np.arange(0)
    for every in _EVERY:
        sample = worth[::every]
        rank = len(sample) - min(len(sample), 2 * most // every + 3)
        found = np.flatnonzero(worth >= np.partition(sample, rank)[rank])
        if len(found) >= most:
            break
    return found


def parts_of(model: Fitted) -> Mapping[str, Fitted]:
    """The parts of a blend, of a ranker's too, by name; a model without parts under its own name."""
    if isinstance(model, FittedRanker):
        return model.blend.parts
    return model.parts if isinstance(model, FittedBlend) else {model.kind: model}


MOST_CAUSES = 3


def causes(model: Fitted, history: Histories, items: NDArray[np.int64]) -> list[tuple[tuple[int, float], ...]]:
    """For each item, the past items that gave most to the `explained` part of its score, and how much each gave.

    The most first; at most three, each once (what a repeated one gave is added up), and only what gave something. All items at
    once: the same figures as `FittedLinear.contributions`, which is far slower one by one.
    """
    found, taken = explained(model), history[0]
    if found is None or not len(taken) or not len(items):
        return [()] * len(items)
    _, linear = found
    each_gave: dict[int, float] = {}
    for item, gave in zip(taken.tolist(), decays(linear.decay, len(taken)).tolist(), strict=True):
        each_gave[item] = each_gave.get(item, 0.0) + gave
    past = np.array(sorted(each_gave))
    gave_in_all = np.array([each_gave[item] for item in past.tolist()], dtype=np.float32)
    given = _weights(linear, past, items) * gave_in_all[:, None]
    strongest = np.argsort(-given.T, axis=1, kind="stable")[:, :MOST_CAUSES]
    amounts = given[strongest, np.arange(len(items))[:, None]]
    each = zip(past[strongest].tolist(), amounts.tolist(), strict=True)
    return [tuple(one for one in zip(own, amount, strict=True) if one[1] > 0) for own, amount in each]


def _weights(linear: FittedLinear, past: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32[len(past), len(items)]: the weights from past items to others."""
    if not sparse.issparse(linear.weights):
        return np.asarray(linear.weights[np.ix_(past, items)])
    return entries([(linear.weights, one) for one in past.tolist()], items)


def likeness(stock: Prepared, item: int) -> NDArray[np.float32]:
    """float32[m]: how much taking up an item speaks for each other one, by the part of the model that says so, else how alike
    they are in content; 0 for the item itself.
    """
    found = explained(stock.bundle.model)
    if found is None:
        like: NDArray[np.float32] = stock.contents @ stock.contents[item]
    else:
        row = found[1].weights[[item]]
        like = np.array(row.toarray()[0] if sparse.issparse(row) else row[0], dtype=np.float32)
    like[item] = 0
    return like


def explained(model: Fitted) -> tuple[str, FittedLinear] | None:
    """The part of a model, with its name, whose scores are sums over the history: `linear`, `item_knn` or `similarity`."""
    return next(((name, part) for name, part in parts_of(model).items() if isinstance(part, FittedLinear)), None)
