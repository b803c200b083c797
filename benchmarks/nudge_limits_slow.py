"""A second reading of the limits of docs/nudges.md, written to be checked against: it shares no code with the first one.

Local time is the C library's, which reads the zones by itself; the hash of the holdout is written again from its description.
"""

import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from features.catalogue import Learner
from features.nudges import NudgeChoice
from serving.nudging.settings import NudgeSettings, WorkCalendar

ZONES = Path("/usr/share/zoneinfo")
DAY_S = 24 * 60 * 60
_SET = [""]


def forbidden(
    settings: NudgeSettings,
    tenant: str,
    learner: Learner | None,
    at: datetime,
    choices: Sequence[NudgeChoice],
    said: Sequence[datetime],
) -> str | None:
    """The name of the first limit that forbids to speak; None where none does."""
    if settings.killed or tenant in settings.killed_tenants:
        return "killed"
    if learner is not None:
        inside = [s for s in learner.spells if at >= s.since and not (s.until is not None and at >= s.until)]
        if learner.status == "ended" or (len(learner.spells) > 0 and len(inside) == 0):
            return "ended"
        if learner.status == "leave":
            return "on_leave"
    kinds = [one.choice.value for one in choices]
    resumed = max((n for n, kind in enumerate(kinds) if kind == "resume"), default=-1)
    if "stop" in kinds[resumed + 1 :]:
        return "stopped"
    snoozes = [one.until for one in choices[resumed + 1 :] if one.choice.value == "snooze"]
    if snoozes and snoozes[-1] is not None and snoozes[-1].timestamp() > at.timestamp():
        return "snoozed"
    if learner is None or not (ZONES / learner.timezone).is_file():
        return "unknown_zone"
    calendars = {None: settings.calendar, **settings.calendars}
    if learner.work_calendar not in calendars:
        return "unknown_calendar"
    silent = _silent(calendars[learner.work_calendar], _there(learner.timezone, at))
    if silent is not None:
        return silent
    if len([moment for moment in said if (at - moment).total_seconds() < 7 * DAY_S]) >= settings.weekly_budget:
        return "weekly_budget"
    apart = settings.least_hours_between * 3_600
    if apart > 0 and min((at.timestamp() - moment.timestamp() for moment in said), default=apart) < apart:
        return "too_soon"
    place = _fnv(str(_fnv(f"{settings.holdout_seed}/{tenant}/{learner.id}"))) % 10_000
    return "holdout" if place < round(settings.holdout * 10_000) else None


def _there(zone: str, at: datetime) -> time.struct_time:
    if _SET[0] != zone:
        os.environ["TZ"] = _SET[0] = zone
        time.tzset()
    return time.localtime(int(at.timestamp() // 1))


def _silent(calendar: WorkCalendar, there: time.struct_time) -> str | None:
    names = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    today = f"{there.tm_year:04}-{there.tm_mon:02}-{there.tm_mday:02}"
    if names[there.tm_wday] not in calendar.days or today in [day.isoformat() for day in calendar.holidays]:
        return "not_working"
    seconds = there.tm_hour * 3_600 + there.tm_min * 60 + there.tm_sec
    begin, end = (one.hour * 3_600 + one.minute * 60 for one in (calendar.quiet_from, calendar.quiet_until))
    return "quiet_hours" if (seconds - begin) % DAY_S < (end - begin) % DAY_S else None


def _fnv(text: str) -> int:
    found = 2_166_136_261
    for byte in text.encode("utf-8"):
        found = (found ^ byte) * 16_777_619 % 2**32
    return found
