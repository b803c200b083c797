"""What counts as a skill applied, who says so, and how often they have said it before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from features.events import Event, Verb

HELPED: Final = "helped"
"""The kind of evidence by which a colleague says that the learner taught or helped them."""


Times = Sequence[datetime]


class Applied(StrEnum):
    """By what a skill is known to be applied, named as the policy names what it is worth."""

    USED_IN_WORK = "used_in_work"
    ATTESTED = "attested"
    HELPED = "helped"
    ENDORSED = "endorsed"
    STATED = "stated"


@dataclass(frozen=True)
class People:
    """Who the names in evidence are. `own`: the learner's; `person`: one name for all names of somebody else, where that is
    known; `gave`: by such a name, when the learner vouched for them. `through`: by such a name, each third person for whom the
    learner vouched and who vouched for them: when the learner did, and when that person did.
    """

    own: frozenset[str] = frozenset()
    person: Mapping[str, str] = field(default_factory=dict)
    gave: Mapping[str, Times] = field(default_factory=dict)
    through: Mapping[str, Sequence[tuple[Times, Times]]] = field(default_factory=dict)

    def given_before(self, event: Event) -> int:
        """How often the circle had gone round that an event closes: as often as the learner had vouched for whoever vouches
        here, or for a third person who had. Of several circles the one that went round most counts.
        """
        voice, at = self.voice(event), event.occurred_at
        third = (min(_by(at, told), _by(at, passed_on)) for told, passed_on in self.through.get(voice, ()))
        return max([_by(at, self.gave.get(voice, ())), *third])

    def voice(self, event: Event) -> str:
        """Who or what says so: a person, a system, or the learner. Evidence of one voice repeats itself."""
        if applied_by(event, self.own) is Applied.STATED:
            return "learner"
        by, source = event.context.get("by"), event.context.get("source")
        if isinstance(by, str):
            return self.person.get(by, by)
        return f"system:{source.partition(':')[0] if isinstance(source, str) else event.source}"


def _by(at: datetime, moments: Times) -> int:
    return sum(moment <= at for moment in moments)


def vouched_by(event: Event) -> str | None:
    """The name of who vouches in an event, None where nobody does."""
    by = event.context.get("by")
    return by if isinstance(by, str) and event.verb in (Verb.ATTESTED, Verb.ENDORSED) else None


def applied_by(event: Event, own: frozenset[str]) -> Applied | None:
    """What kind of application an event shows, None for none. One's own word stays that under whichever name (`own`)."""
    kind = event.context.get("kind")
    match event.verb:
        case Verb.KNOWN:
            return Applied.STATED if kind == "follow_up" else None
        case Verb.APPLIED:
            found = Applied.USED_IN_WORK
        case Verb.ATTESTED:
            found = Applied.ATTESTED
        case Verb.ENDORSED:
            found = Applied.HELPED if kind == HELPED else Applied.ENDORSED
        case _:
            return None
    return Applied.STATED if event.context.get("by") in own else found
