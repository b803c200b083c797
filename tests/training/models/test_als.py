import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse

from features.interactions import Histories, Interactions
from training.models.als import ALS

M = 30
SMALL = ALS(factors=6, regularization=0.3, alpha=7, iterations=5)


@pytest.fixture(scope="module")
def table() -> Interactions:
    rng = np.random.default_rng(2)
    return Interactions.of_histories(Histories.of([list(map(int, rng.choice(M, 8, replace=False))) for _ in range(60)], M))


def test_folding_in_agrees_with_implicit(table: Interactions) -> None:
    fitted = SMALL.fit(table, rng=np.random.default_rng(0))
    theirs = AlternatingLeastSquares(factors=6, regularization=0.3, alpha=7, dtype=np.float32, num_threads=1)
    theirs.item_factors = fitted.item_factors
    rows = [[3, 9, 1], [5], [0, 29, 4, 8, 7]]
    taken = np.zeros((3, M), dtype=np.float32)
    for row, items in enumerate(rows):
        taken[row, items] = 1
    expected = theirs.recalculate_user(np.arange(3), sparse.csr_matrix(taken))
    np.testing.assert_allclose(fitted.learner_factors(Histories.of(rows, M)), expected, atol=1e-4)


def test_a_repeat_changes_nothing(table: Interactions) -> None:
    fitted = SMALL.fit(table, rng=np.random.default_rng(0))
    once, twice = fitted.score(Histories.of([[3, 9], [9, 3, 3, 9]], M))
    np.testing.assert_allclose(once, twice, atol=1e-6)


def test_threads_change_the_time_and_not_the_factors(table: Interactions) -> None:
    one, two = (SMALL.model_copy(update={"threads": n}).fit(table, rng=np.random.default_rng(0)) for n in (1, 2))
    np.testing.assert_array_equal(one.item_factors, two.item_factors)


def test_many_histories_are_solved_in_batches(table: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = SMALL.fit(table, rng=np.random.default_rng(0))
    whole = fitted.score(table)
    monkeypatch.setattr("training.models.als._BATCH", 7)
    np.testing.assert_allclose(fitted.score(table), whole, atol=1e-6)


@pytest.mark.parametrize("change", [{"factors": 5}, {"regularization": 3.0}, {"alpha": 2.0}, {"iterations": 1}])
def test_every_setting_changes_the_scores(table: Interactions, change: dict[str, float]) -> None:
    before, after = (m.fit(table, rng=np.random.default_rng(0)).score(table) for m in (SMALL, SMALL.model_copy(update=change)))
    assert np.abs(before - after).max() > 1e-3
