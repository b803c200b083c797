"""What goes in and out over HTTP: pydantic models with a limit on every size. Unknown fields are refused."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from features.catalogue import ItemType, Language
from features.decisions import Decision, Row
from features.events import Event, Id, Result, Verb, to_utc

MAX_CANDIDATES = 1_000
MAX_EVENTS = 1_000


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Filters(_In):
    """What every ranking request may say. `max_minutes` leaves out longer items and those of unknown duration."""

    learner_id: Id = Field(description="The host's id of the learner.")
    surface: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")] = "api"
    exclude: Annotated[tuple[Id, ...], Field(max_length=MAX_CANDIDATES)] = ()
    max_minutes: Annotated[float | None, Field(gt=0, le=100_000)] = None
    types: Annotated[tuple[ItemType, ...], Field(max_length=len(ItemType))] = ()
    languages: Annotated[tuple[Language, ...], Field(max_length=20)] = ()


class RecommendationsRequest(Filters):
    """Nextwise chooses from the whole catalogue; `limit` bounds the items over all rows."""

    limit: Annotated[int, Field(ge=1, le=100)] = 10


class RankRequest(Filters):
    """The caller's candidates; without a `limit` all that are eligible are ranked."""

    candidates: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_CANDIDATES)]
    limit: Annotated[int | None, Field(ge=1, le=100)] = None


Request = RecommendationsRequest | RankRequest


class RecommendationsAnswer(BaseModel):
    """Titled rows of items, deduplicated over rows; the part of a decision that a host receives."""

    decision_id: str
    bundle: str
    policy: str
    fallback: str | None
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, decision: Decision) -> "RecommendationsAnswer":
        """The answer part of a decision, which was validated when it was made."""
        return cls.model_construct(**{name: getattr(decision, name) for name in cls.model_fields})


class RankAnswer(RecommendationsAnswer):
    """Every candidate stands in a row or in `removed`, under the rule that removed it."""

    removed: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, decision: Decision) -> "RankAnswer":
        """The answer part of a decision and what was removed."""
        return cls.model_construct(**{name: getattr(decision, name) for name in cls.model_fields})


class EventIn(_In):
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


class EventResult(BaseModel):
    """What became of one event; `field` and `detail` say what is wrong with it."""

    index: int
    event_id: str | None
    outcome: Literal["accepted", "duplicate", "conflict", "invalid"]
    field: str | None = None
    detail: str | None = None


class EventsAnswer(BaseModel):
    """One result per event, in the order sent. Accepted means synced to disk."""

    accepted: int
    results: tuple[EventResult, ...]


class Problem(BaseModel):
    """RFC 9457 problem details. `field` names what is wrong in the request, dots and indices included."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
