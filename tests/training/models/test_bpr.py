import numpy as np
import pytest

from features.interactions import Histories, Interactions
from training.models.bpr import BPR, FittedBPR, grid

M = 30
SMALL = BPR(factors=6, iterations=50)


@pytest.fixture(scope="module")
def table() -> Interactions:
    """60 learners of 8 items, item 29 taken up by nobody."""
    rng = np.random.default_rng(2)
    return Interactions.of_histories(Histories.of([rng.choice(M - 1, 8, replace=False).tolist() for _ in range(60)], M))


@pytest.fixture(scope="module")
def fitted(table: Interactions) -> FittedBPR:
    return SMALL.fit(table, rng=np.random.default_rng(0))


def test_a_learner_is_the_decayed_mean_of_their_items() -> None:
    factors, bias = np.array([[1, 0], [0, 2], [0, 0]], dtype=np.float32), np.array([0.5, -0.5, 0], dtype=np.float32)
    model = FittedBPR(factors, bias, 0.5)
    histories = Histories.of([[0], [0, 1], [0, 2]], 3)
    mean = (np.array([1, 0]) * 0.5 + np.array([0, 2])) / 1.5
    np.testing.assert_allclose(model.learner_factors(histories), [[1, 0], mean, [1, 0]], rtol=1e-6)
    np.testing.assert_allclose(model.score(histories)[1, :2], [mean[0] + 0.5, 2 * mean[1] - 0.5], rtol=1e-6)


def test_an_item_that_nobody_took_up_takes_no_part(fitted: FittedBPR) -> None:
    assert np.isnan(fitted.score(Histories.of([[3], [29]], M))[:, 29]).all()
    assert np.isnan(fitted.score(Histories.of([[29], []], M))).all()


def test_what_is_too_far_back_to_weigh_anything_is_not_known(fitted: FittedBPR) -> None:
    assert np.isnan(fitted.score(Histories.of([[3] + [29] * 1000], M))).all()


def test_fitting_ranks_what_was_taken_up_first(table: Interactions, fitted: FittedBPR) -> None:
    """The loss is about pairs of an item taken up and one not: most pairs of the training table must stand in order."""
    scores, taken = fitted.score(table)[:, :29], table.matrix().toarray()[:, :29] > 0
    right = [(row[mine][:, None] > row[~mine]).mean() for row, mine in zip(scores, taken, strict=True)]
    assert np.mean(right) > 0.7


def test_another_generator_gives_other_factors(table: Interactions, fitted: FittedBPR) -> None:
    other = SMALL.fit(table, rng=np.random.default_rng(1))
    assert np.abs(other.item_factors - fitted.item_factors).max() > 1e-3


@pytest.mark.parametrize(
    "change", [{"factors": 5}, {"learning_rate": 0.01}, {"regularization": 0.2}, {"iterations": 5}, {"decay": 0.2}]
)
def test_every_setting_changes_the_scores(table: Interactions, fitted: FittedBPR, change: dict[str, float]) -> None:
    after = SMALL.model_copy(update=change).fit(table, rng=np.random.default_rng(0)).score(table)
    assert np.nanmax(np.abs(fitted.score(table) - after)) > 1e-3


def test_a_large_catalogue_is_fitted_once() -> None:
    assert len(grid(100_000)) == 1 < len(grid(1_000))
