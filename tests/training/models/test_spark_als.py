"""ALS by MLlib against the right answer, and against `implicit`. Needs Java 17 and PySpark, skipped where absent."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.readers import mars
from training.evaluate import evaluate
from training.models.als import ALS, FittedALS
from training.models.spark_als import weighted_penalty
from training.splits import leave_last_out

pytest.importorskip("pyspark", reason="no PySpark: make spark")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="no Java on the path: Spark needs Java 17"),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark.*", "ignore::ResourceWarning"),
]

MARS = Path(os.environ.get("NEXTWISE_DATA", Path(__file__).parents[3] / "../shared/data")) / "mars"
M = 12
MODEL = ALS(factors=2, iterations=10, engine="spark")


def checkerboard() -> Interactions:
    """Learner u took up item i where u + i is even, but for u = i; item 12 was taken up by nobody."""
    return Interactions.of_histories(
        Histories.of([[i for i in range(M) if (u + i) % 2 == 0 and i != u] for u in range(M)], M + 1)
    )


@pytest.fixture(scope="module")
def fitted() -> FittedALS:
    return MODEL.fit(checkerboard(), rng=np.random.default_rng(0))


def test_the_withheld_item_of_the_own_colour_comes_first(fitted: FittedALS) -> None:
    scores = fitted.score(checkerboard())
    for learner in range(M):
        other = [i for i in range(M) if (learner + i) % 2]
        assert scores[learner, learner] > scores[learner, other].max()


def test_an_item_that_nobody_took_up_has_no_score(fitted: FittedALS) -> None:
    assert np.isnan(fitted.score(checkerboard())[:, M]).all()


def test_it_is_the_same_fitted_model(fitted: FittedALS) -> None:
    assert type(fitted) is FittedALS
    assert (fitted.item_factors.shape, fitted.item_factors.dtype) == ((M + 1, 2), np.float32)
    assert fitted.params() == MODEL.model_copy(update={"engine": "implicit"}).fit(
        checkerboard(), rng=np.random.default_rng(0)
    ).params()  # fmt: skip


def test_the_same_seed_gives_the_same_factors_and_another_one_does_not(fitted: FittedALS) -> None:
    same, other = (MODEL.fit(checkerboard(), rng=np.random.default_rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(same.item_factors, fitted.item_factors)
    assert np.abs(other.item_factors - fitted.item_factors).max() > 1e-3


def test_the_factors_minimise_the_weighted_loss(fitted: FittedALS) -> None:
    """Each item's factors solve MLlib's normal equations for the learners' factors that they imply: our mapping of settings.

    sum_u c x x' + p n_i I) y = sum_u c x over learners, c = alpha where taken up and 1 elsewhere, n_i take-ups of item i.
    """
    table = checkerboard()
    model = MODEL.model_copy(update={"iterations": 60})
    items = model.fit(table, rng=np.random.default_rng(0)).item_factors.astype(float)
    penalty, taken = weighted_penalty(model.regularization, table), table.matrix().toarray()
    learners = _solved(items, taken, model.alpha, penalty)
    np.testing.assert_allclose(_solved(learners, taken.T, model.alpha, penalty), items, atol=2e-3)


def _solved(other: np.ndarray, taken: np.ndarray, alpha: float, penalty: float) -> np.ndarray:
    found = np.zeros((len(taken), other.shape[1]))
    for row, mine in enumerate(taken):
        confidence = np.where(mine > 0, alpha, 1.0)
        left = (other.T * confidence) @ other + penalty * mine.sum() * np.eye(other.shape[1])
        found[row] = np.linalg.solve(left, (other.T * confidence) @ mine) if mine.any() else 0
    return found


def test_the_penalty_is_per_take_up() -> None:
    table = Interactions.of_histories(Histories.of([[0, 1], [0, 1], [], [0, 1], [0, 1]], 3))
    assert weighted_penalty(0.4, table) == pytest.approx(0.4 / (2 * 4) ** 0.5)  # 8 take-ups: 2 a learner, 4 an item


def test_a_table_without_take_ups_has_no_factors() -> None:
    empty = Interactions.of_histories(Histories.of([[], []], 3))
    assert not MODEL.fit(empty, rng=np.random.default_rng(0)).item_factors.any()


@pytest.mark.data
@pytest.mark.skipif(not MARS.is_dir(), reason="the MARS files are not here (NEXTWISE_DATA)")
def test_it_ranks_a_real_log_as_well_as_implicit() -> None:
    """Recorded on validation at the default settings, three seeds: .2670 .2662 .2707, implicit .2695 .2646 .2691."""
    parts = leave_last_out(Interactions.of_histories(mars.read_histories(MARS)[2]))
    both = [ALS(engine="implicit"), ALS(engine="spark")]
    fitted = [model.fit(parts.train, rng=np.random.default_rng(7)) for model in both]
    theirs, ours = (evaluate(one, parts.validation, train=parts.train).metric("ndcg") for one in fitted)
    assert ours == pytest.approx(theirs, abs=0.01)
