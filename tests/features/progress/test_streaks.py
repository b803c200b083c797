"""Streaks: a week counts when a skill that was due was refreshed; leave, weekends and quiet weeks break nothing."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import Item
from features.duties import Leave
from features.events import Event, Verb
from features.progress.streaks import Calendar, Streak, streak
from features.skills import explain

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
ITEMS = {
    "excel": Item(id="excel", title="Tables", skills={"sheets": 4}),
    "other": Item(id="other", title="Words", skills={"words": 4}),
}
EXPECTS = {"sheets": 2.0, "words": 2.0}
"""Half of what the items teach: it falls after one half-life, a year for a completion."""
WORK = Calendar(UTC, lambda day: day.weekday() < 5)


def did(verb: Verb, thing: str, days_ago: float, **more: Any) -> Event:
    at = NOW - days_ago * DAY
    fields = {"tenant": "demo", "event_id": f"{verb}-{thing}-{days_ago}", "learner_id": "ann", "verb": verb, "object_id": thing}
    return Event.model_validate({**fields, "occurred_at": at, "recorded_at": at, **more})


def seen(*events: Event, calendar: Calendar = WORK) -> Streak:
    known = explain(events, ITEMS, NOW)
    return streak({skill: why for skill, (_, why) in known.items()}, events, ITEMS, NOW, {}, EXPECTS, calendar)


def weeks(*events: Event, calendar: Calendar = WORK) -> tuple[int, int]:
    found = seen(*events, calendar=calendar)
    return found.weeks, found.longest


def test_a_due_skill_that_is_refreshed_keeps_its_week() -> None:
    learned, passed = did(Verb.COMPLETED, "excel", 400), did(Verb.PASSED, "excel", 35)  # it fell 35 days ago
    found = seen(learned, passed)
    assert (found.weeks, found.longest, found.broken_at, found.due) == (1, 1, None, ())
    (kept,) = found.kept
    assert (kept.skill, kept.event, kept.week) == ("sheets", passed, date(2026, 4, 27))


def test_what_was_not_due_and_what_is_no_retrieval_keep_no_week() -> None:
    learned = did(Verb.COMPLETED, "excel", 400)
    assert weeks(learned, did(Verb.PASSED, "excel", 200)) == (0, 0)
    assert weeks(learned, did(Verb.COMPLETED, "excel", 35)) == (0, 0)
    assert weeks(learned, did(Verb.PASSED, "excel", 35, backfill=True, recorded_at=NOW)) == (0, 0)
    imported = learned.model_copy(update={"backfill": True, "recorded_at": NOW})
    assert weeks(imported, did(Verb.PASSED, "excel", 35)) == (0, 0)


def test_a_skill_that_is_let_go_ends_the_streak() -> None:
    kept = did(Verb.COMPLETED, "excel", 400), did(Verb.PASSED, "excel", 35)
    lost = did(Verb.COMPLETED, "other", 365 + 20)  # it fell 20 days ago
    found = seen(*kept, lost)
    assert (found.weeks, found.longest) == (0, 1)
    assert found.broken_at is not None
    assert found.broken_at.date() == date(2026, 5, 26)
    assert weeks(*kept, did(Verb.COMPLETED, "other", 365 + 10)) == (1, 1)  # there is time left
    late = did(Verb.PASSED, "other", 1)
    assert weeks(*kept, lost, late) == (0, 1)


def test_two_skills_in_one_week_are_one_week() -> None:
    learned = did(Verb.COMPLETED, "excel", 400), did(Verb.COMPLETED, "other", 400)
    assert weeks(*learned, did(Verb.PASSED, "excel", 35), did(Verb.PASSED, "other", 34)) == (1, 1)
    assert weeks(*learned, did(Verb.PASSED, "excel", 35), did(Verb.PASSED, "other", 25)) == (2, 2)


def test_leave_weekends_and_holidays_do_not_break_it() -> None:
    lost = did(Verb.COMPLETED, "other", 365 + 20)
    away = Calendar(UTC, WORK.works, [Leave(NOW - 25 * DAY, NOW - 15 * DAY)])
    found = seen(lost, calendar=away)
    assert (found.broken_at, [one.until for one in found.due]) == (None, [NOW + 4 * DAY])
    assert seen(lost, calendar=Calendar(UTC, WORK.works, [Leave(NOW - 25 * DAY, None)])).broken_at is None
    ends_on_saturday = did(Verb.COMPLETED, "other", 365 + 16)  # its time is up on 30 May
    (due,) = seen(ends_on_saturday).due
    assert due.until == datetime(2026, 6, 2, tzinfo=UTC)
    assert seen(ends_on_saturday, calendar=Calendar(UTC, lambda _: True)).broken_at is not None
    (there,) = seen(ends_on_saturday, calendar=Calendar(ZoneInfo("America/Lima"), WORK.works)).due
    assert there.until == datetime(2026, 6, 2, 5, tzinfo=UTC)


def test_what_is_due_now_is_said() -> None:
    (due,) = seen(did(Verb.COMPLETED, "excel", 360)).due
    assert (due.skill, due.falls) == ("sheets", NOW + 5 * DAY)
    assert seen(did(Verb.COMPLETED, "excel", 350)).due == ()
    assert seen(did(Verb.COMPLETED, "excel", 360, backfill=True, recorded_at=NOW)).due == ()


def test_a_failure_is_no_refreshing_and_the_skill_stays_due() -> None:
    learned, failed = did(Verb.COMPLETED, "excel", 360), did(Verb.FAILED, "excel", 2)
    found = seen(learned, failed)
    assert (found.weeks, [one.skill for one in found.due]) == (0, ["sheets"])


@given(
    st.lists(
        st.builds(
            did,
            st.sampled_from([Verb.COMPLETED, Verb.PASSED, Verb.FAILED, Verb.STARTED]),
            st.sampled_from([*ITEMS]),
            st.integers(0, 1_500),
        ),
        max_size=10,
        unique_by=lambda event: event.event_id,
    ),
    st.data(),
)
def test_the_order_of_arrival_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    assert seen(*data.draw(st.permutations([*events, *events]))) == seen(*events)
