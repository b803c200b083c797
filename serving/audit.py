"""`GET /v1/audit`: what was done with the tenant's keys, catalogue and people, and by which key."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from features.audit import AuditRow
from features.columns import instant
from features.events import Id
from features.store import TenantSession
from serving.problems import later
from serving.runtime import Runtime, StoreDownError
from serving.skills import read_query


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

    @classmethod
    def of(cls, row: AuditRow) -> "AuditEntry":
        return cls(
            seq=row.seq,
            at=instant(row.at),
            by=row.by,
            action=row.action,
            subject=row.subject,
            outcome=row.outcome,
            details=json.loads(row.details),
            previous=row.previous,
            hash=row.hash,
        )


class AuditAnswer(BaseModel):
    """Rows of the tenant's audit log, oldest first. `next`: ask for it as `after`; null where there were no more."""

    rows: tuple[AuditEntry, ...]
    next: int | None


async def audit(runtime: Runtime, tenant: str, asked: Mapping[str, Sequence[str]]) -> AuditAnswer:
    """One page. Raises RefusedError: 400, 503."""
    query = read_query(AuditQuery, asked)

    def page(session: TenantSession) -> list[AuditRow]:
        return list(session.audit(after=query.after, limit=query.limit, learner_id=query.learner_id))

    try:
        found = await runtime.beside(tenant, page)
    except StoreDownError as error:
        raise later(error) from error
    rows = tuple(map(AuditEntry.of, found))
    return AuditAnswer(rows=rows, next=rows[-1].seq if len(rows) == query.limit else None)
