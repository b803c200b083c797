"""The chart: labels stand beside their points, and in nobody's way."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.leaderboard_page import _HEIGHT, _LINE, label_places

POINT = st.tuples(st.sampled_from(["als", "RecTools SASRec sampled"]), st.floats(0.01, 20_000), st.floats(0, 0.95))


@given(st.lists(POINT, max_size=25))
def test_labels_end_somewhere_and_never_above_their_point(points: list[tuple[str, float, float]]) -> None:
    found = label_places(points)
    assert all(at <= height + 1e-9 for (_, _, height), at in zip(points, found, strict=True))


def test_labels_of_one_place_stand_below_each_other() -> None:
    places = sorted(label_places([("a model", 10.0, 0.8)] * 5), reverse=True)
    assert places[0] == 0.8
    assert all((above - below) * _HEIGHT >= _LINE for above, below in itertools.pairwise(places))
    assert label_places([("a", 0.01, 0.5), ("b", 20_000.0, 0.5)]) == [0.5, 0.5]
