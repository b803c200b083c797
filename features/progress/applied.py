"""What counts as a skill applied, who says so, and how often they have said it before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from features.events import Event, Verb

HELPED: Final = "helped"
"""The kind of evidence by which a colleague says that the learner taught or helped them."""


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
    known; `gave`: by such a name, when the learner vouched for them.
    """

    own: frozenset[str] = frozenset()
    person: Mapping[str, str] = field(default_factory=dict)
    gave: Mapping[str, Sequence[datetime]] = field(default_factory=dict)

    def given_before(self, event: Event) -> int:
        """How often the learner had vouched for whoever vouches here."""
        return sum(moment <= event.occurred_at for moment in self.gave.get(self.voice(event), ()))

    def voice(self, event: Event) -> str:
        """Who or what says so: a person, a system, or the learner. Evidence of one voice repeats itself."""
        if applied_by(event, self.own) is Applied.STATED:
            return "learner"
        by, source = event.context.get("by"), event.context.get("source")
        if isinstance(by, str):
            return self.person.get(by, by)
        return f"system:{source.partition(':')[0] if isinstance(source, str) else event.source}"


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
