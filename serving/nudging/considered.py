"""What `/v1/nudge` would say now and what keeps it silent, for whoever looks: nothing is drawn, said or recorded. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from features.nudges import Arm, Channel, Limit
from serving.nudging.answer import Read
from serving.nudging.arms import fresh, options
from serving.nudging.decide import WORDS, Ask, decide, offerable
from serving.nudging.policy import ORDER, offered
from serving.nudging.settings import NudgeSettings

SILENCE: Final = "Silence is always possible"
KILLED: Final = "Switched off"
NO_GROUND: Final = "There is no reason to say it now"
SAID: Final = "It was said lately"


@dataclass(frozen=True)
class ArmNow:
    """An arm: the probability with which it would be drawn if no limit held, None where it cannot come, and why or why not."""

    arm: Arm
    propensity: float | None
    why: str


@dataclass(frozen=True)
class NudgeNow:
    """The limit that would keep it silent, in words, until when where that is known, and every arm."""

    withheld: Limit | None
    words: str | None
    next_allowed_at: datetime | None
    arms: tuple[ArmNow, ...]


def considered(settings: NudgeSettings, tenant: str, read: Read, now: datetime) -> NudgeNow:
    """What would be said to a learner at `now`."""
    known, found = read.known, options(read.known)
    past = [(one.decided_at, one.nudge) for one in read.said if one.nudge is not None]
    left = fresh(offerable(settings, found), past, known.at, timedelta(days=settings.item_rest_days))
    ask = Ask("not-decided", tenant, Channel.JSON, now, known.at)
    nudge = decide(settings, known, found, ask, read.choices, read.said).nudge
    withheld = None if nudge is None else nudge.withheld
    chances = offered(left.keys(), settings.floor)
    why = {arm: KILLED if arm in settings.killed_arms else SAID if arm in found else NO_GROUND for arm in ORDER}
    why |= {arm: option.reason for arm, option in left.items()} | {Arm.NOTHING: SILENCE}
    return NudgeNow(
        withheld,
        None if withheld is None else WORDS[withheld],
        None if nudge is None else nudge.next_allowed_at,
        _arms(chances, why),
    )


def _arms(chances: Mapping[Arm, float], why: Mapping[Arm, str]) -> tuple[ArmNow, ...]:
    return tuple(ArmNow(arm, chances.get(arm), why[arm]) for arm in ORDER)
