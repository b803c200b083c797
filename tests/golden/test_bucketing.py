"""Bucketing reproduces the published cases of GrowthBook's SDK, hash version 2 (`cases.json` of its SDK specification)."""

import numpy as np
import pytest

from experiments.assignment import assign, bucket

PUBLISHED = [
    ("seed", "a", 0.0505),
    ("seed", "b", 0.2696),
    ("foo", "ab", 0.2575),
    ("foo", "def", 0.2019),
    ("89123klj", "8952klfjas09ujkasdf", 0.124),
    ("90850943850283058242805", "123", 0.7516),
]


@pytest.mark.parametrize(("seed", "unit", "expected"), PUBLISHED)
def test_published_cases(seed: str, unit: str, expected: float) -> None:
    assert bucket(seed, unit) == expected


def test_parallel_experiments_are_independent() -> None:
    units = [str(n) for n in range(100_000)]
    arms = [[assign(seed, unit, {"a": 0.5, "b": 0.5}) == "a" for unit in units] for seed in ("first", "second")]
    assert abs(np.corrcoef(arms)[0, 1]) < 0.01  # the single hash that it replaces reaches -.079


def test_ranges_are_half_open_and_consecutive() -> None:
    where = bucket("seed", "a")
    assert assign("seed", "a", {"first": where, "second": 1 - where}) == "second"
    assert assign("seed", "a", {"first": where + 1e-4}) == "first"
    assert assign("seed", "a", {"first": where}) is None


def test_shares_above_one_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        assign("seed", "a", {"first": 0.7, "second": 0.7})
