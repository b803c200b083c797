import numpy as np

from features.interactions import Histories
from training.models.base import columns, decayed_sum, retrieve, tells_nothing


def test_the_best_come_first_and_ties_by_lower_index() -> None:
    scores = np.array([1, 3, np.nan, 3, 2], dtype=np.float32)
    assert retrieve(scores, 3).tolist() == [1, 3, 4]
    assert retrieve(scores, 1).tolist() == [1]
    assert retrieve(scores, 99).tolist() == [1, 3, 4, 0]
    assert retrieve(np.full(2, np.nan, dtype=np.float32), 5).tolist() == []


def test_columns_are_taken_in_the_order_asked_for() -> None:
    scores = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert columns(scores, np.array([2, 0], dtype=np.int32)).tolist() == [[2, 0], [5, 3]]
    assert columns(scores, None) is scores


def test_a_history_tells_nothing_without_a_known_item() -> None:
    known = np.array([True, False, False])
    assert tells_nothing(Histories.of([[1, 0], [1, 2], []], 3), known).tolist() == [False, True, True]


def test_the_newest_item_counts_most() -> None:
    table = np.array([[1, 0], [0, 1], [0, 10]], dtype=np.float32)
    assert decayed_sum(Histories.of([[0, 1]], 3), table, 0.5).tolist() == [[0.5, 1]]
    assert decayed_sum(Histories.of([[0, 1], [2, 2]], 3), table, 0.5).tolist() == [[0.5, 1], [0, 15]]
