"""Scores, parts and causes of one learner are those of the model, computed at once."""

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from serving.prepared import Prepared
from serving.scoring import POPULARITY, best_first, causes, score
from training.models.blend import Blend, FittedBlend
from training.models.linear import Linear
from training.models.popularity import Popularity
from training.models.recent import Recent

HISTORY = Histories.of([[3, 1]], 6, at=[[np.datetime64("2026-01-01"), np.datetime64("2026-02-01")]])
EMPTY = Histories.of([[]], 6)


@pytest.fixture
def blend() -> FittedBlend:
    rows = [(3, 0), (3, 0, 2), (1, 2), (0, 1)] * 5
    table = Interactions.of_histories(Histories.of(rows, 6, at=[[np.datetime64("2026-01-01")] * len(row) for row in rows]))
    parts = (Linear(), Recent(), Popularity())
    return Blend(parts=parts, weights={"linear": 1.0, "recent": 0.3, "popularity": 0.1}).fit(
        table, rng=np.random.default_rng(0)
    )


@pytest.mark.parametrize("history", [HISTORY, EMPTY])
def test_a_blends_scores_and_parts_are_its_own(stock: Prepared, blend: FittedBlend, history: Histories) -> None:
    found = score(stock.with_model(blend), history, degraded=False)
    np.testing.assert_allclose(found.total, blend.score(history)[0], atol=1e-6)
    for name, part in blend.score_parts(history).items():
        np.testing.assert_allclose(found.parts[found.names.index(name)], part[0], atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_cause_is_the_largest_contribution(blend: FittedBlend, sparse: bool) -> None:
    model = blend.compact(4) if sparse else blend
    shown = np.arange(6, dtype=np.int64)
    for item, found in zip(shown, causes(model, HISTORY, shown), strict=True):
        given = dict(zip(HISTORY[0].tolist(), model.contributions(HISTORY, 0, int(item)).tolist(), strict=True))
        wanted = sorted(((past, amount) for past, amount in given.items() if amount > 0), key=lambda one: -one[1])
        assert [past for past, _ in found] == [past for past, _ in wanted]
        assert [amount for _, amount in found] == pytest.approx([amount for _, amount in wanted], abs=1e-6)
    assert causes(model, EMPTY, shown) == [()] * 6


def test_popularity_answers_when_degraded_or_when_a_model_says_nothing(stock: Prepared) -> None:
    table = Interactions.of_histories(Histories.of([(3, 0)], 6))
    silent = stock.with_model(Linear().fit(table, rng=np.random.default_rng(0)))
    for found in (score(stock, HISTORY, degraded=True), score(silent, EMPTY, degraded=False)):
        assert found.names == (POPULARITY,)
        assert found.total.tolist() == [4, 2, 1, 1, 1, 0]


def test_ties_go_to_the_lower_index() -> None:
    total = np.array([1, 3, 3, 2], dtype=np.float32)
    assert best_first(total, np.array([3, 2, 1, 0], dtype=np.int32)).tolist() == [1, 2, 3, 0]


def test_the_order_is_that_of_descending_scores_below_and_above_zero() -> None:
    """Of 0 and -0, which are one number, the lower index comes first as of all equals."""
    total = np.random.default_rng(1).integers(-20, 20, 500).astype(np.float32) / np.float32(8)
    total[::9] *= -1
    chosen = np.arange(0, 500, 3, dtype=np.int32)
    wanted = sorted(chosen.tolist(), key=lambda item: (-total[item], item))
    assert np.signbit(total[chosen][total[chosen] == 0]).any()
    assert best_first(total, chosen).tolist() == wanted


@pytest.mark.parametrize("most", [1, 30, 166, 167, 900])
def test_the_first_of_the_order_are_the_same_where_only_they_are_wanted(most: int) -> None:
    """Also where many are equal at the cut, and where every sixteenth, which the guess looks at, is the best there is."""
    rng = np.random.default_rng(2)
    for total in (
        rng.standard_normal(1_000),
        rng.integers(0, 4, 1_000),
        np.where(np.arange(1_000) % 16 == 0, 9, rng.random(1_000)),
    ):
        scores, chosen = total.astype(np.float32), rng.permutation(1_000)[:900].astype(np.int32)
        assert best_first(scores, chosen, most).tolist() == best_first(scores, chosen)[:most].tolist()
