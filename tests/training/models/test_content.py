from collections.abc import Sequence

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.side import SideInformation, indicators
from training import lineup
from training.lineup import unbound
from training.models import content
from training.models.content import ContentConfig, FittedContent, grid

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


# -- attributes --


def table(n_items: int) -> Interactions:
    return Interactions.of_histories(Histories.of([[0]], n_items))


def told(words: Sequence[str], texts: Sequence[Sequence[float]] | None = None, **settings: float) -> FittedContent:
    """One string of one-letter attributes for each item."""
    text = None if texts is None else np.array(texts, dtype=np.float32)
    side = SideInformation(len(words), text, indicators([tuple(word) for word in words]))
    return ContentConfig(**settings).bind(side).fit(table(len(words)), rng=np.random.default_rng(0))


def test_rare_attributes_count_more_by_the_logarithm_of_their_share() -> None:
    """Of four items a: 2, b: 1, c: 2, d: 2 and e: 4 times, so ln 2, ln 4, ln 2, ln 2 and nothing."""
    scores = told(["abe", "ace", "de", "cde"]).score(Histories.of([[0]], 4))
    np.testing.assert_allclose(scores, [[1, 1 / np.sqrt(5) / np.sqrt(2), 0, 0]], atol=1e-6)


def test_the_share_is_that_of_attributes_in_the_cosine() -> None:
    """Items 0 and 1 have opposite texts and equal attributes, 0 and 2 the reverse (cosine 0)."""
    fitted = told(["a", "a", "b", "b"], [EAST, WEST, EAST, WEST], share=0.25)
    scores = fitted.score(Histories.of([[0]], 4))
    np.testing.assert_allclose(scores, [[1, -0.75 + 0.25, 0.75, -0.75]], atol=1e-6)


def test_an_item_is_known_by_its_text_or_its_attributes_alone() -> None:
    """Text, text and attributes, attributes, neither; a history of the third tells of attributes only."""
    fitted = told(["", "a", "a", "", "b"], [EAST, EAST, [0, 0], [0, 0], WEST], share=0.5)
    scores = fitted.score(Histories.of([[0], [2], [3], [3, 0]], 5))
    text_of_both, words_of_both = np.sqrt(0.5), np.sqrt(0.5)
    np.testing.assert_allclose(scores[0, [0, 1, 2, 3]], [1, text_of_both, 0, np.nan], atol=1e-6)
    np.testing.assert_allclose(scores[1], [0, words_of_both, 1, np.nan, 0], atol=1e-6)
    assert np.isnan(scores[2]).all()
    np.testing.assert_allclose(scores[3], scores[0], atol=1e-6)


@pytest.mark.parametrize(("share", "alike"), [(0.0, [1, -1, 1, -1]), (1.0, [1, 1, 0, 0])])
def test_a_share_of_nothing_or_all_leaves_the_other_alone(share: float, alike: list[float]) -> None:
    fitted = told(["a", "a", "b", "b"], [EAST, WEST, EAST, WEST], share=share)
    np.testing.assert_allclose(fitted.score(Histories.of([[0]], 4)), [alike], atol=1e-6)


def test_a_share_that_decides_nothing_is_tried_once() -> None:
    text, words = np.eye(3, dtype=np.float32), indicators([("a",), ("b",), ("a",)])
    for side, share, tried in (
        (SideInformation(3, text), 0, 2),
        (SideInformation(3, None, words), 1, 2),
        (SideInformation(3, text, words), 0.5, len(grid(3))),
    ):
        found = [unbound(model) for model in lineup.settings("content", 3, side)]
        assert len(found) == tried
        assert isinstance(found[0], ContentConfig)
        assert found[0].share == share


def test_one_history_and_many_give_the_same_scores() -> None:
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("abcdefgh"), size=rng.integers(0, 4), replace=False)) for _ in range(30)]
    fitted = told(words, rng.normal(size=(30, 5)).tolist(), share=0.4)
    histories = Histories.of([rng.permutation(30)[: rng.integers(0, 9)].tolist() for _ in range(20)], 30)
    together = fitted.score(histories)
    for row in range(20):
        np.testing.assert_allclose(fitted.score(histories.take(np.array([row])))[0], together[row], atol=1e-6)


def test_likeness_is_the_score_of_a_history_of_one() -> None:
    fitted = told(["a", "ab", "b", ""], [EAST, WEST, NORTH, SOUTH], share=0.4)
    found = fitted.likeness(np.array([0, 2]), np.arange(4))
    np.testing.assert_allclose(found, fitted.score(Histories.of([[0], [2]], 4)), atol=1e-6)


def test_arrays_of_a_bundle_from_before_attributes_still_load() -> None:
    fitted = bind(EAST, NORTH, WEST, SOUTH)
    assert set(fitted.arrays()) == {"vectors"}
    again = FittedContent.from_arrays(fitted.arrays(), {"decay": 0.5})
    histories = Histories.of([[0, 1]], 4)
    np.testing.assert_array_equal(again.score(histories), fitted.score(histories))


def test_attributes_alone_go_through_a_bundle() -> None:
    fitted = told(["ab", "b", "c", "a"])
    again = FittedContent.from_arrays(fitted.arrays(), fitted.params())
    histories = Histories.of([[0, 1], [2]], 4)
    np.testing.assert_array_equal(again.score(histories), fitted.score(histories))


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("attributes_indices", np.array([0, 1, 1, 9, 0], dtype=np.int32), "lies outside 0..2"),
        ("attributes_indptr", np.array([0, 2, 3, 4, 9], dtype=np.int32), "does not rise from 0 to 5 in 4 steps"),
        ("attributes_data", np.array([1, 1, 1, np.nan, 1], dtype=np.float32), "not finite"),
    ],
)
def test_attributes_that_lead_outside_are_refused(name: str, wrong: np.ndarray, words: str) -> None:
    fitted = told(["ab", "b", "c", "a"])
    with pytest.raises(ValueError, match=words):
        FittedContent.from_arrays({**fitted.arrays(), name: wrong}, fitted.params())


def test_content_without_any_side_information_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="content needs texts or attributes, and there are neither"):
        ContentConfig().bind(SideInformation(3))


def test_attributes_that_all_items_have_tell_nothing() -> None:
    assert np.isnan(told(["a", "a", "a"]).score(Histories.of([[0]], 3))).all()


def test_what_many_texts_share_counts_less() -> None:
    """Squares of .64 and .36 each are divided by the roots of their sums, 1.6 and 1.2: .4 and .3 are left of them."""
    scores = bind([0.8, 0.6], [0.8, -0.6], [-0.8, 0.6], [-0.8, -0.6]).score(Histories.of([[0]], 4))
    np.testing.assert_allclose(scores, [[1, 0.1 / 0.7, -0.1 / 0.7, -1]], atol=1e-6)  # as they are: .28 rather than .14


def test_texts_are_the_same_however_the_items_are_numbered() -> None:
    rng = np.random.default_rng(3)
    texts, order = rng.normal(size=(40, 6)), rng.permutation(40)
    one = bind(*texts.tolist()).score(Histories.of([[int(order[0])]], 40))
    two = bind(*texts[order].tolist()).score(Histories.of([[0]], 40))
    np.testing.assert_allclose(two[0], one[0, order], atol=1e-5)


def test_texts_of_a_large_catalogue_keep_the_axes_on_which_they_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 numbers a text, of which two say anything: two are kept, and the cosines stay."""
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 20))
    wide = bind(*texts.tolist()).score(Histories.of([[0, 1]], 50))
    monkeypatch.setattr(content, "_MOST", 100)
    monkeypatch.setattr(content, "_NARROWEST", 1)
    narrow = bind(*texts.tolist())
    assert narrow.vectors.shape == (50, 2)
    np.testing.assert_allclose(narrow.score(Histories.of([[0, 1]], 50)), wide, atol=1e-4)
