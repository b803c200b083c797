"""From what is known to a decision: the limits, then the policy's draw. Pure, so that a decision can be made again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from experiments.assignment.units import HOLDOUT
from features.decisions import Decision, Randomisation
from features.nudges import Arm, Channel, Limit, Nudge, NudgeChoice
from serving.exploration import seed_of
from serving.nudging.arms import Known, Option, Options, fresh
from serving.nudging.limits import Situation, held_out, limit, next_allowed
from serving.nudging.policy import draw, offered
from serving.nudging.settings import NudgeSettings

EXPERIMENT: Final = "nudge holdout"
WORDS: Final[Mapping[Limit, str]] = {
    Limit.KILLED: "Nudges are switched off",
    Limit.ENDED: "The learner has left",
    Limit.ON_LEAVE: "The learner is on leave",
    Limit.STOPPED: "The learner wants no nudges",
    Limit.SNOOZED: "The learner wants none for a while",
    Limit.UNKNOWN_ZONE: "The learner's time zone is not known, so it may be night there",
    Limit.UNKNOWN_CALENDAR: "The learner's work calendar is not known, so they may not work today",
    Limit.NOT_WORKING: "It is no day of work for the learner",
    Limit.QUIET_HOURS: "It is quiet time where the learner is",
    Limit.WEEKLY_BUDGET: "The learner has had all nudges of seven days",
    Limit.TOO_SOON: "The learner was spoken to a short while ago",
    Limit.HOLDOUT: "The learner is among those who get none, for comparison",
    Limit.HISTORY_UNAVAILABLE: "What was said and chosen before cannot be read at the moment",
}


@dataclass(frozen=True)
class Ask:
    """What is asked, and under which names the answer is recorded. `now`: by the clock; `at`: not before what is known.

    `decided_at` is `at`; both keep all limits, for a clock elsewhere may be minutes ahead.
    """

    decision_id: str
    tenant: str
    channel: Channel
    now: datetime
    at: datetime


def decide(
    settings: NudgeSettings,
    known: Known,
    found: Options,
    ask: Ask,
    choices: Sequence[NudgeChoice],
    said: Sequence[Decision],
    arms: Mapping[str, str] | None = None,
) -> Decision:
    """The decision, given what the learner chose and what was said to them in the last weeks (`LONG_REST` and more).

    `arms`: those of experiments, whose settings are given.
    """
    past = [(one.decided_at, one.nudge) for one in said if one.nudge is not None]
    situation = Situation(ask.tenant, known.learner_id, ask.now, known.learner, choices, [moment for moment, _ in past])
    left = fresh(offerable(settings, found), past, ask.at, timedelta(days=settings.item_rest_days))
    later = replace(situation, at=ask.at)
    withheld = limit(settings, situation) or limit(settings, later)
    if withheld is not None:
        when = next_allowed(settings, situation) or next_allowed(settings, later)
        nudge = silent(ask.channel, withheld, when)
    else:
        nudge = _drawn(settings, ask, left)
    group = HOLDOUT if held_out(settings, situation) else "nudged"
    return decision(settings, known, ask, nudge, {EXPERIMENT: group, **(arms or {})}, left)


def offerable(settings: NudgeSettings, found: Options) -> Options:
    """The arms that are not switched off."""
    return {arm: each for arm, each in found.items() if arm not in settings.killed_arms}


def silent(channel: Channel, withheld: Limit, when: datetime | None = None) -> Nudge:
    """Nothing, because of a limit."""
    return Nudge(
        arm=Arm.NOTHING,
        channel=channel,
        propensity=1.0,
        offered={Arm.NOTHING: 1.0},
        withheld=withheld,
        reason=WORDS[withheld],
        next_allowed_at=when,
    )


def decision(
    settings: NudgeSettings,
    known: Known,
    ask: Ask,
    nudge: Nudge,
    arms: Mapping[str, str],
    left: Mapping[Arm, Option],
    fallback: str | None = None,
) -> Decision:
    """The log line. `left`: what could have been said."""
    manifest = known.stock.bundle.manifest
    return Decision(
        decision_id=ask.decision_id,
        tenant=ask.tenant,
        learner_id=known.learner_id,
        decided_at=ask.at,
        kind="nudge",
        surface=ask.channel,
        request={"learner_id": known.learner_id, "channel": ask.channel.value},
        bundle=known.stock.bundle.name,
        policy=settings.digest,
        arms=arms,
        randomisation=Randomisation(epsilon=settings.floor, seed=seed_of(ask.decision_id), support=len(nudge.offered)),
        candidates={arm.value: 1 for arm in left},
        removed={rule: tuple(sorted(names)) for rule, names in sorted(known.removed.items())},
        nudge=nudge,
        events_read=tuple(event.event_id for event in known.given),
        versions={"catalogue": manifest.catalogue_digest[:16]},
        fallback=fallback,
    )


def _drawn(settings: NudgeSettings, ask: Ask, left: Mapping[Arm, Option]) -> Nudge:
    chances = offered(left.keys(), settings.floor)
    arm = draw(chances, seed_of(ask.decision_id))
    silence = "There is nothing worth a word now" if not left else "Chance left it unsaid, to learn what saying it is good for"
    option = left.get(arm, Option(Arm.NOTHING, silence))
    return Nudge(
        arm=arm,
        channel=ask.channel,
        propensity=chances[arm],
        offered=chances,
        item_id=option.item_id,
        skill_id=option.skill_id,
        assignment_id=option.assignment_id,
        due_at=option.due_at,
        reason=option.reason,
    )
