"""The skill profile: what a learner's events show of each skill, and the gap to what their role expects.

A pure function of events: the same events in any order give the same profile, and every level names the events behind it.

Level: each piece of evidence shows a level (0-5) that fades with a half-life; the profile holds the highest faded level.
Confidence: `1 - prod(1 - c * fade)` over all evidence, so that more evidence never lowers it (noisy-or, Pearl 1988, 4.3.2).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from features.catalogue import Item, Role
from features.events import Event, Evidence, Verb

HALF_LIFE: Mapping[Evidence, timedelta] = {
    Evidence.DECLARED: timedelta(days=365),
    Evidence.COMPLETED: timedelta(days=365),
    Evidence.ASSESSED: timedelta(days=540),
    Evidence.APPLIED: timedelta(days=730),
}
"""What is retrieved or used fades more slowly than what was only read or declared."""

CONFIDENCE: Mapping[Evidence, float] = {
    Evidence.DECLARED: 0.2,
    Evidence.COMPLETED: 0.4,
    Evidence.ASSESSED: 0.7,
    Evidence.APPLIED: 0.85,
}

UNSTATED_LEVEL = 1.0
"""The level that evidence shows when it states none and nothing before it did."""


@dataclass(frozen=True)
class SkillState:
    """One skill of one learner: level 0-5 now, the strongest evidence, confidence 0..1, and the events that say so."""

    level: float
    evidence: Evidence
    confidence: float
    event_ids: tuple[str, ...]


@dataclass(frozen=True)
class _Shown:
    """One piece of evidence about one skill; `level` None: it confirms whatever was shown before it."""

    event: Event
    level: float | None

    def fade(self, at: datetime) -> float:
        age = max((at - self.event.occurred_at) / HALF_LIFE[self.event.verb.evidence], 0.0)
        return float(0.5**age)


def profile(events: Iterable[Event], items: Mapping[str, Item], at: datetime) -> dict[str, SkillState]:
    """Skill id -> state at `at`, from the events of one learner that occurred by then.

    An item's evidence counts for each skill the item teaches; an event about a skill (`skill:ID`) may state its level in
    `context["level"]`. `revoked` takes back all earlier evidence about its object.
    """
    shown: dict[str, list[_Shown]] = defaultdict(list)
    for event in _standing(events, at):
        for skill_id, level in _levels(event, items).items():
            shown[skill_id].append(_Shown(event, level))
    return {skill_id: _state(evidence, at) for skill_id, evidence in sorted(shown.items())}


def gaps(known: Mapping[str, SkillState], role: Role | None) -> dict[str, float]:
    """Skill id -> expected minus present level, only where the role expects more. Empty without a role."""
    if role is None:
        return {}
    missing = {skill: expected - (known[skill].level if skill in known else 0.0) for skill, expected in role.expects.items()}
    return {skill: gap for skill, gap in sorted(missing.items()) if gap > 0}


def _standing(events: Iterable[Event], at: datetime) -> Sequence[Event]:
    """The events by `at` that no later or simultaneous `revoked` on the same object takes back."""
    past = [event for event in events if event.occurred_at <= at]
    revoked: dict[str, datetime] = {}
    for event in past:
        if event.verb is Verb.REVOKED:
            revoked[event.object_id] = max(event.occurred_at, revoked.get(event.object_id, event.occurred_at))
    return [event for event in past if event.object_id not in revoked or event.occurred_at > revoked[event.object_id]]


def _levels(event: Event, items: Mapping[str, Item]) -> Mapping[str, float | None]:
    """The skills that one event is evidence of, with the level it shows."""
    if event.verb.evidence is Evidence.NONE:
        return {}
    if event.skill_id is not None:
        return {event.skill_id: _stated_level(event)}
    item = items.get(event.object_id)
    return {} if item is None else item.skills


def _stated_level(event: Event) -> float | None:
    stated = event.context.get("level")
    usable = isinstance(stated, int | float) and not isinstance(stated, bool)
    return min(max(float(stated), 0.0), 5.0) if usable else None  # type: ignore[arg-type]


def _state(evidence: Sequence[_Shown], at: datetime) -> SkillState:
    doubt, level, strongest = 1.0, 0.0, Evidence.NONE
    ordered = sorted(evidence, key=_order)
    for one in ordered:
        kind, fade = one.event.verb.evidence, one.fade(at)
        doubt *= 1.0 - CONFIDENCE[kind] * fade
        level = max(level, _level(one, ordered) * fade)
        strongest = max(strongest, kind)
    return SkillState(level, strongest, 1.0 - doubt, tuple(one.event.event_id for one in ordered))


def _level(one: _Shown, evidence: Sequence[_Shown]) -> float:
    if one.level is not None:
        return one.level
    until = one.event.occurred_at
    before = [other.level for other in evidence if other.level is not None and other.event.occurred_at <= until]
    return max(before, default=UNSTATED_LEVEL)


def _order(one: _Shown) -> tuple[datetime, str]:
    return one.event.occurred_at, one.event.event_id
