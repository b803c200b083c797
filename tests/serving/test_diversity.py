"""Which item comes next, given those above: worked by hand, checked against determinants, counted under the coin."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from serving.diversity import LEAST_NEW, POOL, Above, Diverse, standardised
from serving.exploration import Slot, fill

NOBODY = np.full(6, -1)
PAIRS = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)
"""Items 0 and 1 are the same, 2 and 3, 4 and 5."""
FALLING = np.arange(6, 0, -1, dtype=np.float32)


def slate(
    contents: NDArray[np.float32] = PAIRS,
    providers: Any = NOBODY,
    *,
    worth: NDArray[np.float32] = FALLING,
    slots: int = 6,
    diversity: float = 0.0,
    limit: int | None = None,
    epsilon: float = 0.0,
    support: int = 50,
    seed: int = 0,
) -> tuple[list[Slot], dict[str, list[int]]]:
    above = Above(diversity, limit, contents, np.asarray(providers))
    row = Diverse(above, np.arange(len(worth)), worth, slots)
    return fill(row, slots, epsilon=epsilon, support=support, rng=random.Random(seed)), row.given_up()


def items(found: tuple[list[Slot], dict[str, list[int]]]) -> list[int]:
    return [slot.candidate for slot in found[0]]


def test_without_diversity_the_scores_decide() -> None:
    assert items(slate()) == [0, 1, 2, 3, 4, 5]


def test_what_is_the_same_comes_after_what_is_new() -> None:
    found = slate(diversity=0.7, slots=3)
    assert items(found) == [0, 2, 4]
    assert found[1] == {"provider_limit": [], "diversity": [1]}  # 3 and 5 would not have been among the best three


def test_a_little_diversity_needs_a_close_race() -> None:
    """z of 6 .. 1 falls by .5855 a place, and one that is new gains ln 100 = 4.605 on its twin: t > 0.5855 / 5.19."""
    step = 1 / np.std([6, 5, 4, 3, 2, 1])
    turn = step / (step - np.log(LEAST_NEW))
    assert items(slate(diversity=turn - 0.01, slots=2)) == [0, 1]
    assert items(slate(diversity=turn + 0.01, slots=2)) == [0, 2]


def test_each_step_maximises_the_determinant() -> None:
    """With diversity alone the next item is the one with which the kernel of cosines has the largest determinant."""
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(30, 12)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    worth = -np.arange(30, dtype=np.float32)
    found = items(slate(vectors, np.full(30, -1), worth=worth, diversity=1.0, slots=8))
    kernel = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    for length in range(1, 8):
        above = found[:length]
        volume = {i: np.linalg.det(kernel[np.ix_([*above, i], [*above, i])]) for i in range(30) if i not in above}
        assert found[length] == max(volume, key=lambda i: volume[i])


@pytest.mark.parametrize("contents", [np.zeros((6, 0)), np.zeros((6, 4)), np.ones((6, 1))])
@pytest.mark.parametrize("diversity", [0.3, 1.0])
def test_nothing_known_or_all_the_same_keeps_the_order(contents: NDArray[np.float64], diversity: float) -> None:
    assert items(slate(contents.astype(np.float32), diversity=diversity)) == [0, 1, 2, 3, 4, 5]


def test_an_item_of_which_nothing_is_known_neither_gains_nor_loses() -> None:
    """With 0 above, 2 is the same again and 3 is new; 1, of which nothing is known, keeps to its score between them."""
    contents = np.array([[1, 0], [0, 0], [1, 0], [0, 1]], dtype=np.float32)
    worth = np.array([4, 3, 2.9, 2.8], dtype=np.float32)
    assert items(slate(contents, np.full(4, -1), worth=worth, diversity=0.5)) == [0, 3, 1, 2]


def test_scores_that_are_no_numbers_come_last() -> None:
    worth = np.array([np.inf, 2, 1, np.nan], dtype=np.float32)
    assert standardised(worth).tolist() == pytest.approx([-0.577350, 1.732051, -0.577350, -0.577350], abs=1e-5)
    assert standardised(np.full(3, np.nan)).tolist() == [0, 0, 0]
    assert standardised(np.full(3, 1e30)).tolist() == [0, 0, 0]
    assert standardised(np.array([])).tolist() == []


def test_one_candidate_and_none() -> None:
    one = np.ones(1, dtype=np.float32)
    assert slate(PAIRS, worth=one, diversity=0.5, limit=1)[0] == [Slot(0, 1.0, False)]
    assert slate(PAIRS, worth=one[:0], diversity=0.5, limit=1) == ([], {"provider_limit": [], "diversity": []})


def test_a_provider_stops_at_its_limit_and_what_it_lost_is_named() -> None:
    found = slate(providers=[7, 7, 7, 1, 7, -1], limit=2, slots=4)
    assert items(found) == [0, 1, 3, 5]
    assert found[1] == {"provider_limit": [2], "diversity": []}


def test_the_limit_yields_by_as_little_as_fills_the_slate() -> None:
    assert items(slate(providers=np.zeros(6, dtype=int), limit=1)) == [0, 1, 2, 3, 4, 5]
    assert items(slate(providers=[0, 0, 0, 0, 1, 1], limit=1)) == [0, 4, 1, 5, 2, 3]


def test_items_without_provider_are_not_limited() -> None:
    assert items(slate(limit=1)) == [0, 1, 2, 3, 4, 5]


def test_rows_share_what_stands_above() -> None:
    above = Above(0.7, 1, PAIRS, np.array([0, 1, 2, 3, 4, 0]))
    fill(Diverse(above, np.array([0]), FALLING[:1], 1), 1, epsilon=0, support=9, rng=random.Random(0))
    second = Diverse(above, np.array([1, 5, 2]), FALLING[1:4], 1)
    assert fill(second, 1, epsilon=0, support=9, rng=random.Random(0))[0].candidate == 2  # 1 is like 0, 5 is of its provider
    assert second.given_up() == {"provider_limit": [], "diversity": [1]}


def test_beyond_the_pool_the_scores_decide() -> None:
    n = POOL + 20
    contents = np.ones((n, 1), dtype=np.float32)
    found = items(slate(contents, np.full(n, -1), worth=-np.arange(n, dtype=np.float32), diversity=0.9, slots=n))
    assert found == list(range(n))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("limit", [None, 2])
def test_every_slot_is_filled_once_whatever_the_policy(seed: int, limit: int | None) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 150))
    contents = rng.normal(size=(n, 5)).astype(np.float32)
    contents /= np.linalg.norm(contents, axis=1, keepdims=True)
    options: Any = {"diversity": rng.random(), "limit": limit, "epsilon": 0.5, "support": 130, "seed": seed}
    found = slate(contents, rng.integers(-1, 3, size=n), worth=-np.arange(n, dtype=np.float32), slots=12, **options)
    assert len(set(items(found))) == min(12, n)
    assert all(0 < slot.propensity <= 1 for slot in found[0])
    assert not set(items(found)) & {index for indices in found[1].values() for index in indices}


def test_propensities_are_the_frequencies_with_diversity_and_a_limit() -> None:
    """The first slot: 0 is greedy. The second, with 0 above: 1 is its twin and 2 of its provider, so 4 is greedy of 1, 3, 4."""
    options: Any = {"diversity": 0.7, "limit": 1, "epsilon": 0.4, "support": 3, "slots": 2}
    drawn = [slate(providers=[5, 1, 5, 5, 2, 3], seed=seed, **options)[0] for seed in range(8_000)]
    first = Counter(slots[0].candidate for slots in drawn)
    second = Counter(slots[1].candidate for slots in drawn if slots[0].candidate == 0)
    each = 0.4 / 3
    said = {slots[1].candidate: slots[1].propensity for slots in drawn if slots[0].candidate == 0}
    assert said == pytest.approx({4: 0.6 + each, 1: each, 5: each})
    for seen, chances in ((first, {0: 0.6 + each, 1: each, 2: each}), (second, said)):
        assert seen.keys() == chances.keys()
        total = sum(seen.values())
        assert chisquare([seen[i] for i in chances], [chances[i] * total for i in chances]).pvalue > 0.001


def test_a_greedy_item_outside_the_support_is_the_coins_never() -> None:
    """Support 1 is item 1 once 0 stands above; greedy is 2."""
    slots, _ = slate(diversity=0.7, epsilon=0.25, support=1, slots=2, seed=1)
    assert [(slot.candidate, slot.propensity) for slot in slots] == [(0, 1.0), (2, 0.75)]
