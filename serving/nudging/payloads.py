"""What goes in and out of `POST /v1/nudge`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from features.catalogue import Item
from features.decisions import Decision
from features.events import Id, Instant
from features.nudges import Arm, Channel, Choice, Limit
from serving.cards.cards import Format
from serving.prepared import Prepared


class NudgeIn(BaseModel):
    """Whether to say something to this learner now, on this channel, and what. It is asked about now, and no other moment."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    learner_id: Id = Field(description="The host's id of the learner.")
    channel: Channel = Field(description="Where it would be said. The budget counts all channels together.")
    format: Format | None = Field(None, description="The form of the `card` to answer with; absent: no card.")


class NudgeChoiceIn(BaseModel):
    """What a learner chooses about all nudges to them, on whatever channel."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    choice: Choice = Field(description="`resume` ends a stop and a snooze; a snooze ends no stop.")
    until: Instant | None = Field(None, description="When a snooze ends: a moment with a zone. Nothing else has one.")


class NudgesAnswer(BaseModel):
    """Whether a learner wants nudges at `at`: `on`, `snoozed` with `until` when, or `stopped` until they resume."""

    learner_id: str
    at: datetime
    state: Literal["on", "snoozed", "stopped"]
    until: datetime | None


class NudgeItem(BaseModel):
    """The item that a nudge is about. `minutes` is null where nobody said."""

    item_id: str
    title: str
    minutes: float | None


class NudgeSkill(BaseModel):
    """The skill that a nudge is about."""

    skill_id: str
    name: str


class NudgeAnswer(BaseModel):
    """What to say, or nothing: with `arm` `nothing` the host stays silent. It is recorded, and counts in the budget where it
    speaks.

    `arms`: the learner's arms of experiments, and whether they are in the holdout. `arm`: what to say, of which `propensity` is
    the probability. `withheld`: the limit that forbids to speak, null where none does; then
    `next_allowed_at` is when none will, where that is known. `reason`: in words, for whoever asks why. `card`: what to send, in
    the learner's language and the `format` that was asked for; null where it stays silent. `card_note`: what the card lacks.
    """

    decision_id: str
    learner_id: str
    decided_at: datetime
    channel: Channel
    bundle: str
    policy: str
    arms: Mapping[str, str]
    fallback: str | None
    arm: Arm
    propensity: float
    withheld: Limit | None
    next_allowed_at: datetime | None
    reason: str
    item: NudgeItem | None
    skill: NudgeSkill | None
    assignment_id: str | None
    due_at: datetime | None
    card: dict[str, JsonValue] | None = None
    card_note: str | None = None

    def with_card(self, card: dict[str, JsonValue], note: str | None) -> Self:
        """The answer with a card, and what that lacks."""
        return self.model_copy(update={"card": card, "card_note": note})

    @classmethod
    def of(cls, decision: Decision, stock: Prepared, strangers: Mapping[str, Item] | None = None) -> "NudgeAnswer":
        """The part of a decision of kind `nudge` that a host receives, with titles. `strangers`: items that the bundle does
        not know yet, by id.
        """
        nudge = decision.nudge
        if nudge is None:
            raise ValueError(f"decision {decision.decision_id!r} is of kind {decision.kind!r}, not a nudge")
        return cls(
            decision_id=decision.decision_id,
            learner_id=decision.learner_id,
            decided_at=decision.decided_at,
            channel=nudge.channel,
            bundle=decision.bundle,
            policy=decision.policy,
            arms=decision.arms,
            fallback=decision.fallback,
            arm=nudge.arm,
            propensity=nudge.propensity,
            withheld=nudge.withheld,
            next_allowed_at=nudge.next_allowed_at,
            reason=nudge.reason,
            item=None
            if nudge.item_id is None
            else _item(stock.names.get(nudge.item_id) or (strangers or {}).get(nudge.item_id), nudge.item_id),
            skill=None if nudge.skill_id is None else _skill(stock, nudge.skill_id),
            assignment_id=nudge.assignment_id,
            due_at=nudge.due_at,
        )


def _item(item: Item | None, item_id: str) -> NudgeItem:
    if item is None:
        return NudgeItem(item_id=item_id, title=item_id, minutes=None)
    return NudgeItem(item_id=item.id, title=item.title, minutes=None if item.duration_s is None else item.duration_s / 60)


def _skill(stock: Prepared, skill_id: str) -> NudgeSkill:
    skill = stock.bundle.catalogue.skills.get(skill_id)
    return NudgeSkill(skill_id=skill_id, name=skill_id if skill is None else skill.name)
