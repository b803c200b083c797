"""Evaluation of fixed score tables, whose right answers are known without running anything."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from training.evaluate import (
    COLD_ITEMS,
    COLD_LEARNERS,
    KNOWN_LEARNERS,
    NEW_LEARNERS,
    Estimate,
    Evaluation,
    Inconclusive,
    evaluate,
    paired_difference,
    pool,
)
from training.splits import Task


@dataclass(frozen=True)
class Fixed:
    """Every learner gets the same scores."""

    by_item: tuple[float, ...]
    kind: ClassVar[str] = "fixed"

    def score(self, histories: Histories, items: np.ndarray | None = None) -> np.ndarray:
        return np.tile(np.array(self.by_item, dtype=np.float32), (len(histories), 1))

    def arrays(self) -> dict[str, Any]:
        return {}

    def params(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_arrays(cls, arrays: Any, params: Any) -> Self:
        raise NotImplementedError


def task(*questions: tuple[list[int], int], n_items: int = 5) -> Task:
    histories = Histories.of([history for history, _ in questions], n_items)
    targets = np.array([target for _, target in questions], dtype=np.int32)
    return Task(histories, targets, np.arange(len(questions), dtype=np.int32))


TRAIN = Interactions.of_histories(Histories.of([[0, 1], [0, 1], [0], [0], [0]], 5))
FALLING = Fixed((5.0, 4.0, 3.0, 2.0, 1.0))


def test_an_evaluation_worked_by_hand() -> None:
    found = evaluate(FALLING, task(([], 0), ([0], 2), ([0, 1, 2], 4)), train=TRAIN, k=2)
    assert found.rank.tolist() == [1, 2, 2]  # of 0 1 2 3 4, of 1 2 3 4, of 3 4
    assert found.metric("recall") == 1
    assert found.metric("ndcg") == pytest.approx((1 + 2 / np.log2(3)) / 3)
    weights = np.array([1 / np.sqrt(6), 1, 1])  # item 0 has five learners in training, 2 and 4 none
    assert found.metric("debiased_ndcg") == pytest.approx((weights @ [1, 1 / np.log2(3), 1 / np.log2(3)]) / weights.sum())
    assert found.metric("coverage") == 1  # 0 1, then 1 2, then 3 4


def test_coverage_is_the_share_of_items_in_anybodys_top_k() -> None:
    assert evaluate(FALLING, task(([], 0), ([0], 4)), train=TRAIN, k=2).metric("coverage") == 3 / 5


def test_a_target_without_a_score_is_a_miss() -> None:
    found = evaluate(Fixed((1.0, float("nan"), 2.0, 2.0, 2.0)), task(([], 1)), train=TRAIN, k=10)
    assert (found.metric("recall"), found.metric("ndcg")) == (0, 0)


def test_slices() -> None:
    found = evaluate(FALLING, task(([], 0), ([0, 1], 2), ([0, 1, 2], 4)), train=TRAIN, k=2)
    assert found.slices[COLD_LEARNERS].tolist() == [True, True, False]
    assert found.slices[KNOWN_LEARNERS].tolist() == [False, True, True]
    assert found.slices[NEW_LEARNERS].tolist() == [True, False, False]
    assert found.slices[COLD_ITEMS].tolist() == [False, True, True]
    cold = found.within(COLD_LEARNERS)
    assert (len(cold), cold.metric("recall")) == (2, 1)
    assert np.isnan(cold.metric("coverage"))


def test_batches_change_nothing() -> None:
    asked = task(([], 0), ([0], 2), ([0, 1, 2], 4), ([3], 1))
    whole, one_by_one = (evaluate(FALLING, asked, train=TRAIN, k=2, batch=size) for size in (512, 1))
    assert whole.rank.tolist() == one_by_one.rank.tolist()
    assert whole.metric("coverage") == one_by_one.metric("coverage")


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(KeyError):
        evaluate(FALLING, task(([], 0)), train=TRAIN).metric("accuracy")


def random_evaluation(seed: int, n: int = 60, better: float = 0.0, learners: np.ndarray | None = None) -> Evaluation:
    """Ranks of one fixed set of questions; `better` shifts them towards the top."""
    rank = np.maximum(1, np.random.default_rng(seed).integers(1, 20, size=n) - better)
    who = np.arange(n, dtype=np.int32) if learners is None else learners
    none = np.zeros(n, dtype=bool)
    return Evaluation(rank, np.zeros(n, dtype=np.int32), who, np.ones(n), {COLD_ITEMS: none}, np.zeros(5, dtype=bool), 10)


def test_estimates_stand_around_their_value_and_repeat() -> None:
    found = random_evaluation(1).estimate("ndcg")
    assert isinstance(found, Estimate)
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(random_evaluation(1).metric("ndcg"))
    assert random_evaluation(1).estimate("ndcg") == found


def test_an_empty_slice_refuses() -> None:
    assert isinstance(random_evaluation(1).within(COLD_ITEMS).estimate("ndcg"), Inconclusive)


def test_pooled_folds_weigh_every_target_alike() -> None:
    few = evaluate(FALLING, task(([], 0)), train=TRAIN, k=2)
    many = evaluate(FALLING, task(([], 4), ([], 3), ([], 4)), train=TRAIN, k=2)
    found = pool([few, many])
    assert found.metric("recall") == 1 / 4
    assert (len(found), found.metric("coverage")) == (4, 2 / 5)
    assert found.slices[COLD_ITEMS].tolist() == [False, True, True, True]


def test_pooling_needs_one_k() -> None:
    with pytest.raises(ValueError, match="different k"):
        pool([evaluate(FALLING, task(([], 0)), train=TRAIN, k=k) for k in (1, 2)])


def test_a_learner_in_many_folds_is_one_learner() -> None:
    found = random_evaluation(1, learners=np.repeat(np.arange(12, dtype=np.int32), 5)).estimate("recall")
    assert isinstance(found, Estimate)
    assert found.n == 12


def test_pairing_sees_a_difference_that_two_separate_intervals_hide() -> None:
    worse, better = random_evaluation(1, n=200), random_evaluation(1, n=200, better=2.0)
    apart = [found for e in (worse, better) if isinstance(found := e.estimate("recall"), Estimate)]
    paired = paired_difference(better, worse, "recall", rng=np.random.default_rng(0))
    assert apart[0].high > apart[1].low
    assert isinstance(paired, Estimate)
    assert paired.low > 0
    assert paired.value == pytest.approx(better.metric("recall") - worse.metric("recall"))


def test_a_comparison_counts_learners_not_targets() -> None:
    """12 learners with 5 targets each, which rise and fall together: the interval is that of 12 values, not of 60 targets."""
    who = np.repeat(np.arange(12, dtype=np.int32), 5)
    rank = np.repeat(np.random.default_rng(0).integers(1, 20, size=12), 5).astype(np.float64)
    a = replace(random_evaluation(1, learners=who), rank=rank, target=np.arange(60, dtype=np.int32))
    b = replace(a, rank=np.full(60, 5.0))
    clustered = paired_difference(a, b, "recall", rng=np.random.default_rng(0))
    one_each = [replace(e.within("first"), learner=np.arange(12)) for e in map(with_first, (a, b))]
    assert clustered == paired_difference(one_each[0], one_each[1], "recall", rng=np.random.default_rng(0))
    assert isinstance(clustered, Estimate)
    assert clustered.n == 12


def with_first(evaluation: Evaluation) -> Evaluation:
    """With a slice of the first of each learner's five targets."""
    return replace(evaluation, slices={"first": np.arange(len(evaluation)) % 5 == 0})


def test_two_models_of_one_quality_differ_in_about_5_of_100_comparisons() -> None:
    """Independent ranks from one distribution, 300 pairs; three standard errors of a rate of .05 are .038."""
    wrong = 0
    for run in range(300):
        a, b = random_evaluation(2 * run), random_evaluation(2 * run + 1)
        found = paired_difference(a, b, rng=np.random.default_rng(run))
        assert isinstance(found, Estimate)
        wrong += not found.low <= 0 <= found.high
    assert 0.01 <= wrong / 300 <= 0.09


def test_a_comparison_refuses_where_it_knows_nothing() -> None:
    rng = np.random.default_rng(0)
    assert isinstance(paired_difference(random_evaluation(1, n=5), random_evaluation(2, n=5), rng=rng), Inconclusive)
    assert isinstance(paired_difference(random_evaluation(1), random_evaluation(1), rng=rng), Inconclusive)
    assert isinstance(paired_difference(random_evaluation(1), random_evaluation(2), "coverage", rng=rng), Inconclusive)


def test_a_comparison_needs_the_same_questions() -> None:
    with pytest.raises(ValueError, match="different questions"):
        paired_difference(random_evaluation(1, n=20), random_evaluation(1, n=30), rng=np.random.default_rng(0))
