"""What `/v1/evidence` takes in: that a skill was used at work."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from features.events import SKILL_PREFIX, Event, Id, Result, Verb, to_utc
from serving.payloads.parts import Body


class EvidenceIn(Body):
    """That a learner used a skill at work, by whoever can say so. It is evidence of the skill, not of an item."""

    event_id: Id = Field(description="The host's own id; sending it again is harmless.")
    learner_id: Id
    skill: Id
    kind: Annotated[
        Literal["follow_up", "confirmed", "endorsed", "helped", "attested", "applied", "used_in_work"],
        Field(
            description="`follow_up`: the learner's own answer whether they used it (`used`, `went`), which counts as declared;"
            " `confirmed`: another learner (`by`) saw it, which attests it where they are the manager, else endorses it;"
            " `endorsed`: a colleague (`by`) vouches for it;"
            " `helped`: the learner taught or helped that colleague (`by`);"
            " `attested`: a manager or examiner (`by`) does; `applied`: whoever sends it has seen it;"
            " `used_in_work`: a work system's row (`source`) shows it."
        ),
    ]
    used: Annotated[Literal["yes", "not_yet"] | None, Field(description="Of `follow_up`: whether it was used.")] = None
    went: Annotated[Literal["well", "so_so", "badly"] | None, Field(description="Of a `follow_up` with yes: how it went.")] = (
        None
    )
    level: Annotated[float | None, Field(ge=0, le=5, description="The level it showed, where somebody can say.")] = None
    by: Annotated[Id | None, Field(description="Who vouches: another learner of the catalogue, by id or alias.")] = None
    source: Annotated[str | None, Field(min_length=1, max_length=256, description="Such as crm:deal/4711.")] = None
    item_id: Annotated[Id | None, Field(description="The item that this follows up.")] = None
    decision_id: Id | None = None
    occurred_at: AwareDatetime

    @model_validator(mode="after")
    def _somebody_can_say(self) -> Self:
        if self.kind in ("attested", "endorsed", "helped", "confirmed") and self.by is None:
            raise ValueError(f"by: {self.kind} by whom?")
        if self.kind == "used_in_work" and self.source is None:
            raise ValueError("source: which row of which system shows it?")
        if self.by == self.learner_id:
            raise ValueError("by: nobody vouches for themselves; send kind `follow_up`")
        return self

    @model_validator(mode="after")
    def _answers_what_was_asked(self) -> Self:
        if (self.kind == "follow_up") != (self.used is not None):
            raise ValueError("used: a follow_up says `yes` or `not_yet`, and nothing else has it")
        if self.went is not None and self.used != "yes":
            raise ValueError("went: only what was used went well or badly")
        if self.kind == "follow_up" and (self.level is not None or self.by is not None):
            raise ValueError("level: a follow_up is the learner's own answer, without a level and without `by`")
        return self

    def event(self, tenant: str, recorded_at: AwareDatetime, *, by_manager: bool = False) -> Event:
        """The fact to store; `by_manager`: whether who confirms is the learner's. Raises ValidationError when it lies in the
        future.
        """
        told = {name: getattr(self, name) for name in ("kind", "used", "went", "level", "by", "source")}
        told |= {"item": self.item_id, "as": ("manager" if by_manager else "peer") if self.kind == "confirmed" else None}
        fields = {name: getattr(self, name) for name in ("event_id", "learner_id", "decision_id", "occurred_at")}
        return Event.model_validate(
            {
                **fields,
                "tenant": tenant,
                "verb": self._verb(by_manager=by_manager),
                "result": Result(success=False) if self.used == "not_yet" else None,
                "object_id": f"{SKILL_PREFIX}{self.skill}",
                "recorded_at": to_utc(recorded_at),
                "context": {name: value for name, value in told.items() if value is not None},
            }
        )

    def _verb(self, *, by_manager: bool) -> Verb:
        match self.kind:
            case "follow_up":  # what is not used yet shows nothing, and takes nothing back
                return Verb.KNOWN if self.used == "yes" else Verb.ANSWERED
            case "confirmed":
                return Verb.ATTESTED if by_manager else Verb.ENDORSED
            case "applied" | "used_in_work":
                return Verb.APPLIED
            case "helped":
                return Verb.ENDORSED
            case "attested" | "endorsed":
                return Verb(self.kind)
