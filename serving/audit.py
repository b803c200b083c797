"""`GET /v1/audit`: what was done with the tenant's keys, catalogue and people, and by which key."""

import json
from collections.abc import Mapping, Sequence

from features.audit import AuditRow
from features.columns import instant
from features.store import TenantSession
from serving.payloads import AuditAnswer, AuditEntry, AuditQuery
from serving.problems import later
from serving.runtime import Runtime, StoreDownError
from serving.skills import read_query


async def audit(runtime: Runtime, tenant: str, asked: Mapping[str, Sequence[str]]) -> AuditAnswer:
    """One page. Raises RefusedError: 400, 503."""
    query = read_query(AuditQuery, asked)

    def page(session: TenantSession) -> list[AuditRow]:
        return list(session.audit(after=query.after, limit=query.limit, learner_id=query.learner_id))

    try:
        found = await runtime.beside(tenant, page)
    except StoreDownError as error:
        raise later(error) from error
    rows = tuple(map(_entry, found))
    return AuditAnswer(rows=rows, next=rows[-1].seq if len(rows) == query.limit else None)


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
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
