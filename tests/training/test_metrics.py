"""Metrics show their arithmetic, and agree with a brute-force implementation that shares no code with them."""

import math

import numpy as np
import pytest

from features.interactions import Histories
from training import metrics

NAN = float("nan")


def scores(*row: float) -> np.ndarray:
    return np.array([row], dtype=np.float32)


def at(*items: int) -> np.ndarray:
    return np.array(items, dtype=np.int32)


@pytest.mark.parametrize(
    ("row", "target", "rank"),
    [
        ([0.9, 0.5, 0.1], 0, 1.0),
        ([0.9, 0.5, 0.1], 2, 3.0),
        ([0.5, 0.5, 0.1], 1, 1.5),  # (1 + 2) / 2
        ([0.9, 0.5, 0.5, 0.5], 3, 3.0),  # (2 + 3 + 4) / 3
        ([0.5, 0.5, 0.5, 0.5], 0, 2.5),  # a model that says nothing ranks everything in the middle
        ([NAN, 0.5, NAN], 1, 1.0),  # what cannot be scored ranks below everything that can
        ([0.5, NAN, 0.5], 1, math.inf),
    ],
)
def test_ranks_worked_by_hand(row: list[float], target: int, rank: float) -> None:
    assert metrics.ranks(scores(*row), at(target)) == [rank]


def test_seen_items_are_no_candidates() -> None:
    masked = metrics.unseen(scores(0.9, 0.8, 0.7), Histories.of([[0, 1]], 3), at(2))
    assert metrics.ranks(masked, at(2)) == [1.0]


def test_unseen_leaves_the_scores_of_the_model_alone() -> None:
    given = scores(0.9, 0.8, 0.7)
    given.setflags(write=False)
    metrics.unseen(given, Histories.of([[0]], 3), at(2))
    assert given[0, 0] == np.float32(0.9)


def test_recall_and_ndcg_worked_by_hand() -> None:
    rank = np.array([1.0, 3.0, 10.0, 11.0, np.inf])
    assert metrics.recall(rank, 10).tolist() == [1, 1, 1, 0, 0]
    assert metrics.ndcg(rank, 10) == pytest.approx([1 / 1, 1 / 2, 1 / math.log2(11), 0, 0])


def test_a_hit_has_fewer_than_k_items_before_it_and_a_tied_one_counts_half() -> None:
    rank = np.array([10.5, 11.0])  # tied for places 10 and 11: 9.5 before it; for 10, 11 and 12: 10 before it
    assert metrics.recall(rank, 10).tolist() == [1, 0]
    assert metrics.ndcg(rank, 10) == pytest.approx([1 / math.log2(11.5), 0])


def test_debiased_ndcg_worked_by_hand() -> None:
    weight = metrics.popularity_weight(np.array([0, 3, 99]))
    assert weight.tolist() == [1 / 1, 1 / 2, 1 / 10]
    # hits on the first (rank 1) and the last (rank 3): (1 * 1 + .1 * .5) / (1 + .5 + .1)
    assert metrics.weighted_mean(np.array([1, 0, 0.5]), weight) == pytest.approx(1.05 / 1.6)


def test_the_mean_of_nothing_is_not_a_number() -> None:
    assert math.isnan(metrics.weighted_mean(np.empty(0), np.empty(0)))


@pytest.mark.parametrize(
    ("row", "k", "items"),
    [
        ([0.9, 0.5, 0.1, 0.3], 2, [0, 1]),
        ([0.9, 0.5, 0.5, 0.1], 2, [0, 1, 2]),  # tied at 2 and 3: mean 2.5 < 3, both in
        ([0.9, 0.5, 0.5, 0.5], 2, [0]),  # tied at 2, 3 and 4: mean 3, all out
        ([0.9, NAN, NAN, NAN], 2, [0]),
        ([NAN, NAN, NAN, NAN], 2, []),
        ([0.9, 0.5], 10, [0, 1]),
    ],
)
def test_shown_worked_by_hand(row: list[float], k: int, items: list[int]) -> None:
    assert np.flatnonzero(metrics.shown(scores(*row), k)).tolist() == items


def test_shown_and_recall_agree_on_what_the_top_k_is() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        row = rng.integers(0, 6, size=(1, 12)).astype(np.float32)
        hits = [bool(metrics.recall(metrics.ranks(row, at(item)), 4)[0]) for item in range(12)]
        assert metrics.shown(row, 4).tolist() == hits


def brute_force(row: list[float], seen: set[int], target: int, k: int) -> tuple[float, float]:
    """Recall and NDCG from the definition: sort, find every place the target's score could stand at, take the mean."""
    if math.isnan(row[target]):
        return 0.0, 0.0
    ordered = sorted((s for i, s in enumerate(row) if i not in seen and not math.isnan(s)), reverse=True)
    places = [place for place, score in enumerate(ordered, start=1) if score == row[target]]
    mean = sum(places) / len(places)
    return (1.0, 1 / math.log2(mean + 1)) if mean - 1 < k else (0.0, 0.0)


def test_agreement_with_brute_force_on_random_scores_with_ties_and_gaps() -> None:
    rng = np.random.default_rng(11)
    table = rng.integers(0, 15, size=(300, 40)).astype(np.float32)
    table[rng.random(table.shape) < 0.1] = np.nan
    picks = [rng.permutation(40)[:6] for _ in table]
    histories, targets = Histories.of([p[1:] for p in picks], 40), np.array([p[0] for p in picks], dtype=np.int32)
    rank = metrics.ranks(metrics.unseen(table, histories, targets), targets)
    found = np.column_stack([metrics.recall(rank, 10), metrics.ndcg(rank, 10)])
    wanted = [brute_force(r.tolist(), set(p[1:].tolist()), int(p[0]), 10) for r, p in zip(table, picks, strict=True)]
    assert found == pytest.approx(np.array(wanted))
