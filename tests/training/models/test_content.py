from collections.abc import Sequence

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.side import SideInformation, indicators
from training.models.content import ContentConfig, FittedContent

EAST, NORTH, WEST, SOUTH = [1, 0], [0, 1], [-1, 0], [0, -1]  # their mean is zero: nothing is taken off


def bind(*vectors: Sequence[float], decay: float = 0.5) -> FittedContent:
    table = Interactions.of_histories(Histories.of([[0]], len(vectors)))
    model = ContentConfig(decay=decay).bind(SideInformation(len(vectors), np.array(vectors, dtype=np.float32)))
    return model.fit(table, rng=np.random.default_rng(0))


def test_the_score_is_the_cosine_with_the_decayed_history() -> None:
    scores = bind(EAST, NORTH, WEST, SOUTH).score(Histories.of([[0, 1]], 4))  # points to (.5, 1)
    np.testing.assert_allclose(scores[0], np.array([0.5, 1, -0.5, -1]) / np.sqrt(1.25), rtol=1e-6)


def test_the_length_of_a_vector_does_not_matter() -> None:
    scores = bind([7, 0], NORTH, [-0.1, 0], SOUTH).score(Histories.of([[0]], 4))
    np.testing.assert_allclose(scores, [[1, 0, -1, 0]], atol=1e-6)


def test_what_all_texts_share_is_taken_off() -> None:
    scores = bind([10, 1, 0], [10, -1, 0], [10, 0, 1], [10, 0, -1]).score(Histories.of([[0]], 4))
    np.testing.assert_allclose(scores, [[1, -1, 0, 0]], atol=1e-4)


@pytest.mark.parametrize("nothing", [[0, 0], [np.nan, np.nan]])
def test_an_item_without_text_cannot_be_scored_and_tells_nothing(nothing: list[float]) -> None:
    fitted = bind(EAST, WEST, nothing)
    scores = fitted.score(Histories.of([[0], [2], [2, 0]], 3))
    np.testing.assert_allclose(scores[0], [1, -1, np.nan], atol=1e-6)
    assert np.isnan(scores[1]).all()
    np.testing.assert_allclose(scores[2], scores[0], atol=1e-6)


def test_equal_texts_tell_nothing() -> None:
    assert np.isnan(bind([1, 2], [1, 2], [1, 2]).score(Histories.of([[0]], 3))).all()


def test_decay_changes_the_scores() -> None:
    slow, fast = (bind(EAST, NORTH, WEST, SOUTH, decay=d).score(Histories.of([[0, 1]], 4)) for d in (0.9, 0.1))
    assert slow[0, 0] > fast[0, 0]


def test_what_is_known_of_another_catalogue_is_refused() -> None:
    model = ContentConfig().bind(SideInformation(3, np.eye(3, dtype=np.float32)))
    with pytest.raises(ValueError, match="side information of 3 items for a table of 5 items"):
        model.fit(Interactions.of_histories(Histories.of([[0]], 5)), rng=np.random.default_rng(0))
