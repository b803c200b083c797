"""Weights of a blend, chosen on a validation task by NDCG, one weight at a time until none of them helps.

What a part says of a task is kept as margins: its standardised score of every item minus that of the target. A weighted
sum of margins above 0 is then an item ranked before the target, whatever the weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories
from training.models.base import Fitted

_GRID = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5)
_ENOUGH = 1e-4  # NDCG that a change must add: less is noise, and fewer parts are cheaper to serve
_COLD = 0.01  # keeps a part that can rank for a learner without history, without moving the others
_SWEEPS = 5
FLAT = 1e-6  # a row that varies less, relative to its size, is constant up to rounding
_CELLS = 2 * 10**8  # float32 margins held at once: 0.8 GB


def standardise(scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Each row of float32[n, m] to mean 0 and deviation 1 over its finite entries, 0 elsewhere; bool[n, m]: which were finite.

    A row without any spread becomes zeros.
    """
    known = np.isfinite(scores)
    found = np.where(known, scores, np.float64(0))
    count = np.maximum(np.count_nonzero(known, axis=1), 1)[:, None]
    mean = found.sum(axis=1, keepdims=True) / count
    found -= mean
    found *= known
    deviation = np.sqrt(np.einsum("ij,ij->i", found, found)[:, None] / count)
    found /= np.where(deviation > FLAT * np.abs(mean), deviation, np.inf)
    return found.astype(np.float32), known


def choose_weights(
    parts: Mapping[str, Fitted],
    histories: Histories,
    targets: NDArray[np.int32],
    *,
    rng: np.random.Generator,
    k: int = 10,
    sample: int = 3_000,
) -> dict[str, float]:
    """Weights by name for `FittedBlend`; a part that does not help is left out.

    histories: n, targets: int32[n], the item that came next (not in its history). At most `sample` of them are looked at,
    drawn by `rng`, fewer where the margins would not fit in 0.8 GB. At least one part that can rank for an empty history
    stays where there is one. Without any target every part gets 1.
    """
    if not len(targets):
        return dict.fromkeys(parts, 1.0)
    size = min(len(targets), sample, max(1, _CELLS // (len(parts) * histories.n_items)))
    rows = np.sort(rng.choice(len(targets), size=size, replace=False))
    task = _Task.of(parts, histories.take(rows), targets[rows], k)
    alone = {name: task.ndcg(margin) for name, margin in task.margins.items()}
    weights = _climb(task, max(alone, key=lambda name: alone[name]))
    return _with_cold_part(parts, weights, alone, histories.n_items)


@dataclass(frozen=True, eq=False)
class _Task:
    """margins: float32[n, m] by part; no_candidate: bool[n, m], items of the history and items no part can score."""

    margins: dict[str, NDArray[np.float32]]
    no_candidate: NDArray[np.bool_]
    hopeless: NDArray[np.bool_]
    k: int

    @classmethod
    def of(cls, parts: Mapping[str, Fitted], histories: Histories, targets: NDArray[np.int32], k: int) -> "_Task":
        every = np.arange(len(targets))
        known = np.zeros((len(targets), histories.n_items), dtype=bool)
        margins = {}
        for name, part in parts.items():
            standard, scored = standardise(part.score(histories))
            standard -= standard[every, targets][:, None]
            margins[name] = standard
            known |= scored
        hopeless = ~known[every, targets]
        known[histories.rows(), histories.items] = False
        known[every, targets] = False
        return cls(margins, ~known, hopeless, k)

    def ndcg(self, margin: NDArray[np.float32]) -> float:
        """Mean NDCG@k of a weighted sum of margins, ties at their mean rank (as `training.metrics` defines it)."""
        above = np.count_nonzero((margin > 0) & ~self.no_candidate, axis=1)
        tied = np.count_nonzero((margin == 0) & ~self.no_candidate, axis=1)
        rank = 1 + above + tied / 2
        gain = np.where((rank < self.k + 1) & ~self.hopeless, 1 / np.log2(1 + rank), 0.0)
        return float(gain.mean())


def _climb(task: _Task, start: str) -> dict[str, float]:
    """Coordinate search from one part alone, whose weight stays 1."""
    weights = {name: float(name == start) for name in task.margins}
    total = task.margins[start].copy()
    best = task.ndcg(total)
    for _ in range(_SWEEPS):
        before = best
        for name in [name for name in weights if name != start]:
            rest = total - np.float32(weights[name]) * task.margins[name]
            found = [task.ndcg(rest + np.float32(value) * task.margins[name]) for value in _GRID]
            if max(found) > best + _ENOUGH:
                weights[name], best = _GRID[int(np.argmax(found))], max(found)
                total = rest + np.float32(weights[name]) * task.margins[name]
        if best == before:
            break
    return {name: weight for name, weight in weights.items() if weight > 0}


def _with_cold_part(
    parts: Mapping[str, Fitted], weights: dict[str, float], alone: Mapping[str, float], n_items: int
) -> dict[str, float]:
    """The weights, with the best part that can rank for an empty history where none of them can."""
    nothing = Histories.of([[]], n_items)
    able = [name for name, part in parts.items() if not np.isnan(part.score(nothing)).all()]
    if not able or any(name in weights for name in able):
        return weights
    return weights | {max(able, key=lambda name: alone[name]): _COLD}
