"""What `/v1/events` and `/v1/feedback` take in, and what becomes of each row."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, JsonValue, model_validator

from features.events import Event, Id, Result, Verb, to_utc
from serving.payloads.parts import Body

MAX_EVENTS = 1_000


class EventIn(Body):
    """One event as a host sends it. Tenant and time of recording are the service's own to say."""

    event_id: Id = Field(description="The host's own id; sending it again is harmless.")
    learner_id: Id
    verb: Verb
    object_id: Id = Field(description="An item id, or `skill:ID` for evidence about a skill.")
    occurred_at: AwareDatetime
    decision_id: Id | None = None
    result: Result | None = None
    context: Annotated[dict[str, JsonValue], Field(max_length=32)] = Field(default_factory=dict)

    def event(self, tenant: str, recorded_at: AwareDatetime) -> Event:
        """The fact to store. Raises ValidationError when it lies in the future."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Event.model_validate({**fields, "tenant": tenant, "recorded_at": to_utc(recorded_at), "source": "api"})


class FeedbackIn(Body):
    """What a learner says of an item that they were shown."""

    learner_id: Id
    item_id: Id
    feedback: Annotated[
        Literal["not_relevant", "already_know", "later", "saved"],
        Field(description="`not_relevant` stays away, with its versions and equivalents; `later` until a moment."),
    ]
    until: Annotated[AwareDatetime | None, Field(description="Of `later`: when it may come again; absent: in 14 days.")] = None
    decision_id: Annotated[Id | None, Field(description="The decision that showed it.")] = None
    event_id: Annotated[Id | None, Field(description="The host's own id; sending it again is harmless.")] = None
    occurred_at: Annotated[AwareDatetime | None, Field(description="Absent: now.")] = None

    @model_validator(mode="after")
    def _until_is_of_later(self) -> Self:
        if self.until is not None and self.feedback != "later":
            raise ValueError("until: only `later` has one")
        return self


class EventResult(BaseModel):
    """What became of one event; `field` and `detail` say what is wrong with it.

    `suppressed`: its learner was erased after it happened; it is not stored, and need not be sent again.
    """

    index: int
    event_id: str | None
    outcome: Literal["accepted", "duplicate", "conflict", "invalid", "suppressed"]
    field: str | None = None
    detail: str | None = None


class EventsAnswer(BaseModel):
    """One result per event, in the order sent. Accepted means synced to disk."""

    accepted: int
    results: tuple[EventResult, ...]
