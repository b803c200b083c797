"""Rows of the audit log."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from features.events import Id


class AuditQuery(BaseModel):
    """What `GET /v1/audit` may be asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Annotated[int, Field(ge=0, le=2**62, description="Only rows after this number.")] = 0
    limit: Annotated[int, Field(ge=1, le=1_000, description="Rows of an answer.")] = 100
    learner_id: Annotated[Id | None, Field(description="Only rows about this learner, by id or alias.")] = None


class AuditEntry(BaseModel):
    """A row of the audit log. `subject`: a keyed hash of the learner's id. `hash`: SHA-256 of the row and of `previous`."""

    seq: int
    at: datetime
    by: str
    action: str
    subject: str | None
    outcome: str
    details: dict[str, JsonValue]
    previous: str
    hash: str


class AuditAnswer(BaseModel):
    """Rows of the tenant's audit log, oldest first. `next`: ask for it as `after`; null where there were no more."""

    rows: tuple[AuditEntry, ...]
    next: int | None
