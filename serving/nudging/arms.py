"""What a nudge to a learner could be about: options by arm, from what the service knows of them. Pure; no chance, no limits.

Nothing that an import marked `backfill` brought is a reason to speak: it says what is so, and what happened since must be the
reason. So an option needs an event that was no backfill, or a duty that would be due without the import as well.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from features.catalogue import Item, Learner
from features.duties import Duty, Leave
from features.events import INTERACTION_VERBS, Event, Evidence, Verb
from features.grants import Grant
from features.nudges import Arm, Nudge
from features.skills import Contribution, SkillState, explain, fades_below
from features.xapi.parts import resolved
from serving.duties import duties_of
from serving.nudging.limits import zone_of
from serving.payloads import LearnerDuty
from serving.prepared import Prepared
from serving.skills import gaps_of
from serving.standing import Standing, standing

SOON: Final = timedelta(days=7)
"""How long before a deadline it is spoken of, and how long after finishing something that it can be used this week."""
FADING: Final = timedelta(days=14)
"""How long before and after a level falls below what is wanted it is time to refresh it."""
KEPT: Final = 0.75
"""The share of the highest level shown that is worth keeping where no role expects one."""
TEACHES: Final = 4.0
"""The level from which on somebody can teach."""
RESTS: Final[Mapping[Arm, timedelta]] = {Arm.DEADLINE: timedelta(days=2)}
LONG_REST: Final = timedelta(days=28)
"""How long the same is not said again; `RESTS` for arms that differ."""
_USED: Final = frozenset({Verb.APPLIED, Verb.ATTESTED, Verb.ENDORSED, Verb.KNOWN})
"""After these there is nothing to ask of a skill that was just learnt."""


@dataclass(frozen=True)
class Option:
    """One thing that could be said."""

    arm: Arm
    reason: str
    item_id: str | None = None
    skill_id: str | None = None
    assignment_id: str | None = None
    due_at: datetime | None = None

    def said(self, nudge: Nudge) -> bool:
        """Whether a nudge said the same."""
        mine = self.arm, self.item_id, self.skill_id, self.assignment_id
        return mine == (nudge.arm, nudge.item_id, nudge.skill_id, nudge.assignment_id)


Options = Mapping[Arm, Sequence[Option]]
"""For each arm that can come at least one, the best first."""


@dataclass(frozen=True)
class Known:
    """What is known of a learner at a moment. `given`: their events as they came, oldest first."""

    stock: Prepared
    learner_id: str
    at: datetime
    learner: Learner | None = None
    given: Sequence[Event] = ()
    duties: Sequence[Duty] = ()
    leaves: Sequence[Leave] = ()
    grants: tuple[Grant, ...] = ()

    @cached_property
    def events(self) -> Sequence[Event]:
        """With the parts of items as what they say of the whole."""
        return resolved(self.given, self.stock.names.__contains__)

    @cached_property
    def standing(self) -> Standing:
        return standing(self.events, self.stock)

    @cached_property
    def skills(self) -> Mapping[str, tuple[SkillState, tuple[Contribution, ...]]]:
        return explain(self.events, self.stock.names, self.at, self.stock.bundle.proposals)

    @cached_property
    def expects(self) -> Mapping[str, float]:
        """What the role expects of each skill; empty without a role."""
        named = None if self.learner is None else self.learner.role_id
        role = None if named is None else self.stock.bundle.catalogue.roles.get(named)
        return {} if role is None else role.expects

    def title(self, item_id: str) -> str:
        item = self.stock.names.get(item_id)
        return item_id if item is None else item.title

    def skill(self, skill_id: str) -> str:
        skill = self.stock.bundle.catalogue.skills.get(skill_id)
        return skill_id if skill is None else skill.name

    def taught_by(self, item: Item) -> Mapping[str, float]:
        """Skill -> level, as the catalogue says or, where it names none, as was proposed."""
        proposed = self.stock.bundle.proposals.get(item.id, {})
        return item.skills or {skill: one.level for skill, one in proposed.items()}

    def day(self, moment: datetime) -> str:
        """The date of a moment where the learner is."""
        zone = zone_of("UTC" if self.learner is None else self.learner.timezone) or UTC
        return moment.astimezone(zone).date().isoformat()


def options(known: Known) -> Options:
    """What could be said, by arm. With personalisation off only what is due, which is no profile of anybody."""
    personal = known.learner is None or known.learner.personalisation
    arms = _ARMS if personal else {Arm.DEADLINE: deadline}
    found = {arm: tuple(of(known)) for arm, of in arms.items()}
    return {arm: each for arm, each in found.items() if each}


def fresh(found: Options, said: Sequence[tuple[datetime, Nudge]], at: datetime) -> dict[Arm, Option]:
    """The best option of each arm that was not said to the learner lately. `said`: when and what."""
    left = {}
    for arm, each in found.items():
        late = at - RESTS.get(arm, LONG_REST)
        lately = [nudge for moment, nudge in said if moment > late]
        option = next((one for one in each if not any(one.said(nudge) for nudge in lately)), None)
        if option is not None:
            left[arm] = option
    return left


def deadline(known: Known) -> Iterator[Option]:
    """Duties that are overdue or due within a week, the urgent ones first, then by when."""
    urgent = {duty.assignment.id for duty in known.duties if duty.assignment.urgent}
    without_import = {one.assignment_id for one in _due(known, [event for event in known.given if not event.backfill])}
    due = [one for one in _due(known, known.given) if one.assignment_id in without_import]
    for one in sorted(due, key=lambda duty: (duty.assignment_id not in urgent, duty.due_at)):
        assert one.due_at is not None
        verb = "was due" if one.state == "overdue" else "is due"
        yield Option(
            Arm.DEADLINE,
            f"{known.title(one.item_id)} {verb} on {known.day(one.due_at)}",
            item_id=one.item_id,
            assignment_id=one.assignment_id,
            due_at=one.due_at,
        )


def _due(known: Known, events: Sequence[Event]) -> list[LearnerDuty]:
    answer = duties_of(known.stock, known.learner_id, known.learner, events, known.duties, known.leaves, known.at)
    open_ones = [one for one in answer.duties if one.state != "done" and not one.paused]
    return [one for one in open_ones if one.due_at is not None and one.due_at <= known.at + SOON]


def apply(known: Known) -> Iterator[Option]:
    """What the learner finished in the last seven days and has not used since, the last first."""
    for index in range(len(known.events) - 1, -1, -1):
        event = known.events[index]
        item = known.stock.names.get(event.object_id)
        if event.verb not in (Verb.COMPLETED, Verb.PASSED) or event.backfill or item is None:
            continue
        skills = known.taught_by(item)
        recent = known.at - SOON <= event.occurred_at <= known.at and item.id in known.standing.finished
        things = {item.id, *item.aliases, *(f"skill:{skill}" for skill in skills)}
        if recent and skills and not any(one.verb in _USED and one.object_id in things for one in known.events[index + 1 :]):
            yield Option(
                Arm.APPLY,
                f"You finished {item.title} on {known.day(event.occurred_at)}: use it this week, while it is fresh",
                item_id=item.id,
                skill_id=max(sorted(skills), key=lambda skill: skills[skill]),
            )


def refresh(known: Known) -> Iterator[Option]:
    """Skills that fall below what is wanted about now, the first to fall first, with what showed them last."""
    found = []
    for skill, (_, why) in known.skills.items():
        wanted = known.expects.get(skill) or KEPT * max(one.shown for one in why)
        falls = fades_below(why, wanted)
        lasting = [one for one in why if falls is not None and not one.event.backfill and fades_below([one], wanted) == falls]
        if falls is not None and lasting and known.at - FADING <= falls <= known.at + FADING:
            found.append((falls, skill, wanted, lasting[0]))
    for falls, skill, wanted, one in sorted(found, key=lambda each: each[:2]):
        item = known.stock.names.get(one.event.object_id)
        verb = "fell" if falls <= known.at else "will fall"
        words = f"Your record showed {known.skill(skill)} at level {one.shown:.2g}"
        yield Option(
            Arm.REFRESH,
            f"{words}; it {verb} below {wanted:.2g} on {known.day(falls)}",
            item_id=None if item is None else item.id,
            skill_id=skill,
        )


def quest(known: Known) -> Iterator[Option]:
    """The gaps to the role, the largest first: with what was begun for it, else with what closes it best.

    A quest goes on from something that the learner took up here; nobody is sent on one by an import alone.
    """
    if not any(event.verb in INTERACTION_VERBS and not event.backfill for event in known.events):
        return
    answer = gaps_of(known.stock, known.learner_id, known.learner, known.given, known.at, 1, known.grants)
    begun = sorted(known.standing.in_progress(), key=lambda item: known.standing.taken_up[item], reverse=True)
    for gap in answer.gaps:
        going = next((name for name in begun if gap.skill in _teaches(known, name)), None)
        item = going or next((one.item_id for one in gap.items), None)
        if item is not None:
            words = f"Your role expects {gap.name} at level {gap.expected:.3g}; your record shows {gap.present:.2g}"
            more = f", and {known.title(item)} is begun" if going else ""
            yield Option(Arm.QUEST, words + more, item_id=item, skill_id=gap.skill)


def _teaches(known: Known, name: str) -> Mapping[str, float]:
    item = known.stock.names.get(name)
    return {} if item is None else known.taught_by(item)


def teach(known: Known) -> Iterator[Option]:
    """Skills that others have seen at a level from which one can teach, the highest first."""
    able = [
        (-state.level, skill)
        for skill, (state, why) in known.skills.items()
        if state.level >= TEACHES
        and state.evidence >= Evidence.ASSESSED
        and any(one.level >= TEACHES and not one.event.backfill for one in why)
    ]
    for level, skill in sorted(able):
        words = f"Your record shows {known.skill(skill)} at level {-level:.2g}: show a colleague how you do it"
        yield Option(Arm.TEACH, words, skill_id=skill)


_ARMS: Final[Mapping[Arm, Callable[[Known], Iterator[Option]]]] = {
    Arm.DEADLINE: deadline,
    Arm.APPLY: apply,
    Arm.REFRESH: refresh,
    Arm.QUEST: quest,
    Arm.TEACH: teach,
}
