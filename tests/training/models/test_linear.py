import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.models.closed_form import ease, next_item
from training.models.linear import DENSE_LIMIT, FittedLinear, Linear

ROWS = [[0, 1, 2, 3], [1, 2], [3, 0, 1], [2], [], [4, 1, 0, 2]]
M = 5
SIDE = SideInformation(M, attributes=sparse.csr_matrix(np.array([[1, 0], [0, 1], [1, 0], [0, 1], [0, 1]], dtype=np.float32)))


@pytest.fixture
def table() -> Interactions:
    return Interactions.of_histories(Histories.of(ROWS, M))


def fit(model: Linear, table: Interactions) -> FittedLinear:
    return model.fit(table, rng=np.random.default_rng(0))


def dense(fitted: FittedLinear) -> NDArray[np.float32]:
    weights = fitted.weights
    return np.asarray(weights.toarray() if sparse.issparse(weights) else weights, dtype=np.float32)


def test_a_mix_is_the_weighted_sum_of_its_halves(table: Interactions) -> None:
    mixed = fit(Linear(decay=0.7, ridge=3, next_ridge=2, mix=0.25), table)
    np.testing.assert_allclose(dense(mixed), 0.75 * ease(table.matrix(), 3) + 0.25 * next_item(table, 0.7, 2), atol=1e-5)


def test_a_score_is_the_decayed_history_times_the_weights(table: Interactions) -> None:
    fitted = fit(Linear(decay=0.5, ridge=3, mix=0), table)
    scores = fitted.score(Histories.of([[0, 3, 1]], M))
    weights = ease(table.matrix(), 3)
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


SETTINGS: list[dict[str, float]] = [
    {"decay": 0.2},
    {"ridge": 9.0},
    {"next_ridge": 9.0},
    {"mix": 0.1},
    {"next_decay": 0.2},
    {"side": 2.0},
    {"next_side": 2.0},
]


@pytest.mark.parametrize("change", SETTINGS)
def test_every_setting_changes_the_scores(table: Interactions, change: dict[str, float]) -> None:
    model = Linear(decay=0.7, ridge=1, next_ridge=1, mix=0.5)
    rng = np.random.default_rng(0)
    before, after = (m.bind(SIDE).fit(table, rng=rng).score(table) for m in (model, model.model_copy(update=change)))
    assert np.nanmax(np.abs(before - after)) > 1e-3


# Items 0 to 3 were taken up; 4 is new and of the kind of 0 and 2, 5 is new and nothing is known of it.
NEW = Interactions.of_histories(Histories.of([[0, 2], [1, 3], [2, 0], [3, 1], [0, 2, 1, 3]], 6))
KINDS = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0], [0, 0]], dtype=np.float32)
SIDES = {
    "attributes": SideInformation(6, attributes=sparse.csr_matrix(KINDS)),
    "text": SideInformation(6, text=KINDS),
    "both": SideInformation(6, text=KINDS, attributes=sparse.csr_matrix(KINDS)),
}


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("side", SIDES.values(), ids=list(SIDES))
@pytest.mark.parametrize("mix", [0, 0.5, 1])
def test_an_item_without_take_ups_is_scored_by_what_is_known_of_it(form: str, side: SideInformation, mix: float) -> None:
    model = Linear.model_validate({"ridge": 2, "next_ridge": 2, "mix": mix, "side": 1, "next_side": 1, "form": form}).bind(side)
    fitted = model.fit(NEW, rng=np.random.default_rng(0))
    alike, other, own, unknown = fitted.score(Histories.of([[0], [1], [4], [5]], 6))
    assert alike[4] > 0 > other[4] or alike[4] > other[4] + 1e-3
    assert own[0] > own[1] + 1e-3
    assert np.isnan([alike[5], other[5], own[5]]).all()
    assert np.isnan(unknown).all()


def test_without_side_information_a_new_item_has_no_score() -> None:
    for model in (Linear(side=1, next_side=1), Linear().bind(SIDES["both"])):
        assert np.isnan(model.fit(NEW, rng=np.random.default_rng(0)).score(Histories.of([[0]], 6))[0, 4:]).all()


def test_side_information_of_other_items_is_refused() -> None:
    with pytest.raises(ValueError, match="side information of 6 items for 5 items"):
        Linear(side=1).bind(SIDES["text"]).fit(Interactions.of_histories(Histories.of(ROWS, M)), rng=np.random.default_rng(0))


def test_what_leads_to_a_rare_item_outlives_compacting() -> None:
    """Of 40 items the last is weak in every row, but some row must still lead to it."""
    weights = np.random.default_rng(0).uniform(1, 2, (40, 40)).astype(np.float32)
    weights[:, 39] = 0.001 * np.arange(40)
    kept = dense(FittedLinear(weights, np.ones(40, dtype=bool), 0.5).compact(20))
    assert np.flatnonzero(kept[:, 39]).tolist() == [38, 39]
    assert (np.count_nonzero(kept, axis=1) >= 20).all()


def test_the_form_follows_the_number_of_items_unless_it_is_said() -> None:
    assert [Linear().is_sparse(n) for n in (1, DENSE_LIMIT, DENSE_LIMIT + 1)] == [False, False, True]
    assert Linear(form="sparse").is_sparse(1)
    assert not Linear(form="dense").is_sparse(10**6)


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("rows", [[[0]], [[0], [1], [2]]], ids=["one item", "one take-up a learner"])
def test_tables_without_any_pair_of_items(form: str, rows: list[list[int]]) -> None:
    n = len(rows)
    table = Interactions.of_histories(Histories.of(rows, n))
    model = Linear.model_validate({"side": 1, "next_side": 1, "form": form}).bind(
        SideInformation(n, text=np.eye(n, 2, dtype=np.float32))
    )
    assert np.isfinite(model.fit(table, rng=np.random.default_rng(0)).score(table)).all()
