"""One contract for every model. A new model adds one line to CASES, and what its documentation says of NaN.

The data is a checkerboard: learner u took up item i where u + i is even, but for the diagonal u = i. A model that learns
from others must rank the withheld item of the learner's own colour above every item of the other colour: the right answer
is known without running anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.catalogue import Catalogue, Item
from features.interactions import Histories, Interactions
from features.vocabulary import Vocabulary
from training.bundle import Provenance, load_bundle, write_bundle
from training.models.als import ALS
from training.models.base import Fitted, Model
from training.models.blend import Blend
from training.models.bpr import BPR
from training.models.content import ContentConfig
from training.models.item_knn import ItemKNN
from training.models.linear import Linear
from training.models.popularity import Popularity
from training.models.random_order import RandomOrder
from training.models.recent import Recent
from training.models.registry import FITTED
from training.models.sequence import SequenceModel

M = 12
DAY = np.timedelta64(1, "D")
START = np.datetime64("2024-01-01T00:00:00", "us")


def texts(n_items: int) -> NDArray[np.float32]:
    """Even and odd items have texts of their own; item 0 .. n_items - 1."""
    around = np.random.default_rng(7).normal(0, 0.1, (n_items, 4))
    around[np.arange(n_items), np.arange(n_items) % 2] += 1
    return around.astype(np.float32)


@dataclass(frozen=True)
class Case:
    """How to make a model for a number of items, and what it promises beyond the contract."""

    make: Callable[[int], Model]
    learns: bool = True  # ranks the checkerboard
    needs_history: bool = True  # cannot score an empty one
    equivariant: bool = True  # fits the same whatever the items are called
    untaken: bool = True  # cannot score an item that nobody took up


def small_als() -> ALS:
    """Two colours need two factors; a third would learn the empty diagonal by heart."""
    return ALS(factors=2, iterations=20)


def small_bpr() -> BPR:
    return BPR(factors=4, iterations=100)


def small_sequence() -> SequenceModel:
    return SequenceModel(dim=8, dropout=0, learning_rate=0.02, epochs=10, batch=16)


def blend(n_items: int) -> Blend:
    parts = (Linear(ridge=1, next_ridge=1), ContentConfig().bind(texts(n_items)), Recent(), Popularity())
    return Blend(parts=parts, weights={"linear": 1, "content": 0.5, "recent": 0.2, "popularity": 0.1})


CASES = {
    "popularity": Case(lambda n: Popularity(), learns=False, needs_history=False, untaken=False),
    "random": Case(lambda n: RandomOrder(), learns=False, needs_history=False, equivariant=False, untaken=False),
    "recent": Case(lambda n: Recent(), learns=False, needs_history=False, untaken=False),
    "als": Case(lambda n: small_als(), equivariant=False),
    "item_knn": Case(lambda n: ItemKNN()),
    "bpr": Case(lambda n: small_bpr(), equivariant=False),
    "linear": Case(lambda n: Linear(ridge=1, next_ridge=1)),
    "ease": Case(lambda n: Linear(ridge=1, mix=0)),
    "next-item": Case(lambda n: Linear(next_ridge=1, mix=1)),
    "content": Case(lambda n: ContentConfig().bind(texts(n)), equivariant=False, untaken=False),
    "sequence": Case(lambda n: small_sequence(), equivariant=False),
    "blend": Case(blend, needs_history=False, equivariant=False, untaken=False),
}
each = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def timed(rows: list[list[int]], n_items: int, *, n_audiences: int = 2) -> Interactions:
    at = [[START + (k + u) * DAY for k in range(len(row))] for u, row in enumerate(rows)]
    histories = Histories.of(rows, n_items, at=at, audience=[u % n_audiences for u in range(len(rows))])
    return Interactions.of_histories(histories, n_audiences=n_audiences, until=START + 60 * DAY)


def checkerboard(n: int = M) -> Interactions:
    rng = np.random.default_rng(3)
    return timed([[int(i) for i in rng.permutation(n) if (u + i) % 2 == 0 and u != i] for u in range(n)], n)


def fit(case: Case, interactions: Interactions, seed: int = 0) -> Fitted:
    return case.make(interactions.n_items).fit(interactions, rng=np.random.default_rng(seed))


def asked(n_items: int = M) -> Histories:
    """Histories that no learner of the table has: one item, some, some with a repeat, and none at all."""
    return Histories.of([[4], [1, 3, 9], [2, 2, 6, 2], []], n_items, audience=[0, 1, -1, 0])


@each
def test_the_withheld_item_comes_before_the_other_colour(case: Case) -> None:
    if not case.learns:
        pytest.skip("scores the same for everybody")
    table = checkerboard()
    scores = fit(case, table).score(table)
    for learner in range(M):
        other_colour = scores[learner, (learner + 1) % 2 :: 2]
        assert scores[learner, learner] > np.nanmax(other_colour)


@each
def test_scores_are_float32_of_the_shape_asked_for(case: Case) -> None:
    fitted, histories = fit(case, checkerboard()), asked()
    scores = fitted.score(histories)
    some = fitted.score(histories, np.array([5, 0, 7], dtype=np.int32))
    assert scores.shape == (4, M)
    assert some.shape == (4, 3)
    for found in (scores, some):
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
    np.testing.assert_array_equal(some, scores[:, [5, 0, 7]])


@each
def test_nan_stands_only_where_documented(case: Case) -> None:
    scores = fit(case, checkerboard()).score(asked())
    assert np.isfinite(scores[:3]).all()
    assert np.isnan(scores[3]).all() == case.needs_history
    assert np.isfinite(scores[3]).all() != case.needs_history


@each
def test_an_item_that_nobody_took_up(case: Case) -> None:
    table = timed([[0, 1, 2], [1, 2, 0], [2, 0]], 5)
    scores = fit(case, table).score(Histories.of([[0], [4]], 5))
    assert np.isnan(scores[0, 3:]).all() == case.untaken
    assert np.isnan(scores[1]).all() == case.untaken


@each
def test_the_same_generator_gives_the_same_bits(case: Case) -> None:
    first, second = (fit(case, checkerboard(), seed=5).arrays() for _ in range(2))
    assert first.keys() == second.keys()
    for name in first:
        assert np.asarray(first[name]).tobytes() == np.asarray(second[name]).tobytes()


@each
def test_a_score_depends_on_its_own_row_alone(case: Case) -> None:
    fitted, histories = fit(case, checkerboard()), asked()
    together = fitted.score(histories)
    for row in range(len(histories)):
        np.testing.assert_allclose(fitted.score(histories.take(np.array([row])))[0], together[row], atol=1e-5)
    order = np.array([2, 0, 3, 1, 2])
    np.testing.assert_allclose(fitted.score(histories.take(order)), together[order], atol=1e-5)


@each
def test_an_unknown_audience_is_scored_like_none(case: Case) -> None:
    fitted = fit(case, checkerboard())
    scores = fitted.score(Histories.of([[4, 2], [4, 2]], M, audience=[99, -1]))
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[0], scores[1])


@each
def test_arrays_are_plain_and_c_ordered(case: Case) -> None:
    for name, array in fit(case, checkerboard()).arrays().items():
        assert array.flags.c_contiguous, name
        assert array.dtype != object, name
        assert "/" not in name


@each
def test_a_bundle_scores_the_same_from_read_only_memory_maps(case: Case, tmp_path: Path) -> None:
    fitted, histories = fit(case, checkerboard()), asked()
    ids = [f"i{k:02}" for k in range(M)]
    folder = write_bundle(
        tmp_path,
        tenant="demo",
        model=fitted,
        vocabulary=Vocabulary(tuple(ids)),
        catalogue=Catalogue({name: Item(id=name, title=name) for name in ids}, {}, {}),
        audiences=("a", "b"),
        population={},
        provenance=Provenance(recipe={}, data_digest="d", split_digest="s"),
    )
    loaded = load_bundle(folder).model
    assert type(loaded) is FITTED[fitted.kind]
    np.testing.assert_array_equal(loaded.score(histories), fitted.score(histories))
    assert loaded.params() == fitted.params()


@each
def test_a_model_knows_how_many_items_it_scores(case: Case) -> None:
    assert fit(case, checkerboard()).n_items == M


@each
def test_arrays_of_another_shape_or_type_make_no_model(case: Case) -> None:
    """Each array in turn with a row too few, an axis too many, or of text. What loads must score, unless it counts its items
    otherwise, which a bundle compares with its vocabulary: nothing waits for the first request to fail."""
    fitted = fit(case, checkerboard())
    for name, array in fitted.arrays().items():
        for wrong in (array[:-1], array[..., None], array.astype(str), array[:0]):
            try:
                made = type(fitted).from_arrays({**fitted.arrays(), name: wrong}, fitted.params())
            except ValueError:
                continue
            assert made.n_items != M or made.score(asked()).shape == (4, M), name


@each
def test_renaming_items_renames_the_scores(case: Case) -> None:
    if not case.equivariant:
        pytest.skip("draws by item index, or is bound to texts by item index")
    table, histories = checkerboard(), asked()
    new = np.random.default_rng(1).permutation(M).astype(np.int32)
    moved = Interactions(table.indptr, new[table.items], table.at, table.audience, M, table.n_audiences, table.until)
    renamed = Histories(histories.indptr, new[histories.items], histories.at, histories.audience, M)
    expected = fit(case, table).score(histories)
    np.testing.assert_allclose(fit(case, moved).score(renamed)[:, new], expected, atol=1e-4)


TINY = {
    "one learner": [[0, 1, 2]],
    "one item": [[0], [0], [0]],
    "one learner and one item": [[0]],
    "an empty history": [[0, 1], [], [1, 0]],
    "nothing but empty histories": [[], []],
    "no learner": [],
}


@each
@pytest.mark.parametrize("rows", TINY.values(), ids=list(TINY))
def test_tiny_tables_do_not_crash(case: Case, rows: list[list[int]]) -> None:
    n_items = max((i for row in rows for i in row), default=0) + 1
    fitted = fit(case, timed(rows, n_items))
    scores = fitted.score(Histories.of([[0], [], [0, 0]], n_items, audience=[-1, 1, 0]))
    assert scores.shape == (3, n_items)
    assert not np.isinf(scores).any()


@each
def test_no_history_gives_no_row(case: Case) -> None:
    assert fit(case, checkerboard()).score(Histories.of([], M)).shape == (0, M)


@each
def test_interactions_are_not_changed(case: Case) -> None:
    table = checkerboard()
    before = table.digest()
    fit(case, table).score(table)
    assert table.digest() == before


@each
def test_the_config_is_frozen_and_the_kind_registered(case: Case) -> None:
    model = case.make(M)
    fitted = fit(case, checkerboard())
    assert FITTED[fitted.kind] is type(fitted)
    assert fitted.kind == model.name
    with pytest.raises((AttributeError, ValueError)):
        model.surprise = 1  # type: ignore[attr-defined]
