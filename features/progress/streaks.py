"""Streaks of retrieval: weeks in which a skill was refreshed just when it was about to be forgotten.

A week counts once, by a retrieval (passed, rightly answered, used) of a skill that was due. A streak ends when a skill that
was due is let go. A week with nothing due neither counts nor breaks it; leave stands still, and on a day that is no working
day nothing ends.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import groupby
from typing import Final

from features.catalogue import Item
from features.duties import Leave, put_off
from features.events import Event, Verb
from features.forgetting import KINDS
from features.progress.falls import KEPT, Falls
from features.progress.points import Behind, week_of
from features.proposals import Proposals
from features.skills import Contribution, fades_below, failures

FADING: Final = timedelta(days=14)
"""How long before and after a level falls below what is wanted it is time to refresh it."""
_AHEAD: Final = 366
"""Days for which the next working day is looked for."""


@dataclass(frozen=True)
class Falling:
    """That a skill falls below the level that is wanted, when, and what showed it last."""

    falls: datetime
    wanted: float
    shown_by: Contribution


@dataclass(frozen=True)
class Calendar:
    """Days of the learner: where they are, whether a day is one of work, and when they were on leave."""

    zone: tzinfo
    works: Callable[[date], bool]
    leaves: Sequence[Leave] = ()


@dataclass(frozen=True)
class Kept:
    """A skill that was due and refreshed, by which event."""

    skill: str
    event: Event
    week: date


@dataclass(frozen=True)
class Due:
    """A skill that is due now: when it falls, and until when it can be refreshed without breaking the streak."""

    skill: str
    falls: datetime
    until: datetime


@dataclass(frozen=True)
class Streak:
    """`weeks`: kept since a due skill was last let go (`broken_at`); `longest` ever. `kept`: the last first; `due`: now."""

    weeks: int
    longest: int
    broken_at: datetime | None
    kept: tuple[Kept, ...]
    due: tuple[Due, ...]


def falling(why: Iterable[Contribution], expected: float | None) -> Falling | None:
    """When a skill falls below what the role expects, or where it expects nothing a good part of what was shown.

    None where it never does, and where only what an import marked `backfill` brought carries it.
    """
    why = list(why)
    wanted = expected or KEPT * max((one.shown for one in why), default=0.0)
    falls = fades_below(why, wanted)
    if falls is None:
        return None
    lasting = (one for one in why if not one.event.backfill and fades_below([one], wanted) == falls)
    last = next(lasting, None)
    return None if last is None else Falling(falls, wanted, last)


def streak(
    behind: Behind,
    events: Sequence[Event],
    items: Mapping[str, Item],
    at: datetime,
    proposals: Proposals,
    expects: Mapping[str, float],
    calendar: Calendar,
) -> Streak:
    """The streak at `at`. `behind`: what `explain` says of the events, which are those of one learner."""
    failed = failures(events, items, at, proposals)
    kept: list[Kept] = []
    let_go: list[datetime] = []
    due: list[Due] = []
    for skill, why in behind.items():
        evidence, expected = _in_order(why), expects.get(skill)
        if not evidence:
            continue
        lasts = _Lasts(evidence, failed.get(skill, ()), expected)
        for group in _by_day(evidence):
            day = [one.event for one in group]
            before = lasts.before(day[0].occurred_at)
            if before is not None and (end := _end(before, calendar, at)) < day[0].occurred_at:
                let_go.append(end)
            elif before is not None:
                done = next((one for one in day if _retrieves(one) and one.occurred_at >= before - FADING), None)
                kept += [] if done is None else [Kept(skill, done, week_of(done.occurred_at, calendar.zone))]
            lasts.add(group)
        now = lasts.before(at)
        if now is not None and (end := _end(now, calendar, at)) < at:
            let_go.append(end)
        elif now is not None and now - FADING <= at:
            due.append(Due(skill, now, end))
    return _told(kept, let_go, due)


class _Lasts:
    """When a skill falls, by the events so far. It is worked out only where somebody comes near that time.

    More evidence never lowers a level, so an earlier answer is a lower bound, but for a failure, which shortens half-lives,
    and for a higher level shown, where what is wanted is a part of it.
    """

    def __init__(self, evidence: Sequence[Contribution], failed: Sequence[datetime], expected: float | None) -> None:
        self._falls, self._failed, self._fixed = Falls(evidence, failed, expected), failed, bool(expected)
        self._pieces, self._best, self._last = 0, 0.0, evidence[0].event.occurred_at
        self._bound: datetime | None = None
        self._exact = True

    def before(self, moment: datetime) -> datetime | None:
        """By the events added so far; of a skill that is not due at `moment` a lower bound is enough."""
        if not self._exact and (self._bound is None or moment >= self._bound - FADING):
            self._bound, self._exact = self._falls.after(self._pieces), True
        return self._bound

    def add(self, day: Sequence[Contribution]) -> None:
        since, self._last = self._last, day[-1].event.occurred_at
        self._pieces += len(day)
        best = max(self._best, *(one.shown for one in day))
        failed = bisect_left(self._failed, since) < bisect_right(self._failed, self._last)
        if failed or (best > self._best and not self._fixed):
            self._bound = None
        self._best, self._exact = best, False


def _told(kept: list[Kept], let_go: list[datetime], due: list[Due]) -> Streak:
    kept.sort(key=lambda one: (one.event.occurred_at, one.event.event_id, one.skill))
    let_go.sort()
    runs = [0] * (len(let_go) + 1)
    seen: set[date] = set()
    for one in kept:
        if one.week not in seen:
            seen.add(one.week)
            runs[sum(moment < one.event.occurred_at for moment in let_go)] += 1
    return Streak(
        weeks=runs[-1],
        longest=max(runs),
        broken_at=let_go[-1] if let_go else None,
        kept=tuple(kept[::-1]),
        due=tuple(sorted(due, key=lambda one: (one.falls, one.skill))),
    )


def _in_order(why: Iterable[Contribution]) -> list[Contribution]:
    """What stands behind a skill, in order of time."""
    telling = (one for one in why if one.event.verb is not Verb.FAILED)
    return sorted(telling, key=lambda one: (one.event.occurred_at, one.event.event_id))


def _by_day(evidence: Iterable[Contribution]) -> Iterator[list[Contribution]]:
    """A list for each day (UTC) on which something happened."""
    for _, group in groupby(evidence, key=lambda one: one.event.occurred_at.date()):
        yield list(group)


def _retrieves(event: Event) -> bool:
    return not event.backfill and KINDS[event.verb].retrieval


def _end(falls: datetime, calendar: Calendar, at: datetime) -> datetime:
    """Until when a skill that falls can be refreshed: later by the time on leave, and never on a day without work."""
    end = put_off(falls + FADING, calendar.leaves, since=falls - FADING, at=at)
    day = end.astimezone(calendar.zone).date()
    if calendar.works(day):
        return end
    for ahead in range(1, _AHEAD):
        if calendar.works(day + timedelta(days=ahead)):
            return datetime.combine(day + timedelta(days=ahead + 1), time(0), calendar.zone).astimezone(end.tzinfo)
    return end
