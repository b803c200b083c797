"""What no nudge crosses: each limit at its edges, by the clock on the learner's wall."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from features.catalogue import Learner, Spell
from features.nudges import Choice, Limit, NudgeChoice
from serving.nudging.limits import Situation, held_out, limit, next_allowed
from serving.nudging.settings import NudgeSettings, WorkCalendar

BERLIN = Learner(id="ann", timezone="Europe/Berlin")
NOON = datetime(2026, 6, 3, 10, tzinfo=UTC)  # a Wednesday, noon in Berlin
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OPEN = NudgeSettings(holdout=0)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def situation(moment: datetime = NOON, learner: Learner | None = BERLIN, **more: Any) -> Situation:
    return Situation("acme", "ann", moment, learner, **more)


def chosen(choice: Choice, moment: datetime, until: datetime | None = None) -> NudgeChoice:
    name = f"{choice}-{moment.isoformat()}"
    return NudgeChoice(action_id=name, learner_id="ann", choice=choice, until=until, occurred_at=moment, recorded_at=moment)


@pytest.mark.parametrize(
    ("moment", "found"),
    [
        ("2027-10-29T06:30Z", None),  # half past eight, in summer time
        ("2027-11-02T06:30Z", Limit.QUIET_HOURS),  # half past seven, four days later
        ("2027-11-02T07:00Z", None),
        ("2027-11-02T16:59:59Z", None),
        ("2027-11-02T17:00Z", Limit.QUIET_HOURS),
        ("2027-10-30T10:00Z", Limit.NOT_WORKING),
    ],
)
def test_quiet_hours_and_days_of_work_follow_the_clock_on_the_wall(moment: str, found: Limit | None) -> None:
    assert limit(OPEN, situation(at(moment))) == found


def test_a_day_begins_where_the_learner_is() -> None:
    auckland = BERLIN.model_copy(update={"timezone": "Pacific/Auckland"})
    assert limit(OPEN, situation(at("2026-06-07T21:00Z"), auckland)) is None  # Monday nine o'clock there
    assert limit(OPEN, situation(at("2026-06-07T21:00Z"))) == Limit.NOT_WORKING


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "Europe", "../etc/passwd", "+02:00"])
def test_who_is_where_nobody_knows_is_not_spoken_to(name: str) -> None:
    assert limit(OPEN, situation(learner=BERLIN.model_copy(update={"timezone": name}))) == Limit.UNKNOWN_ZONE
    assert limit(OPEN, situation(learner=None)) == Limit.UNKNOWN_ZONE


def test_a_work_calendar_is_taken_by_its_name_and_an_unknown_one_withholds() -> None:
    nights = WorkCalendar(days=("saturday",), holidays=(date(2026, 6, 13),), quiet_from=time(8), quiet_until=time(20))
    settings = OPEN.model_copy(update={"calendars": {"nights": nights}})
    who = BERLIN.model_copy(update={"work_calendar": "nights"})
    saturday = at("2026-06-06T20:00Z")
    assert [limit(settings, situation(saturday + n * HOUR, who)) for n in (0, -4)] == [None, Limit.QUIET_HOURS]
    assert limit(settings, situation(saturday + 7 * DAY, who)) == limit(settings, situation(NOON, who)) == Limit.NOT_WORKING
    assert limit(OPEN, situation(NOON, who)) == Limit.UNKNOWN_CALENDAR


def test_who_left_or_is_away_is_not_spoken_to() -> None:
    def said(**more: Any) -> Limit | None:
        return limit(OPEN, situation(learner=BERLIN.model_copy(update=more)))

    assert (said(status="ended"), said(status="leave")) == (Limit.ENDED, Limit.ON_LEAVE)
    assert said(spells=(Spell(since=NOON - DAY, until=NOON),)) == Limit.ENDED
    assert said(spells=(Spell(since=NOON - DAY, until=NOON), Spell(since=NOON))) is None


def test_hours_lie_between_one_nudge_and_the_next() -> None:
    def said(ago: timedelta, hours: float = 4) -> Limit | None:
        return limit(OPEN.model_copy(update={"least_hours_between": hours}), situation(sent=[NOON - 9 * HOUR, NOON - ago]))

    second = timedelta(seconds=1)
    assert [said(ago) for ago in (4 * HOUR, 4 * HOUR - second, -second)] == [None, Limit.TOO_SOON, Limit.TOO_SOON]
    assert [said(timedelta(), hours) for hours in (0, 0.5)] == [None, Limit.TOO_SOON]
    assert NudgeSettings().least_hours_between == 4
    assert next_allowed(OPEN, situation(sent=[NOON - 3 * HOUR])) == NOON + HOUR
    evening = situation(NOON + 5 * HOUR, sent=[NOON + 5 * HOUR])  # at five; at nine it is quiet
    assert next_allowed(OPEN, evening) == at("2026-06-04T06:00Z")
    full = situation(sent=[NOON - DAY, NOON - DAY, NOON])
    assert limit(OPEN, full) == Limit.WEEKLY_BUDGET


def test_the_budget_counts_the_last_seven_days() -> None:
    sent = [NOON - 7 * DAY, NOON - 6 * DAY, NOON - DAY]
    assert limit(OPEN, situation(sent=sent)) is None
    assert limit(OPEN, situation(NOON - HOUR, sent=sent)) == Limit.WEEKLY_BUDGET
    assert limit(OPEN, situation(sent=[*sent[1:], NOON + HOUR])) == Limit.WEEKLY_BUDGET  # by a clock that is ahead
    assert limit(OPEN.model_copy(update={"weekly_budget": 0}), situation()) == Limit.WEEKLY_BUDGET


def test_a_snooze_ends_by_itself_and_a_stop_only_with_a_resume() -> None:
    snooze = chosen(Choice.SNOOZE, NOON - DAY, NOON + HOUR)
    stop, resume = chosen(Choice.STOP, NOON - 2 * HOUR), chosen(Choice.RESUME, NOON - HOUR)
    assert limit(OPEN, situation(choices=[snooze])) == Limit.SNOOZED
    assert limit(OPEN, situation(NOON + HOUR, choices=[snooze])) is None
    assert limit(OPEN, situation(NOON + HOUR, choices=[snooze, stop])) == Limit.STOPPED
    assert limit(OPEN, situation(NOON + 21 * DAY, choices=[stop, snooze])) == Limit.STOPPED
    assert limit(OPEN, situation(choices=[snooze, stop, resume])) is None
    assert limit(OPEN, situation(choices=[resume, stop])) == Limit.STOPPED
    shorter = chosen(Choice.SNOOZE, NOON - HOUR, NOON)
    assert limit(OPEN, situation(choices=[snooze, shorter])) is None


def test_kill_switches_come_first() -> None:
    gone = BERLIN.model_copy(update={"status": "ended"})
    assert limit(OPEN.model_copy(update={"killed": True}), situation(learner=gone)) == Limit.KILLED
    assert limit(OPEN.model_copy(update={"killed_tenants": ("acme",)}), situation()) == Limit.KILLED
    assert limit(OPEN.model_copy(update={"killed_tenants": ("other",)}), situation()) is None


def test_the_holdout_is_a_share_that_stays_and_differs_by_tenant() -> None:
    people = [Learner(id=f"learner-{n}", timezone="Europe/Berlin") for n in range(20_000)]

    def held(tenant: str, days: int = 0, settings: NudgeSettings | None = None) -> set[str]:
        found = settings or NudgeSettings()
        return {one.id for one in people if held_out(found, Situation(tenant, "alias", NOON + days * DAY, one))}

    first = held("acme")
    assert 0.045 <= len(first) / len(people) <= 0.055
    assert first == held("acme", days=400)
    assert len(first & held("other")) < len(first) / 3
    assert held("acme", settings=OPEN) == set()
    assert held("acme", settings=NudgeSettings(holdout_seed="another")) != first
    who = next(one for one in people if one.id in first)
    assert limit(NudgeSettings(), situation(learner=who)) == Limit.HOLDOUT
    assert limit(NudgeSettings(), situation(at("2027-11-02T06:30Z"), learner=who)) == Limit.QUIET_HOURS


def test_the_next_moment_is_told_where_it_is_known() -> None:
    def said(moment: str, **more: Any) -> datetime | None:
        return next_allowed(OPEN, situation(at(moment), **more))

    assert said("2027-11-02T06:30Z") == at("2027-11-02T07:00Z")
    assert said("2027-10-29T16:30Z") == at("2027-11-01T07:00Z")  # Friday evening; an hour later by UTC on Monday
    assert said("2027-10-29T06:30Z") is None
    assert said("2027-11-02T10:00Z", choices=[chosen(Choice.STOP, NOON)]) is None
    until = at("2027-11-03T12:34Z")
    assert said("2027-11-02T10:00Z", choices=[chosen(Choice.SNOOZE, NOON, until)]) == until
    sent = [at("2027-11-01T08:00Z"), at("2027-11-01T09:00Z"), at("2027-11-02T09:00Z")]
    assert said("2027-11-02T10:00Z", sent=sent) == at("2027-11-08T08:00Z")
    held = NudgeSettings(holdout=1)
    assert next_allowed(held, situation(at("2027-11-02T06:30Z"))) is None


@pytest.mark.parametrize(
    "wrong", [{"floor": 0.2}, {"killed_arms": ["nothing"]}, {"calendar": {"quiet_from": "18:00:00+02:00"}}, {"holdout": 2}]
)
def test_settings_that_cannot_be_kept_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        NudgeSettings.model_validate(wrong)
