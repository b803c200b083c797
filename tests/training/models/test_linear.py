import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Histories, Interactions
from training.models.linear import FittedLinear, Linear, ease, grid, next_item, transitions

ROWS = [[0, 1, 2, 3], [1, 2], [3, 0, 1], [2], [], [4, 1, 0, 2]]
M = 5


@pytest.fixture
def table() -> Interactions:
    return Interactions.of_histories(Histories.of(ROWS, M))


def fit(model: Linear, table: Interactions) -> FittedLinear:
    return model.fit(table, rng=np.random.default_rng(0))


def dense(fitted: FittedLinear) -> NDArray[np.float32]:
    weights = fitted.weights
    return np.asarray(weights.toarray() if sparse.issparse(weights) else weights, dtype=np.float32)


def naive_ease(ridge: float) -> NDArray[np.float64]:
    """Algorithm 1 of Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, as printed."""
    x = np.zeros((len(ROWS), M))
    for learner, row in enumerate(ROWS):
        x[learner, row] = 1
    p = np.linalg.inv(x.T @ x + ridge * np.eye(M))
    weights = np.asarray(p / -np.diag(p), dtype=np.float64)
    np.fill_diagonal(weights, 0)
    return weights


def naive_next_item(decay: float, ridge: float) -> NDArray[np.float64]:
    left, right = ridge * np.eye(M), np.zeros((M, M))
    for row in ROWS:
        for t in range(1, len(row)):
            past = np.zeros(M)
            for s in range(t):
                past[row[s]] += decay ** (t - 1 - s)
            left += np.outer(past, past)
            right[:, row[t]] += past
    weights = np.asarray(np.linalg.solve(left, right), dtype=np.float64)
    np.fill_diagonal(weights, 0)
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


def test_a_mix_is_the_weighted_sum_of_its_halves(table: Interactions) -> None:
    mixed = fit(Linear(decay=0.7, ridge=3, next_ridge=2, mix=0.25), table)
    np.testing.assert_allclose(dense(mixed), 0.75 * naive_ease(3) + 0.25 * naive_next_item(0.7, 2), atol=1e-5)


def test_a_score_is_the_decayed_history_times_the_weights(table: Interactions) -> None:
    fitted = fit(Linear(decay=0.5, ridge=3, mix=0), table)
    scores = fitted.score(Histories.of([[0, 3, 1]], M))
    weights = naive_ease(3)
    np.testing.assert_allclose(scores[0], 0.25 * weights[0] + 0.5 * weights[3] + weights[1], atol=1e-5)


@pytest.mark.parametrize("compact", [False, True])
def test_contributions_add_up_to_the_score(table: Interactions, compact: bool) -> None:
    fitted = fit(Linear(ridge=1, next_ridge=1), table)
    fitted = fitted.compact(3) if compact else fitted
    histories = Histories.of([[2], [0, 3, 1, 0]], M)
    scores = fitted.score(histories)
    for row in range(2):
        for item in range(M):
            given = fitted.contributions(histories, row, item)
            assert given.dtype == np.float32
            assert len(given) == len(histories[row])
            assert given.sum() == pytest.approx(scores[row, item], abs=1e-5)


def test_an_empty_history_has_no_contributions(table: Interactions) -> None:
    assert len(fit(Linear(), table).contributions(Histories.of([[]], M), 0, 1)) == 0


def test_compact_keeps_the_strongest_of_each_row() -> None:
    weights = np.array([[0, 5, -9, 1], [1, 0, 2, 3], [0, 0, 0, 0], [-1, -2, 3, 0]], dtype=np.float32)
    kept = FittedLinear(weights, np.ones(4, dtype=bool), 0.5).compact(2)
    assert sparse.issparse(kept.weights)
    assert dense(kept).tolist() == [[0, 5, -9, 0], [0, 0, 2, 3], [0, 0, 0, 0], [0, -2, 3, 0]]
    assert dense(kept.compact(1)).tolist() == [[0, 0, -9, 0], [0, 0, 0, 3], [0, 0, 0, 0], [0, 0, 3, 0]]


def test_a_compact_model_with_all_entries_scores_the_same(table: Interactions) -> None:
    whole = fit(Linear(ridge=1, next_ridge=1), table)
    histories = Histories.of([[2], [0, 3, 1, 0], []], M)
    compact = whole.compact(M)
    np.testing.assert_allclose(compact.score(histories), whole.score(histories), atol=1e-6)
    for row in range(3):
        one = histories.take(np.array([row]))
        np.testing.assert_allclose(compact.score(one), whole.score(one), atol=1e-6)
    again = FittedLinear.from_arrays(compact.arrays(), compact.params())
    np.testing.assert_array_equal(again.score(histories), compact.score(histories))
    assert set(compact.arrays()) == {"known", "indptr", "indices", "data"}


WILD = {
    "an index too high": {"indices": [1, 5, 0]},
    "an index below 0": {"indices": [1, -1, 0]},
    "an index far away": {"indices": [1, 2**30, 0]},
    "indices as floats": {"indices": [1.0, 2.0, 0.0]},
    "rows that go back": {"indptr": [0, 3, 1, 3, 3, 3]},
    "rows that start late": {"indptr": [1, 2, 3, 3, 3, 3]},
    "rows that end early": {"indptr": [0, 2, 2, 2, 2, 2]},
    "rows that end late": {"indptr": [0, 2, 3, 3, 3, 2**30]},
    "a row too few": {"indptr": [0, 2, 3, 3, 3]},
    "no rows at all": {"indptr": np.zeros(0, dtype=np.int32)},
    "a weight too few": {"data": np.ones(2, dtype=np.float32)},
    "weights of text": {"data": ["a", "b", "c"]},
    "weights in a square": {"data": np.ones((3, 3), dtype=np.float32)},
    "known as numbers": {"known": np.ones(5)},
    "known of fewer items": {"known": np.ones(4, dtype=bool)},
    "known in two axes": {"known": np.ones((5, 5), dtype=bool)},
    "a dense table of fewer items": {"weights": np.ones((4, 5), dtype=np.float32)},
}


@pytest.mark.parametrize("wild", WILD.values(), ids=list(WILD))
def test_wild_arrays_make_no_model(wild: dict[str, NDArray[np.generic]]) -> None:
    """A product would follow such an index out of its memory, and take the whole process with it."""
    sound = {
        "known": np.ones(5, dtype=bool),
        "data": np.ones(3, dtype=np.float32),
        "indices": np.array([1, 2, 0], dtype=np.int32),
    }
    sound |= {"indptr": np.array([0, 2, 3, 3, 3, 3], dtype=np.int32)}
    assert FittedLinear.from_arrays(sound, {"decay": 0.5}).score(Histories.of([[0], [1, 0]], 5)).shape == (2, 5)
    with pytest.raises(ValueError, match=r"known|weights|data|indices|index|indptr"):
        FittedLinear.from_arrays(sound | {name: np.asarray(array) for name, array in wild.items()}, {"decay": 0.5})


@pytest.mark.parametrize("change", [{"decay": 0.2}, {"ridge": 9.0}, {"next_ridge": 9.0}, {"mix": 0.1}])
def test_every_setting_changes_the_scores(table: Interactions, change: dict[str, float]) -> None:
    model = Linear(decay=0.7, ridge=1, next_ridge=1, mix=0.5)
    before, after = (fit(m, table).score(table) for m in (model, model.model_copy(update=change)))
    assert np.nanmax(np.abs(before - after)) > 1e-3


def test_a_large_catalogue_has_one_candidate_and_a_small_one_a_dozen() -> None:
    assert len(grid(20_000)) == 1
    assert 8 <= len(set(grid(400))) == len(grid(400)) <= 16
