"""A model over a catalogue that has grown: nothing old changes place, what is new is ranked by what is known of it."""

from dataclasses import replace

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.side import SideInformation, indicators
from features.vocabulary import Vocabulary
from training.grown import grown, grown_population, grown_vocabulary, ranks_new_items
from training.models.als import ALS
from training.models.base import Fitted, Model
from training.models.blend import FittedBlend
from training.models.bpr import BPR
from training.models.content import ContentConfig
from training.models.item_knn import ItemKNN
from training.models.linear import Linear
from training.models.pairs import Pairs
from training.models.popularity import Popularity
from training.models.random_order import RandomOrder
from training.models.ranker import FittedRanker
from training.models.recent import Recent
from training.models.segments import Segments
from training.models.sequence import SequenceModel
from training.models.similarity import Similarity

OLD, NEW = 6, 8
"""Even items are about one thing and odd ones about another; the new ones are 6 (even) and 7 (odd)."""


def side(n_items: int) -> SideInformation:
    words = [("even",) if item % 2 == 0 else ("odd",) for item in range(n_items)]
    text = np.array(
        [[1, 0.1 * (item // 2)] if item % 2 == 0 else [-1, 0.1 * item] for item in range(n_items)], dtype=np.float32
    )
    return SideInformation(n_items, text, indicators(words), {"position": np.arange(n_items, dtype=np.float32)})


def table() -> Interactions:
    rows = [[0, 2, 4], [1, 3, 5], [2, 4], [3, 5, 1], [0, 4], [5, 1]]
    at = [[np.datetime64("2026-01-01", "us") + np.timedelta64(day, "D") for day in range(len(row))] for row in rows]
    return Interactions.of_histories(Histories.of(rows, OLD, at=at, audience=[0] * 6), n_audiences=1)


PLAIN: dict[str, Model] = {
    "linear": Linear(),
    "item_knn": ItemKNN(),
    "als": ALS(factors=2, iterations=3),
    "bpr": BPR(factors=2, iterations=3),
    "popularity": Popularity(),
    "recent": Recent(),
    "segments": Segments(),
    "random": RandomOrder(),
    "similarity": Similarity().bind(side(OLD)),
    "content": ContentConfig().bind(side(OLD)),
}


def fitted(name: str) -> Fitted:
    return PLAIN[name].fit(table(), rng=np.random.default_rng(0))


def asked(n_items: int, *rows: list[int]) -> Histories:
    return Histories.of(rows or ([0, 2], [1], []), n_items)


@pytest.mark.parametrize("name", PLAIN)
def test_what_was_learned_of_the_old_items_stays_and_the_arrays_can_be_stored(name: str) -> None:
    before, after = fitted(name), grown(fitted(name), side(NEW))
    assert after.n_items == NEW
    again = type(after).from_arrays(after.arrays(), after.params())
    scores = again.score(asked(NEW))
    assert scores.shape == (3, NEW)
    if name not in ("content", "similarity"):  # what all items have in common changes with the catalogue
        np.testing.assert_allclose(scores[:, :OLD], before.score(asked(OLD)), rtol=1e-6)


@pytest.mark.parametrize("name", ["content", "similarity"])
def test_a_new_item_is_ranked_by_what_is_known_of_it(name: str) -> None:
    even, odd = grown(fitted(name), side(NEW)).score(asked(NEW, [0], [1]))
    assert even[6] > even[7]
    assert odd[7] > odd[6]


@pytest.mark.parametrize("name", ["linear", "item_knn", "als", "bpr"])
def test_a_part_that_learns_of_take_ups_alone_cannot_score_a_new_item_nor_is_misled_by_it(name: str) -> None:
    after = grown(fitted(name), side(NEW))
    old, with_new = after.score(asked(NEW, [0, 2], [0, 2, 7]))
    assert np.isnan(old[OLD:]).all()
    assert np.isnan(with_new[OLD:]).all()
    assert np.isfinite(with_new[:OLD]).all()
    assert np.isnan(after.score(asked(NEW, [6]))).all()


def test_a_blend_and_its_ranker_grow_part_by_part() -> None:
    blend = FittedBlend(
        {name: fitted(name) for name in ("linear", "popularity", "similarity")},
        {"linear": 1, "popularity": 0.1, "similarity": 1},
    )
    ranker = FittedRanker(blend, Pairs.of(table(), side(OLD)), None, 5, 2, "too few")
    assert ranks_new_items(blend)
    assert ranks_new_items(ranker)
    for after in (grown(blend, side(NEW)), grown(ranker, side(NEW))):
        even = after.score(asked(NEW, [0]))[0]
        assert even[6] > even[7]
    pairs = grown(ranker, side(NEW)).arrays()
    assert pairs["pairs.taken"].shape == (NEW,)
    assert Pairs.of(table(), side(OLD)).arrays()["days"].tolist() == pairs["pairs.days"].tolist()


def test_a_model_without_side_information_gains_nothing_and_one_that_cannot_grow_says_so() -> None:
    assert not ranks_new_items(fitted("linear"))
    sequence = SequenceModel(dim=8, epochs=1, batch=4).fit(table(), rng=np.random.default_rng(0))
    assert not ranks_new_items(FittedBlend({"content": fitted("content"), "sequence": sequence}, {"content": 1, "sequence": 1}))
    with pytest.raises(TypeError, match="sequence model cannot be grown"):
        grown(sequence, side(NEW))
    with pytest.raises(ValueError, match="5 items for a model of 6"):
        grown(fitted("linear"), side(5))


def test_a_sparse_table_grows_as_a_dense_one_does() -> None:
    linear = fitted("linear")
    assert hasattr(linear, "compact")
    after = grown(linear.compact(3), side(NEW))
    np.testing.assert_allclose(after.score(asked(NEW))[:, :OLD], linear.compact(3).score(asked(OLD)), rtol=1e-6)


def test_content_keeps_the_share_of_attributes() -> None:
    content = ContentConfig(share=0.25).bind(side(OLD)).fit(table(), rng=np.random.default_rng(0))
    after, again = (
        grown(content, side(NEW)),
        ContentConfig(share=0.25).bind(side(NEW)).fit(replace_items(table(), NEW), rng=np.random.default_rng(0)),
    )
    np.testing.assert_allclose(after.score(asked(NEW)), again.score(asked(NEW)), rtol=1e-5)


def replace_items(interactions: Interactions, n_items: int) -> Interactions:
    return replace(interactions, n_items=n_items)


def test_old_ids_keep_their_places_and_new_ones_their_take_ups_so_far() -> None:
    old, items = Vocabulary(["b", "gone", "a"]), Vocabulary.of(["a", "b", "c", "aa"])
    more = grown_vocabulary(old, items)
    assert more.ids == ("b", "gone", "a", "aa", "c")
    found = grown_population({"popularity": np.array([3, 2, 1], dtype=np.float32)}, more, items, np.array([9, 4, 8, 7]))
    assert found["popularity"].tolist() == [3, 2, 1, 4, 7]
