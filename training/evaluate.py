"""How well a fitted model answers a task: full ranking over every unseen item, with intervals by learner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.interactions import Interactions
from training import metrics
from training.estimates import Estimate, Inconclusive, bootstrap_ratio
from training.models.base import Fitted
from training.splits import Task

__all__ = [
    "AUDIENCE",
    "COLD_ITEMS",
    "COLD_LEARNERS",
    "KNOWN_LEARNERS",
    "NEW_LEARNERS",
    "ORGANIC",
    "Estimate",
    "Evaluation",
    "Inconclusive",
    "evaluate",
    "paired_difference",
    "pool",
]

COLD_LEARNERS = "cold_learners"
"""Slice: targets of learners with fewer than 3 events so far."""
KNOWN_LEARNERS = "known_learners"
"""Slice: targets of learners with any event so far; the others are asked with an empty history."""
NEW_LEARNERS = "new_learners"
"""Slice: targets of learners who have not taken up anything: all that is known of them is audience, org unit and role."""
COLD_ITEMS = "cold_items"
"""Slice: targets with fewer than 5 learners in training."""
ORGANIC = "organic"
"""Slice: targets that nobody recommended."""
AUDIENCE = "audience "
"""Slice `audience 0`, `audience 1` ...: targets of learners whose primary audience that is (-1: of none)."""

_COVERAGE = "coverage"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The rank of every target of a task, and what was recommended on the way.

    rank, weight: float64[n] (weight: see `metrics.popularity_weight`), target, learner: int32[n], slices: name -> bool[n],
    shown: bool[n_items], items in the top k of anyone (None for a slice: lists are not kept). Metrics: `recall`, `ndcg`,
    `debiased_ndcg` (all at k, means over targets) and `coverage`.
    """

    rank: NDArray[np.float64]
    target: NDArray[np.int32]
    learner: NDArray[np.int32]
    weight: NDArray[np.float64]
    slices: Mapping[str, NDArray[np.bool_]]
    shown: NDArray[np.bool_] | None
    k: int

    def __len__(self) -> int:
        return len(self.rank)

    def metric(self, name: str) -> float:
        """One figure; NaN where nothing was asked. Errors: KeyError for an unknown name."""
        if name == _COVERAGE:
            return float("nan") if self.shown is None else float(self.shown.mean())
        return metrics.weighted_mean(self.gain(name), self.share(name))

    def estimate(self, name: str, *, seed: int = 0, resamples: int = 1000) -> Estimate | Inconclusive:
        """The figure with its 95 % bootstrap interval by learner."""
        if name == _COVERAGE:
            return Inconclusive("coverage is a property of all lists together and has no interval by learner")
        share = self.share(name)
        rng = np.random.default_rng(seed)
        return bootstrap_ratio(share * self.gain(name), share, self.learner, rng=rng, resamples=resamples)

    def within(self, name: str) -> "Evaluation":
        """The targets of one slice alone."""
        rows = self.slices[name]
        slices = {other: mask[rows] for other, mask in self.slices.items()}
        return Evaluation(self.rank[rows], self.target[rows], self.learner[rows], self.weight[rows], slices, None, self.k)

    def gain(self, name: str) -> NDArray[np.float64]:
        """float64[n]: what each target gains in a metric."""
        return self._gains[name]

    def share(self, name: str) -> NDArray[np.float64]:
        """float64[n]: how much each target counts in a metric."""
        return self.weight if name == "debiased_ndcg" else np.ones(len(self))

    @cached_property
    def _gains(self) -> Mapping[str, NDArray[np.float64]]:
        ndcg = metrics.ndcg(self.rank, self.k)
        return {"recall": metrics.recall(self.rank, self.k), "ndcg": ndcg, "debiased_ndcg": ndcg}


def evaluate(fitted: Fitted, task: Task, *, train: Interactions, k: int = 10, batch: int = 512) -> Evaluation:
    """Rank every target among all items its learner has not seen; `batch` learners are scored at a time.

    `train` is what was known when the model was fitted: it says which items are popular and which are cold.
    """
    rank = np.empty(len(task))
    shown = np.zeros(task.histories.n_items, dtype=bool)
    for start, histories in task.histories.batches(batch):
        rows = slice(start, start + len(histories))
        scores = metrics.unseen(fitted.score(histories), histories, task.targets[rows])
        rank[rows] = metrics.ranks(scores, task.targets[rows])
        shown |= metrics.shown(scores, k)
    n_train = train.item_counts()[task.targets]
    lengths = task.histories.lengths
    slices = {COLD_LEARNERS: lengths < 3, KNOWN_LEARNERS: lengths > 0, NEW_LEARNERS: lengths == 0}
    slices |= {COLD_ITEMS: n_train < 5, ORGANIC: ~task.recommended}
    slices |= {f"{AUDIENCE}{index}": task.histories.audience == index for index in range(-1, train.n_audiences)}
    return Evaluation(rank, task.targets, task.learners, metrics.popularity_weight(n_train), slices, shown, k)


def pool(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The folds of one model as one evaluation: every target counts once, an item is covered if any fold shows it."""
    first = evaluations[0]
    if any(other.k != first.k for other in evaluations):
        raise ValueError(f"cannot pool evaluations at different k: {sorted({e.k for e in evaluations})}")
    masks = [e.shown for e in evaluations if e.shown is not None]
    return replace(
        first,
        rank=np.concatenate([e.rank for e in evaluations]),
        target=np.concatenate([e.target for e in evaluations]),
        learner=np.concatenate([e.learner for e in evaluations]),
        weight=np.concatenate([e.weight for e in evaluations]),
        slices={name: np.concatenate([e.slices[name] for e in evaluations]) for name in first.slices},
        shown=np.any(masks, axis=0) if len(masks) == len(evaluations) else None,
    )


def paired_difference(
    a: Evaluation, b: Evaluation, metric: str = "ndcg", *, rng: np.random.Generator, resamples: int = 1000
) -> Estimate | Inconclusive:
    """Metric of `a` minus metric of `b` on the same targets, with a paired bootstrap interval by learner.

    Errors: ValueError when the two did not answer the same questions; coverage is no mean over targets and has no pairs.
    """
    same = len(a) == len(b) and np.array_equal(a.target, b.target) and np.array_equal(a.learner, b.learner)
    if not same or a.k != b.k or not np.array_equal(a.weight, b.weight):
        raise ValueError("the two evaluations answer different questions: evaluate both on the same task, train and k")
    if metric == _COVERAGE:
        return Inconclusive("coverage is a property of all lists together and cannot be paired by learner")
    share = a.share(metric)
    return bootstrap_ratio(share * (a.gain(metric) - b.gain(metric)), share, a.learner, rng=rng, resamples=resamples)
