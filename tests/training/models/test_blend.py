import numpy as np
import pytest
from pydantic import ValidationError

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.models.blend import Blend, FittedBlend
from training.models.content import ContentConfig
from training.models.linear import FittedLinear, Linear
from training.models.popularity import FittedPopularity, Popularity

M = 5
HISTORIES = Histories.of([[0, 1], [4], []], M)


@pytest.fixture
def blend() -> FittedBlend:
    """Nobody took up items 3 and 4; only item 3 has no text."""
    table = Interactions.of_histories(Histories.of([[0, 1, 2], [1, 2, 0], [0, 2], [2, 1]], M))
    vectors = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [-1, 0]], dtype=np.float32)
    parts = (Linear(ridge=1, next_ridge=1), ContentConfig().bind(SideInformation(5, vectors)))
    return Blend(parts=parts, weights={"linear": 1.0, "content": 0.5}).fit(table, rng=np.random.default_rng(0))


def with_popularity(blend: FittedBlend) -> FittedBlend:
    counts = FittedPopularity(np.array([3, 1, 4, 0, 0], dtype=np.float32))
    return FittedBlend({**blend.parts, "popularity": counts}, {**blend.weights, "popularity": 0.1})


def test_the_parts_add_up_to_the_score(blend: FittedBlend) -> None:
    scores, parts = blend.score(HISTORIES), blend.score_parts(HISTORIES)
    assert set(parts) == {"linear", "content"}
    total = np.sum(list(parts.values()), axis=0)
    scored = np.isfinite(scores)
    np.testing.assert_allclose(scores[scored], total[scored], atol=1e-6)


def test_nan_is_what_no_part_can_score(blend: FittedBlend) -> None:
    unknown = np.isnan(blend.score(HISTORIES))
    assert unknown.tolist() == [[False, False, False, True, False], [False, False, False, True, False], [True] * 5]


def test_a_part_that_cannot_score_adds_nothing(blend: FittedBlend) -> None:
    linear = blend.score_parts(HISTORIES)["linear"]
    assert linear[0, 4] == 0  # an item unknown to it
    assert (linear[1] == 0).all()  # a history unknown to it


def test_a_learner_without_history_gets_what_needs_none(blend: FittedBlend) -> None:
    scores = with_popularity(blend).score(HISTORIES)
    assert np.isfinite(scores).all()
    assert scores[2].argsort()[::-1][:3].tolist() == [2, 0, 4]  # nobody took up item 4: the mean, above the others


def test_a_score_does_not_depend_on_the_candidates(blend: FittedBlend) -> None:
    some = np.array([2, 0], dtype=np.int32)
    np.testing.assert_array_equal(blend.score(HISTORIES, some), blend.score(HISTORIES)[:, some])


def test_contributions_are_those_of_the_linear_part(blend: FittedBlend) -> None:
    linear = blend.parts["linear"]
    assert isinstance(linear, FittedLinear)
    np.testing.assert_array_equal(blend.contributions(HISTORIES, 0, 2), linear.contributions(HISTORIES, 0, 2))
    alone = FittedBlend({"content": blend.parts["content"]}, {"content": 1.0})
    assert alone.contributions(HISTORIES, 0, 2).tolist() == [0, 0]


def test_arrays_and_parameters_bring_it_back(blend: FittedBlend) -> None:
    whole = with_popularity(blend).compact(M)
    again = FittedBlend.from_arrays(whole.arrays(), whole.params())
    assert list(again.parts) == ["linear", "content", "popularity"]
    np.testing.assert_array_equal(again.score(HISTORIES), whole.score(HISTORIES))
    np.testing.assert_allclose(whole.score(HISTORIES), with_popularity(blend).score(HISTORIES), atol=1e-5)


def test_parts_of_different_catalogues_make_no_blend(blend: FittedBlend) -> None:
    whole = with_popularity(blend).compact(M)
    with pytest.raises(ValueError, match=f"parts of different numbers of items: .*'popularity': {M + 1}"):
        FittedBlend.from_arrays({**whole.arrays(), "popularity.counts": np.ones(M + 1, dtype=np.float32)}, whole.params())


@pytest.mark.parametrize("weights", [{}, {"popularity": 1.0, "als": 1.0}])
def test_weights_must_fit_the_parts(weights: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="one weight for each part"):
        Blend(parts=(Popularity(),), weights=weights)
