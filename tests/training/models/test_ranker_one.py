"""One history, as the service asks, is looked at as many are: the same candidates, features and scores."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.models.base import Model
from training.models.blend import FittedBlend
from training.models.candidates import candidates
from training.models.content import ContentConfig
from training.models.item_knn import ItemKNN
from training.models.linear import Linear
from training.models.pairs import Pairs
from training.models.popularity import Popularity
from training.models.ranker import FittedRanker, _moments
from training.models.row_lookups import entries
from training.models.trees import learn
from training.models.weights import standardise

M, N = 60, 40
DAY = np.timedelta64(86_400_000_000, "us")
RNG = np.random.default_rng


def log(*, times: bool = True) -> Histories:
    """Short histories, the first of them empty; items 55 to 59 are never taken up."""
    rng = RNG(1)
    rows = [[]] + [rng.choice(55, size=int(rng.integers(1, 9)), replace=False).tolist() for _ in range(N - 1)]
    start = np.datetime64("2026-01-01", "us")
    at = [[start + DAY * int(day) for day in np.sort(rng.integers(0, 200, size=len(row)))] for row in rows]
    return Histories.of(rows, M, at=at if times else None, role=(np.arange(N) % 3 - 1).tolist())


def side(*, known: bool = True) -> SideInformation:
    rng = RNG(2)
    if not known:
        return SideInformation(M)
    words = sparse.csr_matrix((rng.random((M, 12)) < 0.2).astype(np.float32))
    text = rng.standard_normal((M, 5)).astype(np.float32)
    fields = {"position": np.arange(M, dtype=np.float32), "available": np.full(M, 20_000, dtype=np.float32)}
    levels = (rng.random((M, 3)) < 0.3).astype(np.float32) * 3
    return SideInformation(M, text, words, fields, levels, np.array([[2, 0, 1], [0, 3, 0]], dtype=np.float32))


def ranker(histories: Histories, known: SideInformation) -> FittedRanker:
    table = Interactions.of_histories(histories)
    models: list[Model] = [
        Linear(),
        ItemKNN(),
        Popularity(),
        *([ContentConfig().bind(known)] if known.text is not None else []),
    ]
    parts = {model.name: model.fit(table, rng=RNG(3)) for model in models}
    found = FittedRanker(FittedBlend(parts, dict.fromkeys(parts, 0.5)), Pairs.of(table, known), None, 12, 3)
    look = found.look(histories)
    settings = {"trees": 8, "leaves": 4, "rate": 0.2, "smallest": 5, "seed": 1, "threads": 1}
    hit = RNG(4).random(len(look.row)) < 0.1
    trees = learn(look.features, hit, np.bincount(look.row)[np.unique(look.row)], **settings)  # type: ignore[arg-type]
    return FittedRanker(found.blend, found.pairs, trees, 12, 3)


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_one_history_is_scored_as_it_is_among_others(times: bool, known: bool) -> None:
    histories = log(times=times)
    model = ranker(histories, side(known=known))
    many, scores = model.look(histories), model.score(histories)
    for row in range(N):
        one = histories.take(np.array([row]))
        own = model.look(one)
        there = many.row == row
        assert own.item.tolist() == many.item[there].tolist()
        assert_allclose(own.features, many.features[there], atol=1e-5, rtol=1e-5)
        assert_allclose(model.score(one)[0], scores[row], atol=1e-5, rtol=1e-5)


def test_of_equals_at_the_cut_those_of_lower_index_are_candidates() -> None:
    """1,000 items, 900 of them equal: more than the guess of one history can tell apart."""
    total = np.zeros((2, 1000), dtype=np.float32)
    total[:, 700:800] = np.arange(100)
    total[:, :5] = np.nan
    histories = Histories.of([[5, 799], [5, 799]], 1000)
    parts = total[None] * -1
    expected = [6, 7, 8, *range(701, 799)]
    for batch in (histories, histories.take(np.array([0]))):
        n = len(batch)
        row, item = candidates(total[:n], parts[:, :n], batch, best=101, own=2)
        assert item[row == 0].tolist() == expected
        assert item[row == n - 1].tolist() == expected


@pytest.mark.parametrize("levels", [3, 60, 100_000], ids=["many equals", "some equals", "none"])
def test_the_candidates_of_one_history_are_those_among_others(levels: int) -> None:
    """Parts of 2,000 items, one without most scores and one without any; few guesses let enough through."""
    rng = RNG(levels)
    parts = rng.integers(0, levels, (4, 12, 2000)).astype(np.float32)
    parts[1, :, rng.random(2000) < 0.995] = np.nan
    parts[2] = np.nan
    total = parts[0] + parts[3]
    total[:, ::7] = np.nan
    histories = Histories.of([rng.choice(2000, size=size, replace=False).tolist() for size in range(0, 240, 20)], 2000)
    row, item = candidates(total, parts, histories, best=50, own=9)
    for at in range(12):
        _, own = candidates(total[at : at + 1], parts[:, at : at + 1], histories.take(np.array([at])), best=50, own=9)
        assert own.tolist() == item[row == at].tolist()


@pytest.mark.parametrize("model", [Linear(), Linear(form="sparse"), ItemKNN()])
def test_one_history_over_a_sparse_table_scores_as_among_others(model: Linear | ItemKNN) -> None:
    """Of known items, of one nobody took up as well, of one twice, of no known item, and of none."""
    fitted = model.fit(Interactions.of_histories(log()), rng=RNG(1)).compact()
    rows = [[3, 9, 20], [57, 4], [8, 8, 2], [58, 59], []]
    many = fitted.score(Histories.of(rows, M))
    assert np.isnan(many).all(axis=1).tolist() == [False, False, False, True, True]
    for row, wanted in zip(rows, many, strict=True):
        assert_allclose(fitted.score(Histories.of([row], M))[0], wanted, atol=1e-6)


def test_entries_are_those_of_the_table_whatever_is_asked_twice() -> None:
    tables = [sparse.csr_matrix(np.where(RNG(at).random((9, 9)) < 0.4, RNG(9 + at).random((9, 9)), 0)) for at in (0, 1)]
    asked = [(tables[0], 3), (tables[1], 3), (tables[0], 3), (tables[1], 8)]
    items = np.array([5, 0, 5, 8])
    assert_allclose(entries(asked, items), [table.toarray()[of, items] for table, of in asked], rtol=1e-6)
    assert entries([], items).shape == (0, 4)
    assert entries(asked, items[:0]).shape == (4, 0)


def test_a_history_that_leaves_one_item_has_one_candidate() -> None:
    histories = Histories.of([[0, 1, 2]], 4)
    _, item = candidates(np.ones((1, 4), np.float32), np.ones((2, 1, 4), np.float32), histories, best=5, own=1)
    assert item.tolist() == [3]


def test_one_history_is_standardised_as_many_are() -> None:
    """Rows that are plain, far from 0, equal, equal but for what is missing, and missing altogether."""
    plain = RNG(5).standard_normal(500).astype(np.float32)
    nan = np.float32(np.nan)
    gaps = np.where(np.arange(500) % 7 == 0, nan, np.float32(1))
    rows = np.stack([plain, plain + 1000, plain * 0 + np.float32(0.1), gaps * np.float32(0.1), gaps * plain, gaps * nan])
    wanted, known = standardise(rows)
    mean, scale, unknown = _moments(rows.copy())
    assert unknown.tolist() == np.flatnonzero(~known).tolist()
    assert_allclose(np.where(known, (rows - mean) * scale, 0), wanted, atol=1e-5)
