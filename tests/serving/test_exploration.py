"""The coin: how often each item stands at each slot is what its propensity says."""

import random
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from serving.exploration import ByScore, fill, seed_of


def test_without_a_coin_the_order_is_kept_and_certain() -> None:
    slots = fill(ByScore([7, 3, 5]), 2, epsilon=0.0, support=50, rng=random.Random(1))
    assert [(slot.candidate, slot.propensity, slot.explored) for slot in slots] == [(7, 1.0, False), (3, 1.0, False)]


def test_no_candidate_stands_twice_and_short_supply_ends_the_slate() -> None:
    slots = fill(ByScore([7, 3, 5]), 9, epsilon=0.9, support=2, rng=random.Random(3))
    assert sorted(slot.candidate for slot in slots) == [3, 5, 7]


def test_the_last_remaining_item_is_certain() -> None:
    assert fill(ByScore([4]), 1, epsilon=0.5, support=50, rng=random.Random(0))[0].propensity == pytest.approx(1.0)


def test_the_same_decision_draws_the_same_slate() -> None:
    first, again = (fill(ByScore(range(20)), 5, epsilon=0.5, support=10, rng=random.Random(seed_of("d-1"))) for _ in range(2))
    assert first == again


def test_propensities_worked_by_hand() -> None:
    """e = .4 over a support of 4: greedy .6 + .1, any other .1."""
    seen = {fill(ByScore(range(6)), 1, epsilon=0.4, support=4, rng=random.Random(seed))[0] for seed in range(200)}
    assert {(slot.candidate, round(slot.propensity, 12)) for slot in seen} == {(0, 0.7), (1, 0.1), (2, 0.1), (3, 0.1)}


@pytest.mark.parametrize("epsilon", [0.05, 0.4])
def test_observed_frequencies_of_the_first_two_slots_match_the_propensities(epsilon: float) -> None:
    """Chi-square over 20,000 decisions; the second slot given that the first item stands above it."""
    pairs = [
        tuple(
            slot.candidate
            for slot in fill(ByScore(range(5)), 2, epsilon=epsilon, support=4, rng=random.Random(seed_of(f"d{n}")))
        )
        for n in range(20_000)
    ]
    first = Counter(one for one, _ in pairs)
    second = Counter(two for one, two in pairs if one == 0)
    other = epsilon / 4
    for seen, items in ((first, range(4)), (second, range(1, 5))):
        observed = np.array([seen[item] for item in items])
        expected = np.array([1 - epsilon + other, other, other, other]) * observed.sum()
        assert sum(seen.values()) == observed.sum()
        assert chisquare(observed, expected).pvalue > 0.001
