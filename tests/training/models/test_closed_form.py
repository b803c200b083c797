"""Closed forms against naive loops over what their papers print."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.models.closed_form import ease, next_item, transitions
from training.models.likeness import Likeness

ROWS = [[0, 1, 2, 3], [1, 2], [3, 0, 1], [2], [], [4, 1, 0, 2]]
M = 5
ATTRIBUTES = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1]], dtype=np.float32)


@pytest.fixture
def table() -> Interactions:
    return Interactions.of_histories(Histories.of(ROWS, M))


@pytest.fixture
def likeness() -> Likeness:
    found = Likeness.of(SideInformation(M, attributes=sparse.csr_matrix(ATTRIBUTES)))
    assert found is not None
    return found


def naive_ease(ridge: float, extra: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Algorithm 1 of Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, as printed."""
    x = np.zeros((len(ROWS), M))
    for learner, row in enumerate(ROWS):
        x[learner, row] = 1
    x = x if extra is None else np.vstack([x, extra])
    p = np.linalg.inv(x.T @ x + ridge * np.eye(M))
    weights = np.asarray(p / -np.diag(p), dtype=np.float64)
    np.fill_diagonal(weights, 0)
    return weights


def naive_next_item(decay: float, ridge: float, extra: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    left, right = ridge * np.eye(M), np.zeros((M, M))
    for row in ROWS:
        for t in range(1, len(row)):
            past = np.zeros(M)
            for s in range(t):
                past[row[s]] += decay ** (t - 1 - s)
            left += np.outer(past, past)
            right[:, row[t]] += past
    for row in [] if extra is None else extra:
        left += np.outer(row, row)
        right += np.outer(row, row)
    right[np.diag_indices(M)] *= extra is None
    weights = np.zeros((M, M))
    for item in range(M):
        others = [i for i in range(M) if i != item]
        weights[others, item] = np.linalg.solve(left[np.ix_(others, others)], right[others, item])
    return weights


@pytest.mark.parametrize("ridge", [0.5, 20.0])
def test_ease_agrees_with_its_paper(table: Interactions, ridge: float) -> None:
    np.testing.assert_allclose(ease(table.matrix(), ridge), naive_ease(ridge), atol=1e-5)


@pytest.mark.parametrize(("decay", "ridge"), [(0.7, 2.0), (0.3, 0.5), (1.0, 5.0)])
def test_next_item_agrees_with_a_loop_over_positions(table: Interactions, decay: float, ridge: float) -> None:
    np.testing.assert_allclose(next_item(table, decay, ridge), naive_next_item(decay, ridge), atol=1e-5)


def test_a_take_up_is_explained_by_the_decayed_items_before_it() -> None:
    past, following = transitions(Interactions.of_histories(Histories.of([[0, 1, 2], [2, 0]], 3)), 0.5)
    assert past.toarray().tolist() == [[0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert following.toarray().argmax(axis=1).tolist() == [0, 1, 2, 2, 0]


def test_a_long_past_is_cut_where_it_is_negligible() -> None:
    past, _ = transitions(Interactions.of_histories(Histories.of([list(range(100))], 100)), 0.5)
    assert past.getnnz(axis=1).max() == 10  # .5 ** 9 = .002 is kept, .5 ** 10 is below .001


def unit_rows() -> NDArray[np.float64]:
    """float64[a, m]: a row for each attribute, its items' weights as `likeness` says."""
    weighted = ATTRIBUTES * np.log(M / ATTRIBUTES.sum(axis=0))
    lengths = np.linalg.norm(weighted, axis=1, keepdims=True)
    return np.asarray((weighted / np.where(lengths > 0, lengths, 1)).T, dtype=np.float64)


def test_side_information_is_rows_of_attributes_appended_to_those_of_learners(table: Interactions, likeness: Likeness) -> None:
    extra = np.sqrt(3) * unit_rows()
    np.testing.assert_allclose(ease(table.matrix(), 2, likeness, 3), naive_ease(2, extra), atol=1e-5)
    np.testing.assert_allclose(next_item(table, 0.7, 2, likeness, 3), naive_next_item(0.7, 2, extra), atol=1e-5)


def test_a_weight_of_0_leaves_side_information_out(table: Interactions, likeness: Likeness) -> None:
    np.testing.assert_array_equal(ease(table.matrix(), 2, likeness, 0), ease(table.matrix(), 2))
    np.testing.assert_array_equal(next_item(table, 0.7, 2, likeness, 0), next_item(table, 0.7, 2))
