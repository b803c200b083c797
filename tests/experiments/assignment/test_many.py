"""Many units at once fall into the buckets that each of them falls into alone."""

from experiments.assignment import bucket
from experiments.assignment.many import letters, places

UNITS = ["a", "b", "0", "1234567890", "ü-ñ", "", *(str(7**n) for n in range(300))]


def test_the_same_buckets_as_one_by_one() -> None:
    for seed in ("seed", "acme/bolder/", "é", ""):
        assert list(places(seed, *letters(UNITS))) == [round(bucket(seed, unit) * 10_000) for unit in UNITS]


def test_nobody_falls_nowhere() -> None:
    assert list(places("seed", *letters([]))) == []
