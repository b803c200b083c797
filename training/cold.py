"""Cold items: how well is an item ranked that nobody took up before the fit, among the whole catalogue?

The split is `training.splits.cold_items`; its validation asks as many questions about other items, so that what is chosen
there serves both. Differences are paired by question, with intervals by learner.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.interactions import Interactions
from features.side import SideInformation
from training import lineup
from training.contest import Contest, Result, compete
from training.estimates import Estimate
from training.evaluate import Evaluation, paired_difference
from training.splits import ColdItems, cold_items, relabel

METRICS = ("ndcg", "recall")
Step = Callable[[str], None]
"""Told what begins now."""


@dataclass(frozen=True, eq=False)
class ColdFigures:
    """What every model made of the same cold items."""

    parts: ColdItems
    results: Mapping[str, Result]

    def difference(self, ours: str, other: str, metric: str = "ndcg", *, seed: int = 0) -> Estimate | None:
        """Ours minus other on the same questions, 95 %; None where too few learners were asked, or nothing tells them apart.

        Errors: KeyError for a model that was not measured.
        """
        pair = self.results[ours].evaluation, self.results[other].evaluation
        found = paired_difference(*pair, metric, rng=np.random.default_rng(seed))
        return found if isinstance(found, Estimate) else None

    def rows(self, ours: Sequence[str], against: Sequence[str], *, seed: int = 0) -> dict[str, Any]:
        """As plain data: the split, each model's figures, and for each of `ours` what it adds to each of `against`."""
        have = [name for name in ours if name in self.results]
        others = [name for name in against if name in self.results]
        models: dict[str, dict[str, Any]] = {name: _figures(result) for name, result in self.results.items()}
        for name in have:
            models[name]["minus"] = {
                other: {metric: _interval(self.difference(name, other, metric, seed=seed)) for metric in METRICS}
                for other in others
                if other != name
            }
        return {**_described(self.parts), "models": models}


def measure_cold(
    interactions: Interactions, side: SideInformation, models: Sequence[str], *, seed: int = 0, step: Step = lambda name: None
) -> ColdFigures:
    """Every model that these data allow on the newest items, one after the other in this process; ids are relabelled first.

    `side`: in the table's item order. Errors: ValueError where too few items were taken up.
    """
    relabelled, renamed = relabel(interactions, rng=np.random.default_rng(seed))
    parts = cold_items(relabelled, seed=seed)
    contest = Contest.of(parts, side.take(renamed.items), seed=seed)
    results: dict[str, Result] = {}
    for name in models:
        if lineup.missing(name, interactions, side) is None:
            step(name)
            results[name] = compete(name, contest)
    return ColdFigures(parts, results)


def _described(parts: ColdItems) -> dict[str, Any]:
    return {
        "items_hidden": int(parts.hidden.sum()),
        "newest_by": parts.newest_by,
        "targets": len(parts.test),
        "learners": len(np.unique(parts.test.learners)),
        "split_digest": parts.digest,
    }


def _figures(result: Result) -> dict[str, Any]:
    found = {metric: round(result.evaluation.metric(metric), 4) for metric in METRICS}
    return {**found, "ndcg_interval": _ends(result.evaluation), "settings": list(result.settings)}


def _ends(evaluation: Evaluation) -> list[float] | None:
    return _interval(found)[1:] if isinstance(found := evaluation.estimate("ndcg"), Estimate) else None


def _interval(found: Estimate | None) -> list[float]:
    """value, low, high; empty where there is none to state."""
    return [] if found is None else [round(value, 4) for value in (found.value, found.low, found.high)]
