"""Nudges as facts: what was said to a learner at a moment, or why nothing was, and what learners choose about it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.events import Id, Instant, LogTime


class Arm(StrEnum):
    """What a nudge may be about."""

    DEADLINE = "deadline"
    APPLY = "apply"
    REFRESH = "refresh"
    QUEST = "quest"
    TEACH = "teach"
    NOTHING = "nothing"


class Channel(StrEnum):
    """Where a nudge is delivered."""

    SLACK = "slack"
    TEAMS = "teams"
    EMAIL = "email"
    PUSH = "push"
    JSON = "json"


class Limit(StrEnum):
    """Why nothing may be said, whatever a policy would like to say.

    `unknown_zone`: the learner's time zone has no name that is known, so nobody can tell whether it is night there.
    `unknown_calendar`: their work calendar has none, so nobody can tell whether they work today.
    `too_soon`: something was said to them a short while ago.
    `history_unavailable`: the store does not answer, so nobody can tell what was said already, or asked for.
    """

    QUIET_HOURS = "quiet_hours"
    NOT_WORKING = "not_working"
    ON_LEAVE = "on_leave"
    ENDED = "ended"
    WEEKLY_BUDGET = "weekly_budget"
    TOO_SOON = "too_soon"
    SNOOZED = "snoozed"
    STOPPED = "stopped"
    HOLDOUT = "holdout"
    KILLED = "killed"
    UNKNOWN_ZONE = "unknown_zone"
    UNKNOWN_CALENDAR = "unknown_calendar"
    HISTORY_UNAVAILABLE = "history_unavailable"


class Choice(StrEnum):
    """What a learner chooses about all nudges to them."""

    SNOOZE = "snooze"
    STOP = "stop"
    RESUME = "resume"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NudgeChoice(_Part):
    """That a learner chose something. Key (tenant, action_id): the same choice sent again is one.

    `until`: given for a snooze, half-open, and for nothing else. A snooze ends then, a stop only with a later resume.
    """

    action_id: Id
    learner_id: Id
    choice: Choice
    until: Instant | None = None
    occurred_at: LogTime
    recorded_at: LogTime

    @model_validator(mode="after")
    def _until_goes_with_snooze(self) -> Self:
        if (self.until is None) == (self.choice is Choice.SNOOZE):
            raise ValueError("until: a snooze needs the moment when it ends, and nothing else has one")
        return self


class Nudge(_Part):
    """What a decision of kind `nudge` came to.

    `propensity` is the probability of the arm given all that the decision knew, `offered` that of each arm that could come.
    `withheld`: the limit that kept it silent; the arm is then `nothing`, with certainty. What it is about: an item, a skill or
    an assignment, as far as the arm has one. `next_allowed_at`: from when on no limit withholds, where that is known.
    """

    arm: Arm
    channel: Channel
    propensity: Annotated[float, Field(gt=0, le=1)]
    offered: Mapping[Arm, Annotated[float, Field(gt=0, le=1)]]
    withheld: Limit | None = None
    item_id: Id | None = None
    skill_id: Id | None = None
    assignment_id: Id | None = None
    due_at: Instant | None = None
    reason: str
    next_allowed_at: Instant | None = None

    @property
    def spoke(self) -> bool:
        """Whether something was said."""
        return self.arm is not Arm.NOTHING
