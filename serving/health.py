"""`GET /v1/ingest/health`: what came in, what of it was understood, and what the catalogue does not know yet."""

from features.events import Evidence
from features.store import Counted, TenantSession
from features.store.outcomes import Stub
from features.xapi.intake import NOT_EVENT, REPAIR
from serving.payloads import EvidenceCoverage, HealthAnswer, Noted, Unresolved
from serving.problems import later
from serving.runtime import Runtime, StoreDownError
from serving.xapi import REFUSED

SHOWN = 20
"""Names that are listed; the counts are of all."""


async def health(runtime: Runtime, tenant: str) -> HealthAnswer:
    """How the intake of a tenant stands. Raises RefusedError (503) where the store does not answer."""
    now = runtime.clock()
    stock = runtime.bundles.current(tenant)
    manifest = None if stock is None else stock.bundle.manifest

    def found(session: TenantSession) -> HealthAnswer:
        newest, noted = session.newest_event(), session.intake()
        learners, items = session.unresolved()
        return HealthAnswer(
            at=now,
            last_statement_at=session.last_statement(),
            last_event_at=None if newest is None else newest[0],
            last_event_lag_s=None if newest is None else max((newest[0] - newest[1]).total_seconds(), 0.0),
            repairs=_noted(noted, REPAIR),
            not_understood=_noted(noted, NOT_EVENT),
            refused=_noted(noted, REFUSED),
            unresolved_learners=_unresolved(learners),
            unresolved_items=_unresolved(items),
            shared_names=tuple(session.shared_names()[:SHOWN]),
            evidence=_coverage(session.learners_by_evidence()),
            retrain_by=None if manifest is None else manifest.retrain_by,
            retrain_overdue=manifest is not None and manifest.overdue(now.date()),
        )

    try:
        return await runtime.beside(tenant, found, long=True)
    except StoreDownError as error:
        raise later(error) from error


def _coverage(found: dict[Evidence, int]) -> EvidenceCoverage:
    levels = {one.name.lower(): count for one, count in found.items() if one is not Evidence.NONE}
    return EvidenceCoverage(learners=found[Evidence.NONE], **levels)


def _noted(counted: list[Counted], kind: str) -> tuple[Noted, ...]:
    return tuple(Noted(what=one.which, count=one.count, last_at=one.last_at) for one in counted if one.kind == kind)[:SHOWN]


def _unresolved(stubs: list[Stub]) -> Unresolved:
    names = tuple(Noted(what=one.name, count=one.events, last_at=one.last_at) for one in stubs[:SHOWN])
    return Unresolved(count=len(stubs), events=sum(one.events for one in stubs), most=names)
