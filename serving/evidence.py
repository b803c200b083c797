"""`POST /v1/evidence`: that a skill was used, by whoever can say so; whoever vouches is another learner of the catalogue."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from features.catalogue import Learner
from features.events import Event
from features.store import TenantSession
from serving.ingest import attempt, parsed, store
from serving.payloads import EventResult, EventsAnswer, EvidenceIn
from serving.problems import later
from serving.runtime import Runtime, StoreDownError

_People = Mapping[str, Learner | None]


async def evidence(runtime: Runtime, tenant: str, body: Any) -> EventsAnswer:
    """Validate, store and report, as `serving.ingest.ingest` does."""
    given = await parsed(runtime, body, EvidenceIn)
    people = await _people(runtime, tenant, [one for one in given if isinstance(one, EvidenceIn)])

    def event(index: int, one: EvidenceIn, now: datetime) -> Event | EventResult:
        return _judged(index, one, people, tenant, now)

    return await store(runtime, tenant, given, event, single=isinstance(body, dict))


def _judged(index: int, one: EvidenceIn, people: _People, tenant: str, now: datetime) -> Event | EventResult:
    """The event that a row is, or what is wrong with it."""
    wrong = _wrong(index, one, people)
    if wrong is not None:
        return wrong
    said, by_manager = _vouched(one, people)
    return attempt(index, one.event_id, lambda: said.event(tenant, now, by_manager=by_manager))


async def _people(runtime: Runtime, tenant: str, given: Sequence[EvidenceIn]) -> _People:
    """The learners behind the names in evidence that somebody vouches for; None for one that the catalogue does not know."""
    names = {name for one in given if one.by is not None for name in (one.by, one.learner_id)}
    if not names:
        return {}

    def found(session: TenantSession) -> _People:
        return {name: session.learner(name) for name in names}

    try:
        return await runtime.beside(tenant, found)
    except StoreDownError as error:
        raise later(error) from error


def _wrong(index: int, one: EvidenceIn, people: _People) -> EventResult | None:
    """Why nobody can vouch as it says; None where somebody can, or nobody does."""
    if one.by is None:
        return None
    voucher, learner = people[one.by], people[one.learner_id]
    if voucher is None:
        detail = f"by: {one.by!r} is no learner of the catalogue: PUT /v1/learners first"
    elif learner is not None and learner.id == voucher.id:
        detail = f"by: {one.by!r} is the learner: nobody vouches for themselves; send kind `follow_up`"
    else:
        return None
    return EventResult(index=index, event_id=one.event_id, outcome="invalid", field="by", detail=detail)


def _vouched(one: EvidenceIn, people: _People) -> tuple[EvidenceIn, bool]:
    """The evidence with the id of who vouches, and whether that is the learner's manager."""
    voucher, learner = people.get(one.by or ""), people.get(one.learner_id)
    if voucher is None:
        return one, False
    manager = None if learner is None else learner.manager_id
    return one.model_copy(update={"by": voucher.id}), manager in (voucher.id, *voucher.aliases)
