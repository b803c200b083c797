import numpy as np
import pytest
from numpy.typing import NDArray

from features.interactions import Histories, Interactions
from training.models.item_knn import FittedItemKNN, ItemKNN, grid

M = 30


@pytest.fixture(scope="module")
def table() -> Interactions:
    """60 learners of 2 to 9 items, item 29 taken up by nobody."""
    rng = np.random.default_rng(2)
    rows = [rng.choice(M - 1, size=int(rng.integers(2, 10)), replace=False).tolist() for _ in range(60)]
    return Interactions.of_histories(Histories.of(rows, M))


def fit(table: Interactions, **settings: float) -> FittedItemKNN:
    return ItemKNN(**settings).fit(table, rng=np.random.default_rng(0))


def dense(fitted: FittedItemKNN) -> NDArray[np.float32]:
    weights: NDArray[np.float32] = np.asarray(fitted.weights.toarray())  # type: ignore[union-attr]
    return weights


def test_a_weight_by_hand() -> None:
    """Items 0 and 1 are taken up by two learners each, together by the learner of 4 items: 4 ** -.5 / (sqrt(2 * 2) + 3)."""
    table = Interactions.of_histories(Histories.of([[0, 1, 2, 3], [0], [1]], 4))
    weights = dense(fit(table, discount=0.5, shrinkage=3))
    assert weights[0, 1] == weights[1, 0] == pytest.approx(0.5 / (2 + 3))
    assert weights[2, 3] == pytest.approx(0.5 / (1 + 3))
    assert not weights.diagonal().any()


def test_weights_are_the_discounted_shrunk_cosine(table: Interactions) -> None:
    taken = np.asarray(table.matrix().toarray(), dtype=np.float64)
    discounted = taken / np.sqrt(np.maximum(table.lengths, 1))[:, None]
    counts = taken.sum(axis=0)
    expected = taken.T @ discounted / (np.sqrt(np.outer(counts, counts)) + 3)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(dense(fit(table, discount=0.5, shrinkage=3, neighbours=M)), expected, atol=1e-6)


def test_only_the_strongest_neighbours_stay(table: Interactions) -> None:
    whole, few = dense(fit(table, neighbours=M)), dense(fit(table, neighbours=4))
    assert np.count_nonzero(few, axis=1).max() == 4
    for row in range(M):
        kept = np.flatnonzero(few[row])
        np.testing.assert_array_equal(few[row, kept], whole[row, kept])
        np.testing.assert_array_equal(np.sort(few[row, kept]), np.sort(whole[row])[::-1][: len(kept)][::-1])


def test_of_equal_neighbours_the_first_stay() -> None:
    table = Interactions.of_histories(Histories.of([[0, 1, 2, 3, 4]] * 3, 5))
    assert [np.flatnonzero(row).tolist() for row in dense(fit(table, neighbours=2))[:3]] == [[1, 2], [0, 2], [0, 1]]


def test_blocks_change_nothing(table: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dense(fit(table, neighbours=4))
    monkeypatch.setattr("training.models.item_knn._BLOCK", 7)
    np.testing.assert_array_equal(dense(fit(table, neighbours=4)), whole)


def test_contributions_add_up_to_the_score(table: Interactions) -> None:
    fitted, histories = fit(table), Histories.of([[3, 9, 1], [5], [29, 4, 4]], M)
    scores = fitted.score(histories)
    for row in range(3):
        for item in (0, 8, 17):
            given = fitted.contributions(histories, row, item)
            assert len(given) == len(histories[row])
            assert given.sum() == pytest.approx(scores[row, item], abs=1e-6)


def test_the_newest_item_counts_most(table: Interactions) -> None:
    fitted = fit(table, decay=0.5)
    ab, a, b = fitted.score(Histories.of([[3, 9], [3], [9]], M))[:, :29]
    np.testing.assert_allclose(ab, 0.5 * a + b, atol=1e-6)


@pytest.mark.parametrize("change", [{"neighbours": 3}, {"shrinkage": 1}, {"discount": 1}, {"decay": 0.2}])
def test_every_setting_changes_the_scores(table: Interactions, change: dict[str, float]) -> None:
    before, after = fit(table).score(table), fit(table, **change).score(table)
    assert np.nanmax(np.abs(before - after)) > 1e-3


def test_a_large_catalogue_is_fitted_once() -> None:
    assert len(grid(100_000)) == 1 < len(grid(1_000))
