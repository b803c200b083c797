"""One contract for every model. A family of the table is tested with its default settings, or as its line in CASES says.

The data is a checkerboard: learner u took up item i where u + i is even, but for the diagonal u = i. A model that learns
from others must rank the withheld item of the learner's own colour above every item of the other colour: the right answer
is known without running anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.catalogue import Catalogue, Item
from features.interactions import Histories, Interactions
from features.side import SideInformation, indicators
from features.vocabulary import Vocabulary
from training.bundle import Provenance, load_bundle, write_bundle
from training.lineup import bound
from training.models.als import ALS
from training.models.base import Fitted, Model
from training.models.blend import Blend
from training.models.bpr import BPR
from training.models.content import ContentConfig
from training.models.families import FAMILIES
from training.models.linear import Linear
from training.models.popularity import Popularity
from training.models.random_order import RandomOrder
from training.models.ranker import Ranker, RankerConfig
from training.models.recent import Recent
from training.models.registry import FITTED
from training.models.segments import Segments
from training.models.sequence import SequenceModel
from training.models.similarity import Similarity

M = 12
DAY = np.timedelta64(1, "D")
START = np.datetime64("2024-01-01T00:00:00", "us")


def told(n_items: int) -> SideInformation:
    """Even and odd items have texts and an attribute of their own; item 0 .. n_items - 1."""
    around = np.random.default_rng(7).normal(0, 0.1, (n_items, 4))
    around[np.arange(n_items), np.arange(n_items) % 2] += 1
    words = [("even", "all") if item % 2 == 0 else ("odd", "all") for item in range(n_items)]
    return SideInformation(n_items, around.astype(np.float32), indicators(words))


@dataclass(frozen=True)
class Case:
    """How to make a model for a number of items, and what it promises beyond the contract: what most models do, unless said."""

    make: Callable[[int], Model]
    learns: bool = True  # ranks the checkerboard
    needs_history: bool = True  # cannot score an empty one
    draws: bool = False  # by item or learner: equal to the last bit only where both keep their places
    texts: bool = False  # is bound to what is known of each item index
    times: bool = False  # cannot score at all without times
    untaken: bool = True  # cannot score an item that nobody took up


def small_als() -> ALS:
    """Two colours need two factors; a third would learn the empty diagonal by heart."""
    return ALS(factors=2, iterations=20)


def small_bpr() -> BPR:
    return BPR(factors=4, iterations=100)


def small_sequence() -> SequenceModel:
    return SequenceModel(dim=8, dropout=0, learning_rate=0.02, epochs=10, batch=16)


def blend(n_items: int) -> Blend:
    parts = (Linear(ridge=1, next_ridge=1), ContentConfig().bind(told(n_items)), Recent(), Popularity())
    return Blend(parts=parts, weights={"linear": 1, "content": 0.5, "recent": 0.2, "popularity": 0.1})


def ranker(n_items: int, **settings: float) -> Ranker:
    parts = (Linear(ridge=1, next_ridge=1), ContentConfig().bind(told(n_items)), Popularity())
    usual = {"trees": 8, "leaves": 4, "smallest": 2, "fewest": 4, "best": 8, "own": 2, "folds": 2}
    return RankerConfig.model_validate(usual | settings).over(parts, told(n_items))


def settled(name: str) -> Case:
    """The case of a family that says nothing else: its default settings."""
    model = FAMILIES[name].default
    return Case(lambda n: bound(model, told(n)))


SAID = {
    "popularity": Case(lambda n: Popularity(), learns=False, needs_history=False, untaken=False),
    "random": Case(lambda n: RandomOrder(), learns=False, needs_history=False, draws=True, untaken=False),
    "recent": Case(lambda n: Recent(), learns=False, needs_history=False, times=True, untaken=False),
    "segments": Case(lambda n: Segments(), learns=False, needs_history=False, untaken=False),
    "als": Case(lambda n: small_als(), draws=True),
    "bpr": Case(lambda n: small_bpr(), draws=True),
    "linear": Case(lambda n: Linear(ridge=1, next_ridge=1)),
    "ease": Case(lambda n: Linear(ridge=1, mix=0)),
    "next-item": Case(lambda n: Linear(next_ridge=1, mix=1)),
    "similarity": Case(lambda n: Similarity().bind(told(n)), draws=True, texts=True, untaken=False),
    "content": Case(lambda n: ContentConfig().bind(told(n)), texts=True, untaken=False),
    "sequence": Case(lambda n: small_sequence(), draws=True),
    "blend": Case(blend, needs_history=False, texts=True, untaken=False),
    "ranker": Case(ranker, needs_history=False, draws=True, texts=True, untaken=False),
    "ranker of few": Case(lambda n: ranker(n, fewest=10_000), needs_history=False, draws=True, texts=True, untaken=False),
}
CASES = SAID | {name: settled(name) for name in FAMILIES if name not in SAID}
each = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def timed(rows: list[list[int]], n_items: int, *, n_audiences: int = 2) -> Interactions:
    at = [[START + (k + u) * DAY for k in range(len(row))] for u, row in enumerate(rows)]
    groups = {"audience": [u % n_audiences for u in range(len(rows))], "role": [u % 3 for u in range(len(rows))]}
    histories = Histories.of(rows, n_items, at=at, org_unit=[u % 4 for u in range(len(rows))], **groups)
    return Interactions.of_histories(histories, n_audiences=n_audiences, until=START + 60 * DAY)


def checkerboard(n: int = M) -> Interactions:
    rng = np.random.default_rng(3)
    return timed([[int(i) for i in rng.permutation(n) if (u + i) % 2 == 0 and u != i] for u in range(n)], n)


def fit(case: Case, interactions: Interactions, seed: int = 0) -> Fitted:
    return case.make(interactions.n_items).fit(interactions, rng=np.random.default_rng(seed))


@cache
def board(case: Case) -> Fitted:
    """Fitted once on the checkerboard, for all tests that only look at it."""
    return fit(case, checkerboard())


def asked(n_items: int = M) -> Histories:
    """Histories that no learner of the table has: one item, some, some with a repeat, and none at all."""
    return Histories.of([[4], [1, 3, 9], [2, 2, 6, 2], []], n_items, audience=[0, 1, -1, 0], role=[2, -1, 0, 1])


def knows_colours(fitted: Fitted, table: Interactions, withheld: NDArray[np.integer]) -> bool:
    """Is every learner's withheld item (int[M], even for the even colour) before every item of the other colour?"""
    scores = fitted.score(table)
    other_colour = np.array([np.nanmax(row[(item + 1) % 2 :: 2]) for row, item in zip(scores, withheld, strict=True)])
    return bool(np.all(scores[np.arange(M), withheld] > other_colour))


@each
def test_the_withheld_item_comes_before_the_other_colour(case: Case) -> None:
    if not case.learns:
        pytest.skip("scores the same for everybody")
    assert knows_colours(board(case), checkerboard(), withheld=np.arange(M))


@each
def test_scores_are_float32_of_the_shape_asked_for(case: Case) -> None:
    fitted, histories = board(case), asked()
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
    scores = board(case).score(asked())
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
    fitted, histories = board(case), asked()
    together = fitted.score(histories)
    for row in range(len(histories)):
        np.testing.assert_allclose(fitted.score(histories.take(np.array([row])))[0], together[row], atol=1e-5)
    order = np.array([2, 0, 3, 1, 2])
    np.testing.assert_allclose(fitted.score(histories.take(order)), together[order], atol=1e-5)


@each
def test_an_unknown_group_is_scored_like_none(case: Case) -> None:
    fitted = board(case)
    scores = fitted.score(Histories.of([[4, 2], [4, 2]], M, audience=[99, -1], role=[99, -1], org_unit=[99, -1]))
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[0], scores[1])


@each
def test_arrays_are_plain_and_c_ordered(case: Case) -> None:
    for name, array in board(case).arrays().items():
        assert array.flags.c_contiguous, name
        assert array.dtype != object, name
        assert "/" not in name


@each
def test_a_bundle_scores_the_same_from_read_only_memory_maps(case: Case, tmp_path: Path) -> None:
    fitted, histories = board(case), asked()
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
    assert board(case).n_items == M


@each
def test_arrays_of_another_shape_or_type_make_no_model(case: Case) -> None:
    """Each array in turn with a row too few, an axis too many, or of text. What loads must score, unless it counts its items
    otherwise, which a bundle compares with its vocabulary: nothing waits for the first request to fail."""
    fitted = board(case)
    for name, array in fitted.arrays().items():
        for wrong in (array[:-1], array[..., None], array.astype(str), array[:0]):
            try:
                made = type(fitted).from_arrays({**fitted.arrays(), name: wrong}, fitted.params())
            except ValueError:
                continue
            assert made.n_items != M or made.score(asked()).shape == (4, M), name


@each
def test_numbers_that_no_fit_gives_make_no_model(case: Case) -> None:
    """One entry of each array in turn that is not finite, and each parameter: a bundle may come from anywhere.

    NaN is let in where it says that something is not known of an item.
    """
    fitted = board(case)
    for name, array in fitted.arrays().items():
        numbers = (np.inf, -np.inf) if name == "pairs.fields" else (np.nan, np.inf, -np.inf)
        for wrong in numbers if array.dtype == np.float32 and array.size else ():
            changed = np.array(array)
            changed.flat[-1] = wrong
            with pytest.raises(ValueError, match=r"not finite"):
                type(fitted).from_arrays({**fitted.arrays(), name: changed}, fitted.params())
    for name, value in fitted.params().items():
        for number in (np.nan, np.inf, -1e300, 10**400) if isinstance(value, float) else ():
            with pytest.raises((ValueError, OverflowError)):
                type(fitted).from_arrays(fitted.arrays(), {**fitted.params(), name: number})


@each
def test_renaming_items_renames_the_scores(case: Case) -> None:
    if case.draws or case.texts:
        pytest.skip("draws by item index, or is bound to texts by item index")
    table, histories = checkerboard(), asked()
    new = np.random.default_rng(1).permutation(M).astype(np.int32)
    moved = fit(case, table.holding(table.renamed(new)))
    np.testing.assert_allclose(moved.score(histories.renamed(new))[:, new], board(case).score(histories), atol=1e-4)


@each
def test_learners_in_another_order_teach_the_same(case: Case) -> None:
    if case.draws:
        pytest.skip("draws by learner")
    table = checkerboard()
    moved = fit(case, table.holding(table.take(np.random.default_rng(1).permutation(M))))
    np.testing.assert_allclose(moved.score(asked()), board(case).score(asked()), atol=1e-4)


@each
def test_no_order_of_ids_is_learned(case: Case) -> None:
    """What draws is no longer equal under other names and in another order, but knows as much."""
    if not case.learns:
        pytest.skip("scores the same for everybody")
    rng, table = np.random.default_rng(1), checkerboard()
    new = np.empty(M, dtype=np.int32)
    new[0::2], new[1::2] = 2 * rng.permutation(M // 2), 2 * rng.permutation(M // 2) + 1  # texts tell the colours apart
    order = rng.permutation(M)
    moved = table.holding(table.renamed(new).take(order))
    assert knows_colours(fit(case, moved), moved, withheld=new[order])


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
    assert board(case).score(Histories.of([], M)).shape == (0, M)


@each
def test_interactions_are_not_changed(case: Case) -> None:
    table = checkerboard()
    before = table.digest()
    fit(case, table).score(table)
    assert table.digest() == before


@each
def test_the_config_is_frozen_and_the_kind_registered(case: Case) -> None:
    model = case.make(M)
    fitted = board(case)
    assert FITTED[fitted.kind] is type(fitted)
    assert fitted.kind == model.name
    with pytest.raises((AttributeError, ValueError)):
        model.surprise = 1  # type: ignore[attr-defined]


def test_every_family_is_tested() -> None:
    assert set(CASES) >= {*FITTED} - {"catalogue"}  # which is never fitted: tests/training/test_start.py


@each
def test_a_history_of_ten_thousand_items(case: Case) -> None:
    """Ten years of a daily app: every item over and over, the newest last."""
    long = np.resize(np.random.default_rng(5).permutation(M), 10_000).tolist()
    scores = board(case).score(Histories.of([long, [4]], M))
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[1], board(case).score(Histories.of([[4]], M))[0], atol=1e-5)


@each
def test_a_learner_who_took_up_every_item_of_many(case: Case) -> None:
    everything = np.random.default_rng(5).permutation(200).tolist()
    scores = fit(case, timed([everything, [0, 1], [1, 2, 0]], 200)).score(Histories.of([everything, [0]], 200))
    assert np.isfinite(scores).all()


@each
def test_unknown_items_in_a_history_are_passed_over(case: Case) -> None:
    fitted = fit(case, timed([[0, 1, 2], [1, 2, 0], [2, 0]], 5))
    among, alone = fitted.score(Histories.of([[0, 4, 1, 3], [3, 4, 3]], 5))
    assert np.isfinite(among[:3]).all()
    assert np.isnan(alone).all() == case.untaken


@each
def test_learners_whose_times_are_all_the_same(case: Case) -> None:
    """An import of one night: order is all that its times say."""
    table = checkerboard()
    at = np.full_like(table.at, START)
    flat = Interactions(table.indptr, table.items, at, table.audience, M, 2, START + DAY)
    fitted = fit(case, flat)
    assert np.isfinite(fitted.score(flat)).all()
    assert not case.learns or knows_colours(fitted, flat, withheld=np.arange(M))


@each
def test_order_without_times(case: Case) -> None:
    table = checkerboard()
    rows = [table[row].tolist() for row in range(M)]
    untimed = Interactions.of_histories(Histories.of(rows, M, audience=table.audience.tolist()), n_audiences=2)
    fitted = fit(case, untimed)
    scores = fitted.score(untimed)
    assert np.isnan(scores).all() if case.times else np.isfinite(scores).all()
    assert not case.learns or knows_colours(fitted, untimed, withheld=np.arange(M))
