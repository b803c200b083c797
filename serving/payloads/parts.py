"""What all payloads are made of: strict bodies, questions of a moment, problems."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from features.events import LogTime


class Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Query(BaseModel):
    """A question about a learner at a moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: Annotated[LogTime | None, Field(description="A moment in the past (its `+` sent as `%2B`, or `Z`); absent: now.")] = (
        None
    )


class OfLearner(BaseModel):
    """Whom an answer is about, as of when, and by which bundle and role."""

    learner_id: str
    at: datetime
    bundle: str
    role: str | None
    in_catalogue: bool
    fallback: Literal["personalisation_off"] | None


class Problem(BaseModel):
    """RFC 9457 problem details. `field` names what is wrong in the request, dots and indices included."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
