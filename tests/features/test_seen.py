"""What was seen before, against a dictionary that remembers everything."""

import random

import pytest

from features.seen import Seen, key


def test_occurrences_are_counted_across_batches_and_within() -> None:
    with Seen() as seen:
        assert seen.occurrences([5, 7]) == [0, 0]
        assert seen.occurrences([7, 9, 9, 7]) == [1, 0, 1, 2]
        assert seen.occurrences([7, 9, 2**62]) == [3, 2, 0]


@pytest.mark.parametrize("cache_kb", [1, 32_768])
def test_it_agrees_with_a_dictionary(cache_kb: int) -> None:
    rng = random.Random(3)
    counts: dict[int, int] = {}
    with Seen(cache_kb) as seen:
        for _ in range(30):
            keys = [key(str(rng.randrange(400))) for _ in range(100)]
            expected = []
            for one in keys:
                expected.append(counts.get(one, 0))
                counts[one] = expected[-1] + 1
            assert seen.occurrences(keys) == expected


def test_the_first_content_of_a_key_counts() -> None:
    with Seen() as seen:
        assert seen.differs([1, 2], [10, 20]) == [False, False]
        assert seen.differs([1, 2, 3, 3, 3], [10, 21, 30, 31, 30]) == [False, True, False, True, False]
        assert seen.differs([2, 3], [20, 31]) == [False, True]


def test_keys_are_the_same_in_every_process() -> None:
    assert key("ann") == 5088345978781694418
    assert key("\ud800") != key("\ud801")
