"""The limits that no policy crosses and no deadline opens: a pure function of what is known at a moment.

Where it is unsure whether it may speak (a time zone or a work calendar that nobody knows), it does not, and says why.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from heapq import merge
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from experiments.assignment import units
from features.catalogue import Learner
from features.nudges import Choice, Limit, NudgeChoice
from serving.nudging.settings import NudgeSettings, WorkCalendar

WEEK: Final = timedelta(days=7)
_AHEAD: Final = 60
"""Days for which the next moment is looked for."""
_ENDING: Final = frozenset({Limit.SNOOZED, Limit.WEEKLY_BUDGET, Limit.TOO_SOON, Limit.NOT_WORKING, Limit.QUIET_HOURS})
"""Limits whose end can be told beforehand."""


@dataclass(frozen=True)
class Situation:
    """One learner at one moment. `learner`: None when the catalogue does not know them. `choices`: in the order of choosing.

    `sent`: when something was said to them on whatever channel.
    """

    tenant: str
    learner_id: str
    at: datetime
    learner: Learner | None
    choices: Sequence[NudgeChoice] = ()
    sent: Sequence[datetime] = ()


class Chosen(NamedTuple):
    """What a learner's choices come to: whether they stopped nudges, and until when they snoozed them."""

    stopped: bool
    until: datetime | None


def limit(settings: NudgeSettings, situation: Situation) -> Limit | None:
    """The first limit that withholds a nudge; None where one may be said.

    The holdout comes last: who is in it is told apart only where the others would have been spoken to.
    """
    return (
        _for_good(settings, situation)
        or _by_choice(situation)
        or _by_the_clock(settings, situation)
        or (Limit.WEEKLY_BUDGET if spent(settings, situation) else None)
        or (Limit.TOO_SOON if too_soon(settings, situation) else None)
        or (Limit.HOLDOUT if held_out(settings, situation) else None)
    )


def next_allowed(settings: NudgeSettings, situation: Situation) -> datetime | None:
    """The next moment at which no limit withholds, if nothing else happens.

    None where that cannot be told, where nothing withholds now, or where it is further away than 60 days.
    """
    if limit(settings, situation) not in _ENDING:
        return None
    for moment in merge(_openings(settings, situation), _ends(settings, situation)):
        found = limit(settings, replace(situation, at=moment))
        if found not in _ENDING:
            return moment if found is None else None
    return None


def spent(settings: NudgeSettings, situation: Situation) -> bool:
    """Whether the budget of the last seven days is used up; what a clock ahead of ours sent counts as well."""
    return sum(moment > situation.at - WEEK for moment in situation.sent) >= settings.weekly_budget


def too_soon(settings: NudgeSettings, situation: Situation) -> bool:
    """Whether the last nudge is not long enough ago; one that a clock ahead of ours sent is not either."""
    apart = _apart(settings)
    return bool(apart) and any(moment > situation.at - apart for moment in situation.sent)


def _apart(settings: NudgeSettings) -> timedelta:
    return timedelta(hours=settings.least_hours_between)


def held_out(settings: NudgeSettings, situation: Situation) -> bool:
    """Whether the learner is among those who never get a nudge: the same by whichever name they are asked for."""
    who = situation.learner_id, situation.learner
    return units.held_out(settings.holdout_seed, settings.holdout, situation.tenant, *who)


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name, None for what is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
        return None


def _for_good(settings: NudgeSettings, situation: Situation) -> Limit | None:
    learner, at = situation.learner, situation.at
    if settings.killed or situation.tenant in settings.killed_tenants:
        return Limit.KILLED
    if learner is None:
        return None
    here = any(spell.since <= at and (spell.until is None or at < spell.until) for spell in learner.spells)
    if learner.status == "ended" or (learner.spells and not here):
        return Limit.ENDED
    return Limit.ON_LEAVE if learner.status == "leave" else None


def chosen(choices: Sequence[NudgeChoice]) -> Chosen:
    """What holds of choices in the order of choosing. A resume ends both; a snooze does not end a stop."""
    stopped, until = False, None
    for one in choices:
        stopped = one.choice is Choice.STOP or (stopped and one.choice is not Choice.RESUME)
        until = one.until if one.choice is Choice.SNOOZE else None if one.choice is Choice.RESUME else until
    return Chosen(stopped, until)


def _by_choice(situation: Situation) -> Limit | None:
    stopped, until = chosen(situation.choices)
    if stopped:
        return Limit.STOPPED
    return Limit.SNOOZED if until is not None and situation.at < until else None


def _by_the_clock(settings: NudgeSettings, situation: Situation) -> Limit | None:
    learner = situation.learner
    zone = None if learner is None else zone_of(learner.timezone)
    if zone is None:
        return Limit.UNKNOWN_ZONE
    calendar = _calendar(settings, learner)
    if calendar is None:
        return Limit.UNKNOWN_CALENDAR
    there = situation.at.astimezone(zone)
    if not calendar.works(there.date()):
        return Limit.NOT_WORKING
    return Limit.QUIET_HOURS if calendar.quiet(there.time()) else None


def _calendar(settings: NudgeSettings, learner: Learner | None) -> WorkCalendar | None:
    if learner is None or learner.work_calendar is None:
        return settings.calendar
    return settings.calendars.get(learner.work_calendar)


def _openings(settings: NudgeSettings, situation: Situation) -> Iterator[datetime]:
    """The moments at which a working day or the end of the quiet hours begins there, in order."""
    zone = zone_of("UTC" if situation.learner is None else situation.learner.timezone)
    calendar = _calendar(settings, situation.learner)
    if zone is None or calendar is None:
        return
    today: date = situation.at.astimezone(zone).date()
    for ahead in range(_AHEAD):
        for clock in (time(0), calendar.quiet_until):
            moment = datetime.combine(today + timedelta(days=ahead), clock, zone).astimezone(UTC)
            if moment > situation.at:
                yield moment


def _ends(settings: NudgeSettings, situation: Situation) -> list[datetime]:
    """The moments at which a snooze ends, a nudge leaves the last seven days or is long enough ago, in order."""
    ends = [one.until for one in situation.choices if one.until is not None]
    ends += [sent + after for sent in situation.sent for after in (WEEK, _apart(settings))]
    return sorted(moment for moment in ends if moment > situation.at)
