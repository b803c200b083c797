"""Ids carry no order: what a model is worth may not depend on how learners and items are numbered.

The log is numbered by first appearance, as public files often are, so the number after the last one is often the answer.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.evaluate import evaluate
from training.models.blend import Blend
from training.models.content import ContentConfig
from training.models.linear import Linear
from training.models.popularity import Popularity
from training.models.recent import Recent
from training.splits import leave_last_out, relabel

N_ITEMS = 60


def log() -> Interactions:
    """150 learners who walk along paths of six items with detours; items are numbered in the order they first appear."""
    rng, number, rows = np.random.default_rng(3), {}, []
    for _ in range(150):
        start = 6 * rng.integers(0, N_ITEMS // 6)
        walk = [int(start + step) if rng.random() < 0.7 else int(rng.zipf(1.6) % N_ITEMS) for step in range(6)]
        rows.append([number.setdefault(item, len(number)) for item in dict.fromkeys(walk)])
    days = [[np.datetime64("2026-01-01", "us") + np.timedelta64(int(d), "h") for d in range(len(row))] for row in rows]
    audience = rng.integers(0, 2, size=len(rows)).tolist()
    return Interactions.of_histories(Histories.of(rows, N_ITEMS, at=days, audience=audience), n_audiences=2)


SIDE = SideInformation(N_ITEMS, np.random.default_rng(4).normal(size=(N_ITEMS, 8)).astype(np.float32))


@dataclass(frozen=True)
class NextNumbers:
    """A cheat that learns nothing: the items numbered just after the last one."""

    name: ClassVar[str] = "cheat"
    kind: ClassVar[str] = "cheat"

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> Any:
        return self

    def score(self, histories: Histories, items: Any = None) -> Any:
        last = histories.items[np.maximum(histories.indptr[1:] - 1, 0)]
        ahead = np.arange(histories.n_items) - last[:, None]
        return np.where((ahead >= 1) & (ahead <= 3), 4.0 - ahead, 0.0).astype(np.float32)


def figures(model: Any, interactions: Interactions) -> np.ndarray:
    """Recall, NDCG, debiased NDCG and coverage at 10 on the last item."""
    split = leave_last_out(interactions)
    fitted = model.fit(split.train, rng=np.random.default_rng(0))
    found = evaluate(fitted, split.test, train=split.train)
    return np.array([found.metric(name) for name in ("recall", "ndcg", "debiased_ndcg", "coverage")])


def relabelled(model: Any, seed: int) -> np.ndarray:
    moved, permutation = relabel(log(), rng=np.random.default_rng(seed))
    return figures(model(SIDE.take(permutation.items)), moved)


MODELS: dict[str, Any] = {
    "popularity": lambda side: Popularity(),
    "recent": lambda side: Recent(),
    "ease": lambda side: Linear(mix=0),
    "next item": lambda side: Linear(mix=1),
    "linear": lambda side: Linear(),
    "content": lambda side: ContentConfig().bind(side),
    "blend": lambda side: Blend(
        parts=(Linear(), ContentConfig().bind(side), Popularity()),
        weights={"linear": 1.0, "content": 0.3, "popularity": 0.1},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_metrics_are_the_same_under_two_relabellings(name: str) -> None:
    assert relabelled(MODELS[name], 1) == pytest.approx(relabelled(MODELS[name], 2), abs=1e-6)


def test_a_model_that_reads_the_numbering_is_caught() -> None:
    honest = figures(Linear(), log())
    assert figures(NextNumbers(), log())[1] > honest[1]  # on the numbers as they come it would win
    one, two = (relabelled(lambda side: NextNumbers(), seed) for seed in (1, 2))
    assert one != pytest.approx(two, abs=1e-6)
    assert max(one[1], two[1]) < honest[1] / 2
