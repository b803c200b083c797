"""All that is known of a learner at the time of a request, out of their row and their events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from features.catalogue import Learner, Role
from features.events import Event
from features.interactions import Histories
from features.ranking import Context
from features.skills import SkillState, gaps, profile
from features.xapi.parts import resolved
from serving.prepared import Prepared
from serving.standing import Standing, history_of, standing


@dataclass(frozen=True, eq=False)
class Hydrated:
    """All that is known of the learner at the time of the request."""

    learner: Learner | None
    role: Role | None
    history: Histories
    standing: Standing
    profile: Mapping[str, SkillState]
    gaps: Mapping[str, float]
    context: Context
    events_read: tuple[str, ...]

    @property
    def personal(self) -> bool:
        """Whether what they did may be drawn on for more than the rules."""
        return self.learner is None or self.learner.personalisation

    @property
    def cold(self) -> bool:
        return len(self.history.items) == 0

    @property
    def declared(self) -> bool:
        """Whether skills are all that is known: stated or assessed, but nothing taken up."""
        return self.cold and bool(self.profile)


def hydrate(stock: Prepared, learner: Learner | None, events: Sequence[Event], at: datetime) -> Hydrated:
    """Histories, standing, skills and gaps from a learner's events.

    With personalisation off only the standing is taken from them, for the rules to apply: no history, no skills, no role.
    """
    events = resolved(events, stock.names.__contains__)
    personal = learner is None or learner.personalisation
    telling = events if personal else ()
    role = stock.bundle.catalogue.roles.get(learner.role_id) if personal and learner and learner.role_id else None
    skills = profile(telling, stock.names, at, stock.bundle.proposals)
    return Hydrated(
        learner=learner,
        role=role,
        history=history_of(telling, stock, learner),
        standing=standing(events, stock),
        profile=skills,
        gaps=gaps(skills, role),
        context=Context.of(stock.table, skills, role, at),
        events_read=tuple(event.event_id for event in events),
    )
