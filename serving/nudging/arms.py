"""What a nudge to a learner could be about: options by arm, from what the service knows of them. Pure; no chance, no limits.

What is kept from a learner in rankings is kept from them here: `serving.nudging.may`.

Nothing that an import marked `backfill` brought is a reason to speak: it says what is so, and what happened since must be the
reason. So an option needs an event that was no backfill, or a duty that would be due without the import as well.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from features.events import INTERACTION_VERBS, Event, Evidence, Verb
from features.nudges import Arm, Nudge
from features.progress.quests import Step
from features.progress.streaks import FADING, falling
from serving.duties import duties_of
from serving.nudging.known import Known as Known
from serving.nudging.may import barred, limited
from serving.payloads import LearnerDuty
from serving.progress.quests import quests_of

SOON: Final = timedelta(days=7)
"""How long before a deadline it is spoken of, and how long after finishing something that it can be used this week."""
TEACHES: Final = 4.0
"""The level from which on somebody can teach."""
RESTS: Final[Mapping[Arm, timedelta]] = {Arm.DEADLINE: timedelta(days=2)}
LONG_REST: Final = timedelta(days=28)
"""How long the same is not said again; `RESTS` for arms that differ."""
_CLOSING: Final = 20
"""Items that close a gap, among which the first that a limit has room for is spoken of."""
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


def options(known: Known) -> Options:
    """What could be said, by arm. With personalisation off only what is due, which is no profile of anybody."""
    personal = known.learner is None or known.learner.personalisation
    arms = _ARMS if personal else {Arm.DEADLINE: deadline}
    found = {arm: tuple(of(known)) for arm, of in arms.items()}
    return {arm: each for arm, each in found.items() if each}


def fresh(
    found: Options, said: Sequence[tuple[datetime, Nudge]], at: datetime, rest: timedelta = timedelta()
) -> dict[Arm, Option]:
    """The best option of each arm that was not said to the learner lately. `said`: when and what. `rest`: how long no nudge is
    about an item that one was about, at most `LONG_REST`.
    """
    left, resting = {}, {nudge.item_id for moment, nudge in said if moment > at - rest and nudge.item_id is not None}
    for arm, each in found.items():
        late = at - RESTS.get(arm, LONG_REST)
        lately = [nudge for moment, nudge in said if moment > late]
        open_ones = (one for one in each if one.item_id not in resting)
        option = next((one for one in open_ones if not any(one.said(nudge) for nudge in lately)), None)
        if option is not None:
            left[arm] = option
    return left


def deadline(known: Known) -> Iterator[Option]:
    """Duties that are overdue or due within a week, the urgent ones first, then by when."""
    urgent = {duty.assignment.id for duty in known.duties if duty.assignment.urgent}
    without_import = {one.assignment_id for one in _due(known, [event for event in known.given if not event.backfill])}
    due = [one for one in _due(known, known.given) if one.assignment_id in without_import]
    for one in sorted(due, key=lambda duty: (duty.assignment_id not in urgent, duty.due_at)):
        item = known.item(one.item_id)
        rule = barred(known, Arm.DEADLINE, one.item_id, owed=one.mandatory or one.urgent)
        if item is None or rule is not None:
            continue
        assert one.due_at is not None
        verb = "was due" if one.state == "overdue" else "is due"
        yield Option(
            Arm.DEADLINE,
            f"{item.title} {verb} on {known.day(one.due_at)}",
            item_id=item.id,
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
        used = any(one.verb in _USED and one.object_id in things for one in known.events[index + 1 :])
        if recent and skills and not used and barred(known, Arm.APPLY, item.id) is None:
            yield Option(
                Arm.APPLY,
                f"You finished {item.title} on {known.day(event.occurred_at)}: use it this week, while it is fresh",
                item_id=item.id,
                skill_id=max(sorted(skills), key=lambda skill: skills[skill]),
            )


def refresh(known: Known) -> Iterator[Option]:
    """Skills that fall below what is wanted about now, the first to fall first, with what showed them last where it may be
    shown to the learner.
    """
    fading = {skill: falling(why, known.expects.get(skill)) for skill, (_, why) in known.skills.items()}
    soon = [(one.falls, skill, one) for skill, one in fading.items() if one and abs(known.at - one.falls) <= FADING]
    for falls, skill, one in sorted(soon, key=lambda each: each[:2]):
        item = known.stock.names.get(one.shown_by.event.object_id)
        verb = "fell" if falls <= known.at else "will fall"
        words = f"Your record showed {known.skill(skill)} at level {one.shown_by.shown:.2g}"
        yield Option(
            Arm.REFRESH,
            f"{words}; it {verb} below {one.wanted:.2g} on {known.day(falls)}",
            item_id=None if item is None or _kept_back(known, Arm.REFRESH, item.id) else item.id,
            skill_id=skill,
        )


def _kept_back(known: Known, arm: Arm, item_id: str) -> bool:
    return barred(known, arm, item_id) is not None or limited(known, item_id) is not None


def quest(known: Known) -> Iterator[Option]:
    """The gaps to the role, the largest first: with what was begun for it, else with what closes it best.

    A quest goes on from something that the learner took up here; nobody is sent on one by an import alone.
    """
    if not any(event.verb in INTERACTION_VERBS and not event.backfill for event in known.events):
        return
    for one in quests_of(known, items=_CLOSING):
        item = next((item for item in one.items if item.begun or limited(known, item.id) is None), None)
        if one.quest.next is Step.LEARN and item is not None:
            words = f"Your role expects {known.skill(one.quest.skill)} at level {one.quest.expected:.3g}; your record shows "
            more = f", and {item.title} is begun" if item.begun else ""
            yield Option(Arm.QUEST, f"{words}{one.present:.2g}{more}", item_id=item.id, skill_id=one.quest.skill)


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
