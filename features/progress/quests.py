"""Quests: what a role expects as a few steps, each done by an event: learn, be assessed, apply, teach a peer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from features.catalogue import Role
from features.events import Event, Evidence
from features.forgetting import KINDS
from features.progress.applied import Applied, applied_by
from features.skills import LEAST_GAP, Contribution, SkillState, gaps


class Step(StrEnum):
    """A step of a quest, in this order."""

    LEARN = "learn"
    ASSESS = "assess"
    APPLY = "apply"
    TEACH = "teach"


@dataclass(frozen=True)
class Quest:
    """One skill of the role. `gap`: levels that are missing now. `done`: the event by which a step is done; `next`: the first
    step that is not.
    """

    skill: str
    expected: float
    gap: float
    done: Mapping[Step, Event]
    next: Step


Known = Mapping[str, tuple[SkillState, Sequence[Contribution]]]
"""What `features.skills.explain` says."""
_SEEN: Final = frozenset(Applied) - {Applied.STATED}
"""Kinds of application that somebody or something else shows."""


def quests(known: Known, role: Role | None, own: frozenset[str]) -> list[Quest]:
    """The quests that are open: gaps first, the largest first, then what is nearest to its end. None without a role.

    A step is done for as long as what it asks holds: what has faded has to be learned again.
    """
    if role is None:
        return []
    missing = gaps({skill: state for skill, (state, _) in known.items()}, role)
    found = [_quest(skill, role.expects[skill], missing, known, own) for skill in role.expects]
    open_ones = [one for one in found if one is not None]
    return sorted(open_ones, key=lambda one: (-round(one.gap, 4), -len(one.done), one.skill))


def _quest(skill: str, expected: float, missing: Mapping[str, float], known: Known, own: frozenset[str]) -> Quest | None:
    why = known[skill][1] if skill in known else ()
    done = dict(_done(expected, skill in missing, why, own))
    left = next((step for step in Step if step not in done), None)
    if left is None or (expected < LEAST_GAP and not why):
        return None
    return Quest(skill, expected, missing.get(skill, 0.0), done, left)


def _done(expected: float, missing: bool, why: Sequence[Contribution], own: frozenset[str]) -> Iterator[tuple[Step, Event]]:
    if not missing and why:
        yield Step.LEARN, why[0].event
    for one in reversed(why):  # so that of several the one that shows most stands
        kind, applied = KINDS.get(one.event.verb), applied_by(one.event, own)
        if kind is None:
            continue
        if kind.evidence >= Evidence.ASSESSED and applied is not Applied.STATED and one.shown >= expected - LEAST_GAP:
            yield Step.ASSESS, one.event
        if applied in _SEEN:
            yield Step.APPLY, one.event
        if applied is Applied.HELPED:
            yield Step.TEACH, one.event
