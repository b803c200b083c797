"""Shares that change move as few units as they can, and shares that are changed back move everybody back."""

import pytest

from experiments.assignment.ranges import overlap, reallotted, width, within


def test_ranges_are_half_open() -> None:
    assert [within(place, [(2, 4), (6, 7)]) for place in range(1, 8)] == [False, True, True, False, False, True, False]


def test_arms_stand_side_by_side_at_first() -> None:
    assert reallotted({}, {"a": 3_000, "b": 7_000}) == {"a": ((0, 3_000),), "b": ((3_000, 10_000),)}


def test_only_what_must_move_moves_and_all_of_it_moves_back() -> None:
    before = reallotted({}, {"a": 5_000, "b": 2_500, "c": 2_500})
    paused = reallotted(before, {"a": 6_000, "b": 4_000, "c": 0})
    assert {name: overlap(before[name], paused[name]) for name in before} == {"a": 5_000, "b": 2_500, "c": 0}
    assert sum(map(width, paused.values())) == 10_000
    assert reallotted(paused, {"a": 5_000, "b": 2_500, "c": 2_500}) == before


def test_growing_takes_what_is_free_and_not_what_others_have() -> None:
    more = reallotted({"x": ((0, 1_000),)}, {"x": 3_000}, taken=((1_000, 2_000), (500, 600)))
    assert width(more["x"]) == 3_000
    assert overlap(more["x"], ((1_000, 2_000), (500, 600))) == 0
    assert overlap(more["x"], ((0, 1_000),)) == 900  # what is taken by now is given up
    with pytest.raises(ValueError, match=r"0.9 more is wanted and 0.8 is free"):
        reallotted({}, {"x": 9_000}, taken=((0, 2_000),))
