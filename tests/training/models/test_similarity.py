"""Thetas on data whose answer is known, rows made in blocks, and models that were tampered with."""

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.side import SideInformation, indicators
from training.models import similarity
from training.models.similarities import Similarities
from training.models.similarity import FittedSimilarity, Similarity, fitted, logit

M = 24


def words(n_items: int = M) -> SideInformation:
    """Items 0, 1, 2 share a word, so do 3, 4, 5 and so on; the noise says nothing."""
    tells = [(f"group {item // 3}", f"noise {item % 2}") for item in range(n_items)]
    return SideInformation(n_items, attributes=indicators(tells), fields={"position": np.arange(n_items, dtype=np.float32)})


def forward() -> Interactions:
    """Everybody walks on through the catalogue, one item after the other."""
    starts = np.random.default_rng(0).integers(0, M - 6, size=80)
    return Interactions.of_histories(Histories.of([list(range(start, start + 6)) for start in starts], M))


def test_the_logit_recovers_the_weights_that_made_the_choices() -> None:
    """Gumbel noise on theta . x makes choices of a conditional logit with exactly those thetas (McFadden 1974)."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(6_000, 12, 3)).astype(np.float32)
    theta = np.array([1.5, 0.5, 0.0])
    choice = (values @ theta + rng.gumbel(size=(6_000, 12))).argmax(axis=1)
    rows = np.arange(len(values))
    values[rows, choice], values[:, 0] = values[:, 0].copy(), values[rows, choice].copy()
    found = logit(values, np.ones((6_000, 12), dtype=bool))
    np.testing.assert_allclose(found, theta, atol=0.06)


def test_likeness_never_counts_against_an_item() -> None:
    values = np.zeros((200, 3, 1), dtype=np.float32)
    values[:, 1:] = np.random.default_rng(2).uniform(0.5, 1, (200, 2, 1))  # who is chosen is always the least like
    assert logit(values, np.ones((200, 3), dtype=bool)).tolist() == [0.0]


def test_a_candidate_that_is_not_open_takes_no_part() -> None:
    values = np.random.default_rng(3).uniform(size=(300, 3, 2)).astype(np.float32)
    open_to = np.ones((300, 3), dtype=bool)
    open_to[:, 2] = False
    before = logit(values, open_to)
    values[:, 2] += 5
    values[:, 2] *= 0.999  # the scale of a kind counts all candidates, but the choice does not: the order of thetas stays
    after = logit(values, open_to)
    assert (before > 0).tolist() == (after > 0).tolist()


def test_what_learners_do_next_decides_what_counts() -> None:
    model = Similarity().bind(words()).fit(forward(), rng=np.random.default_rng(0))
    near = max(model.theta[kind] for kind in ("ahead1", "ahead5"))
    assert near > 10 * model.theta["behind1"]
    scores = model.score(Histories.of([[7]], M))[0]
    assert int(np.nanargmax(scores)) == 8


def test_an_item_without_any_take_up_is_scored_like_the_others() -> None:
    table = forward()
    hidden = table.holding(table.where(table.items != 8))
    scores = Similarity().bind(words()).fit(hidden, rng=np.random.default_rng(0)).score(Histories.of([[7]], M))[0]
    assert int(np.nanargmax(scores)) == 8


def test_an_item_that_nothing_is_known_of_has_no_score() -> None:
    side = SideInformation(M, attributes=indicators([("a",) if item < 4 else ("b",) if item < 20 else () for item in range(M)]))
    model = Similarity().bind(side).fit(forward(), rng=np.random.default_rng(0))
    scores = model.score(Histories.of([[0], [22], []], M))
    assert np.isnan(scores[0]).tolist() == [item >= 20 for item in range(M)]
    assert np.isnan(scores[1:]).all()


def test_contributions_add_up_to_the_score() -> None:
    model = Similarity(decay=0.6).bind(words()).fit(forward(), rng=np.random.default_rng(0))
    asked = Histories.of([[2, 9, 4]], M)
    parts = model.contributions(asked, 0, 5)
    np.testing.assert_allclose(parts.sum(), model.score(asked)[0, 5], rtol=1e-5)
    assert parts.argmax() == 2


def test_rows_are_the_same_in_any_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Similarity().bind(words())
    whole = model.fit(forward(), rng=np.random.default_rng(0))
    monkeypatch.setattr(similarity, "_BLOCK", 5)
    again = model.fit(forward(), rng=np.random.default_rng(0))
    np.testing.assert_allclose(whole.weights.toarray(), again.weights.toarray(), rtol=1e-4)


def test_only_the_strongest_weights_of_a_row_are_kept() -> None:
    kinds = Similarities.of(words())
    theta = dict.fromkeys(kinds.kinds, 1.0)
    few, all_of_them = fitted(kinds, theta, 0.5, 4).weights.toarray(), fitted(kinds, theta, 0.5, M).weights.toarray()
    assert (np.count_nonzero(few, axis=1) <= 4).all()
    assert np.isin(np.sort(few, axis=1)[:, -4:], all_of_them).all()
    assert np.array_equal(few.max(axis=1), all_of_them.max(axis=1))


def test_thetas_serve_other_items_without_a_fit() -> None:
    model = Similarity().bind(words()).fit(forward(), rng=np.random.default_rng(0))
    more = model.rebound(words(M + 3))
    assert (more.n_items, more.theta) == (M + 3, model.theta)
    assert int(np.nanargmax(more.score(Histories.of([[M + 1]], M + 3))[0])) == M + 2


def test_side_information_of_other_items_and_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="25 items for 24"):
        Similarity().bind(words(25)).fit(forward(), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="needs texts, attributes or positions"):
        Similarity().bind(SideInformation(3))


def test_tampered_thetas_are_refused() -> None:
    model = Similarity().bind(words()).fit(forward(), rng=np.random.default_rng(0))
    for bad in ({"theta.attributes": float("nan")}, {"theta.attributes": -1.0}, {"row_entries": 0}):
        with pytest.raises(ValueError, match=r"theta\.attributes|row_entries"):
            FittedSimilarity.from_arrays(model.arrays(), dict(model.params()) | bad)


@pytest.mark.parametrize(("name", "value"), [("decay", 0.9), ("questions", 5), ("others", 3), ("row_entries", 2)])
def test_every_setting_is_read(name: str, value: float) -> None:
    usual, other = (
        Similarity(**given).bind(words()).fit(forward(), rng=np.random.default_rng(0)) for given in ({}, {name: value})
    )
    same = usual.params() == other.params() and np.array_equal(usual.weights.toarray(), other.weights.toarray())
    assert not same
