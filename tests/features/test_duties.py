"""Days on leave do not count."""

from datetime import UTC, datetime

import pytest

from features.catalogue import Assignment
from features.duties import Duty, Leave, due, paused


def day(n: int) -> datetime:
    return datetime(2026, 1, n, tzinfo=UTC)


def duty(until: int | None = 10, *, since: int = 1, pause: bool = True) -> Duty:
    end = None if until is None else day(until)
    return Duty(Assignment(id="d", item_id="i", audience="all", due_at=end, pause_on_leave=pause), day(since))


def away(since: int, until: int | None) -> Leave:
    return Leave(day(since), None if until is None else day(until))


@pytest.mark.parametrize(
    ("leaves", "at", "wanted"),
    [
        ([], 20, 10),
        ([away(3, 5)], 20, 12),
        ([away(3, 5), away(6, 7)], 20, 13),
        ([away(6, 7), away(3, 5)], 20, 13),  # in any order
        ([away(8, 12)], 20, 14),  # longer than the end
        ([away(3, 5), away(11, 12)], 20, 13),  # in the time that was added
        ([away(10, 12)], 20, 10),  # it was due when they went
        ([away(15, 18)], 20, 10),
        ([away(3, None)], 9, 16),  # still away: it moves on
        ([away(3, 5)], 4, 11),  # as it looked when they were away
        ([away(3, 5)], 3, 10),
    ],
)
def test_the_end_moves_by_the_time_away(leaves: list[Leave], at: int, wanted: int) -> None:
    assert due(duty(), leaves, day(at)) == day(wanted)


def test_leave_before_the_duty_stood_does_not_count() -> None:
    assert due(duty(since=4), [away(1, 3)], day(20)) == day(10)
    assert due(duty(since=4), [away(1, 6)], day(20)) == day(12)


def test_what_does_not_pause_or_has_no_end_stays() -> None:
    assert due(duty(pause=False), [away(3, 5)], day(20)) == day(10)
    assert due(duty(None), [away(3, 5)], day(20)) is None
    assert [paused(one, [away(3, None)], day(4)) for one in (duty(), duty(pause=False), duty(None))] == [True, False, False]


def test_time_stands_still_while_away_from_what_was_not_due_before() -> None:
    assert [paused(duty(), [away(3, 5)], day(at)) for at in (2, 3, 4, 5)] == [False, True, True, False]
    assert not paused(duty(), [away(10, None)], day(12))
