"""What offline slates take in and give out."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from features.events import Id, LogTime, Result
from serving.payloads import MAX_EVENTS, EventsAnswer, MinimalAnswer, RecommendationsAnswer

MAX_SLATE: Final = 200_000
"""Characters: a hundred items whose ids are as long as ids may be."""


MAX_KEY: Final = 255
"""Characters of an `Idempotency-Key`."""


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SignedSlate(BaseModel):
    """What a device keeps with the rows. `slate`: send it back with what was done. `expires_at`: show the rows until then."""

    slate: str
    issued_at: datetime
    expires_at: datetime


class OfflineAnswer(RecommendationsAnswer):
    """The answer to a request with `offline`: the same rows, and what lets a device show them without the service."""

    offline: SignedSlate


class OfflineMinimalAnswer(MinimalAnswer):
    """The same in the form `minimal`."""

    offline: SignedSlate


class DoneIn(_In):
    """One thing that a learner did with an item of the slate."""

    event_id: Annotated[
        Id | None,
        Field(
            description="An id that the device made when it happened; sending it again is harmless. Without it the request"
            " needs an `Idempotency-Key`, of which and of the row's number the id is made."
        ),
    ] = None
    item_id: Id
    did: Annotated[
        Literal["shown", "opened", "started", "completed", "dismissed"],
        Field(description="`opened` counts as shown, and earns no more than that."),
    ]
    occurred_at: Annotated[LogTime, Field(description="By the clock of the device.")]
    result: Annotated[Result | None, Field(description="Of what was started or completed.")] = None


class ReplayHead(_In):
    """Whose slate it is. `slate`: the signed text, as it was given."""

    learner_id: Annotated[Id, Field(description="The learner, by id or alias.")]
    slate: Annotated[str, Field(min_length=1, max_length=MAX_SLATE)]


class ReplayIn(ReplayHead):
    """What was done with one slate. A wrong row does not keep the others out."""

    done: Annotated[tuple[DoneIn, ...], Field(min_length=1, max_length=MAX_EVENTS)]


class ReplayAnswer(EventsAnswer):
    """One result per row, in the order sent. Accepted means synced to disk.

    `decision`: what became of the record behind the slate. `waiting`: decisions wait on this machine to be stored, it may be
    one of them. `missing`: there is none; what was done is stored all the same, with position and propensity of the slate.
    """

    decision: Literal["stored", "waiting", "missing"]
