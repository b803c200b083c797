from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from features.interactions import Histories
from training import metrics
from training.models.base import Arrays, Fitted, columns
from training.models.blend import FittedBlend
from training.models.popularity import FittedPopularity
from training.models.weights import _Task, choose_weights, standardise

M, N = 40, 300


@dataclass(frozen=True, eq=False)
class Table:
    """Scores looked up by the only item of a history; NaN without one."""

    table: NDArray[np.float32]
    kind: ClassVar[str] = "table"

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        found = np.full((len(histories), M), np.nan, dtype=np.float32)
        found[histories.lengths > 0] = self.table[histories.items]
        return columns(found, items)

    def arrays(self) -> Arrays:
        return {"table": self.table}

    def params(self) -> Mapping[str, float | int | str]:
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        return cls(arrays["table"])


@pytest.fixture(scope="module")
def task() -> tuple[Histories, NDArray[np.int32]]:
    """After item i comes i + 1, i + 2 or i + 3."""
    rng = np.random.default_rng(0)
    last = rng.integers(0, M - 3, N)
    return Histories.of([[int(i)] for i in last], M), (last + rng.integers(1, 4, N)).astype(np.int32)


def parts() -> dict[str, Fitted]:
    """Two that each see half of the truth through noise of their own, one of noise, one without a history."""
    rng = np.random.default_rng(1)
    near = np.array([[float(1 <= j - i <= 3) for j in range(M)] for i in range(M)])
    noise = [rng.normal(0, 0.7, (M, M)) for _ in range(2)]
    return {
        "noise": Table(rng.normal(0, 1, (M, M)).astype(np.float32)),
        "left": Table((near + noise[0]).astype(np.float32)),
        "right": Table((near + noise[1]).astype(np.float32)),
        "popularity": FittedPopularity(np.eye(1, M, dtype=np.float32)[0]),  # of item 0, which is never the answer
    }


def ndcg(model: Fitted, task: tuple[Histories, NDArray[np.int32]]) -> float:
    scores = metrics.unseen(model.score(task[0]), task[0], task[1])
    return float(metrics.ndcg(metrics.ranks(scores, task[1]), 10).mean())


def choose(task: tuple[Histories, NDArray[np.int32]], sample: int = 3_000) -> dict[str, float]:
    return choose_weights(parts(), *task, rng=np.random.default_rng(5), sample=sample)


def test_parts_that_help_are_mixed_and_noise_is_left_out(task: tuple[Histories, NDArray[np.int32]]) -> None:
    weights, all_parts = choose(task), parts()
    assert {"left", "right"} <= set(weights)
    assert weights.get("noise", 0) <= 0.1
    mixed = FittedBlend({name: all_parts[name] for name in weights}, weights)
    assert ndcg(mixed, task) > max(ndcg(part, task) for part in all_parts.values()) + 0.03


def test_something_stays_for_an_empty_history(task: tuple[Histories, NDArray[np.int32]]) -> None:
    assert 0 < choose(task)["popularity"] < 0.05  # too little to move anybody else's ranking
    only = {name: part for name, part in parts().items() if name != "popularity"}
    assert "popularity" not in choose_weights(only, *task, rng=np.random.default_rng(0))


def test_the_same_generator_chooses_the_same(task: tuple[Histories, NDArray[np.int32]]) -> None:
    assert choose(task, sample=100) == choose(task, sample=100)


def test_without_a_target_every_part_counts() -> None:
    weights = choose_weights(parts(), Histories.of([], M), np.empty(0, dtype=np.int32), rng=np.random.default_rng(0))
    assert set(weights.values()) == {1.0}


def test_the_figure_climbed_is_the_evaluators(task: tuple[Histories, NDArray[np.int32]]) -> None:
    """Ties, unscorable items and unscorable targets included."""
    table = np.round(np.random.default_rng(4).normal(0, 2, (M, M))).astype(np.float32)
    table[np.random.default_rng(6).random((M, M)) < 0.1] = np.nan
    part = Table(table)
    inner = _Task.of({"table": part}, *task, 10)
    assert inner.ndcg(inner.margins["table"]) == pytest.approx(ndcg(part, task), abs=1e-12)


def test_a_row_is_standardised_over_what_is_known() -> None:
    scores = np.array([[1, 3, np.nan], [5, 5, 5], [np.nan] * 3, [0.1, 0.1, 0.1]], dtype=np.float32)
    found, known = standardise(scores)
    assert found.dtype == np.float32
    assert found.tolist() == [[-1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert known.tolist() == [[True, True, False], [True] * 3, [False] * 3, [True] * 3]
