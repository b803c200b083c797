import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.interactions import NAT, Histories
from training.models.windows import FIRST_GAP, N_GAPS, UNKNOWN_GAP, gaps, newest, pairs

START = np.datetime64("2024-01-01T00:00:00", "us")


def timed(*rows: list[int]) -> Histories:
    """Histories whose take-ups stand at these minutes after the start; a negative minute is no time."""
    at = [[NAT if minute < 0 else START + minute * np.timedelta64(1, "m") for minute in row] for row in rows]
    return Histories.of([list(range(len(row))) for row in rows], 20, at=at)


def test_gaps_double_by_bucket_and_know_the_first_of_each_history() -> None:
    assert gaps(timed([0, 0, 1, 3, 7, 15], [100, 101])).tolist() == [1, 2, 3, 4, 5, 6, 1, 3]


def test_a_missing_time_has_a_bucket_of_its_own_on_both_sides() -> None:
    assert gaps(timed([0, -1, 1, 2], [-1, 3])).tolist() == [FIRST_GAP, UNKNOWN_GAP, UNKNOWN_GAP, 3, UNKNOWN_GAP, UNKNOWN_GAP]


def test_times_can_be_left_out_and_decades_have_a_last_bucket() -> None:
    long = timed([0, 60 * 24 * 365 * 40])
    assert gaps(long).tolist() == [FIRST_GAP, N_GAPS - 1]
    assert gaps(long, times=False).tolist() == [UNKNOWN_GAP, UNKNOWN_GAP]


def test_a_gap_is_known_when_the_take_up_is() -> None:
    """What comes later changes nothing of what was there."""
    assert gaps(timed([0, 5, 9, 200])).tolist()[:3] == gaps(timed([0, 5, 9])).tolist()


def test_the_newest_entries_are_read_and_keep_the_gap_before_them() -> None:
    found = newest(timed([0, 1, 3, 7], [], [2]), 2, times=True)
    assert found.start.tolist() == [2, 4, 4]
    assert found.length.tolist() == [2, 0, 1]
    assert found.gaps[found.places(np.array([0]))].tolist() == [[4, 5]]


def test_places_are_filled_up_on_the_right() -> None:
    found = newest(timed([0, 1, 2], [0]), 5, times=False)
    both = np.array([0, 1])
    assert found.places(both).tolist() == [[0, 1, 2], [3, 3, 3]]
    assert found.filled(both).tolist() == [[True, True, True], [True, False, False]]


@given(st.lists(st.integers(0, 17), max_size=6), st.integers(1, 5))
def test_every_take_up_after_the_first_is_predicted_once(lengths: list[int], max_length: int) -> None:
    histories = Histories.of([list(range(length)) for length in lengths], 20)
    found = pairs(histories, max_length, times=False)
    inside = [
        place + 1 for start, length in zip(found.start, found.length, strict=True) for place in range(start, start + length)
    ]
    first = set(histories.indptr[:-1][histories.lengths > 0].tolist())
    assert sorted(inside) == [place for place in range(len(histories.items)) if place not in first]
    assert np.all((found.length >= 1) & (found.length <= max_length))
