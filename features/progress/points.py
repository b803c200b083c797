"""Points: pending when something is learned, vested when it is applied. A pure function of what stands behind the skills.

    share = worth of the kind x repeat ^ (times the circle with this voice had gone round)
    points = (applied x share x repeat ^ (times this voice had said it of the skill) + what vests of `learned`) / skills

Of what is learned the strongest evidence within the window vests its share; learning the skill again is worth less, by as
much as vested before. An event is worth the same however many skills it is about. Opens, completions, minutes and clicks
appear nowhere; neither does what an import marked `backfill` brought.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo

from features.events import Event, Verb
from features.progress.applied import Applied, People, applied_by
from features.progress.settings import ProgressSettings
from features.skills import Contribution

Behind = Mapping[str, Sequence[Contribution]]
"""Skill id -> what stands behind it, as `features.skills.explain` says."""


@dataclass(frozen=True)
class Award:
    """Points that one event vested for one skill, and how that came about.

    `learned`: the part that was pending, since `learned_by`. `repeats`: how often the same voice had said it, `given`: how
    often the learner had vouched for that voice, or for a third person who had. `capped`: what the weekly cap took off.
    Without points it says why.
    """

    event: Event
    skill: str
    kind: Applied
    points: float
    learned: float
    learned_by: Event | None
    repeats: int
    given: int
    capped: float = 0.0


@dataclass(frozen=True)
class Pending:
    """Points that wait until `until` for evidence that what an event taught is applied."""

    event: Event
    skill: str
    points: float
    until: datetime


@dataclass(frozen=True)
class Points:
    """All that vested, the last first, and all that is pending, the first to lapse first."""

    total: float
    awards: tuple[Award, ...]
    pending: tuple[Pending, ...]


def points(behind: Behind, settings: ProgressSettings, people: People, at: datetime, zone: tzinfo) -> Points:
    """The points at `at`; weeks begin on Monday in the learner's `zone`."""
    skills_of = Counter(one.event.event_id for each in behind.values() for one in each if _tells(one.event))
    awards: list[Award] = []
    pending: list[Pending] = []
    for skill, each in behind.items():
        account = _Account(skill, settings, people, skills_of)
        live = {one.event.event_id: one.event for one in each if _tells(one.event)}
        awards += account.settled(sorted(live.values(), key=_by_time))
        pending += account.pending(at)
    capped = list(_capped(awards, settings.weekly_cap, zone))
    return Points(
        total=sum(one.points for one in capped),
        awards=tuple(capped[::-1]),
        pending=tuple(sorted(pending, key=lambda one: (one.until, one.skill))),
    )


def week_of(moment: datetime, zone: tzinfo) -> date:
    """The Monday of the week that a moment is in, where the learner is."""
    day = moment.astimezone(zone).date()
    return day - timedelta(days=day.weekday())


def _tells(event: Event) -> bool:
    """Whether points can come of it: a `failed` stands behind a skill too, and what was imported is no news."""
    return not event.backfill and event.verb is not Verb.FAILED


def _by_time(event: Event) -> tuple[datetime, bool, str]:
    return event.occurred_at, event.verb is not Verb.PASSED, event.event_id


@dataclass
class _Learned:
    """What was passed and can vest: its points, when it lapses, and the share of it that has vested."""

    event: Event
    value: float
    until: datetime
    vested: float = 0.0


class _Account:
    """One skill of one learner, taken through its events in order of time."""

    def __init__(self, skill: str, settings: ProgressSettings, people: People, skills_of: Counter[str]) -> None:
        self._skill, self._settings, self._people, self._skills_of = skill, settings, people, skills_of
        self._heard: Counter[str] = Counter()
        self._learned: _Learned | None = None
        self._before = 0.0  # how much of what was learned earlier has vested, in shares

    def settled(self, events: Iterable[Event]) -> Iterator[Award]:
        for event in events:
            kind = applied_by(event, self._people.own)
            if event.verb is Verb.PASSED:
                self._pass(event)
            elif kind is not None:
                yield self._award(event, kind)

    def pending(self, at: datetime) -> Iterator[Pending]:
        one = self._learned
        if one is not None and one.until >= at and one.value * (1 - one.vested) > 0:
            yield Pending(one.event, self._skill, one.value * (1 - one.vested), one.until)

    def _pass(self, event: Event) -> None:
        """Passed again while it is pending, it is pending for longer, and no more of it."""
        until, one = event.occurred_at + timedelta(days=self._settings.window_days), self._learned
        still_open = one is not None and one.vested < 1 and event.occurred_at <= one.until
        if one is not None and not still_open:
            self._before += one.vested
        value = self._settings.learned * self._settings.repeat**self._before / self._skills_of[event.event_id]
        if one is not None and still_open:
            one.event, one.until, one.value = event, until, max(one.value, value)
        else:
            self._learned = _Learned(event, value, until)

    def _award(self, event: Event, kind: Applied) -> Award:
        voice, given = self._people.voice(event), self._people.given_before(event)
        repeats = self._heard[voice]
        self._heard[voice] += 1
        worth: float = getattr(self._settings, kind.value)
        share = self._floored(worth * self._settings.repeat**given)
        learned, learned_by = self._vest(event, share)
        applied = self._settings.applied * self._floored(share * self._settings.repeat**repeats)
        amount = applied / self._skills_of[event.event_id] + learned
        return Award(event, self._skill, kind, amount, learned, learned_by, repeats, given)

    def _floored(self, share: float) -> float:
        return share if share >= self._settings.least else 0.0

    def _vest(self, event: Event, share: float) -> tuple[float, Event | None]:
        """What vests of the learned part, and what it was learned by: as much as this evidence is stronger than any before."""
        one = self._learned
        if one is None or event.occurred_at > one.until or share <= one.vested:
            return 0.0, None
        more, one.vested = share - one.vested, share
        return more * one.value, one.event


def _capped(awards: Iterable[Award], cap: float, zone: tzinfo) -> Iterator[Award]:
    """In order of time; what a week has no room for is lost."""
    spent: dict[date, float] = defaultdict(float)
    for one in sorted(awards, key=lambda award: (award.event.occurred_at, award.event.event_id, award.skill)):
        week = week_of(one.event.occurred_at, zone)
        kept = min(one.points, cap - spent[week])
        spent[week] += kept
        yield replace(one, points=kept, capped=one.points - kept)
