"""What a learner has to do and until when: the answer of `GET /v1/learners/{learner_id}/duties`."""

from collections.abc import Sequence
from datetime import datetime

from features.catalogue import Learner
from features.duties import Duty, Leave
from features.events import Event
from features.store import TenantSession
from features.xapi.parts import resolved
from serving.eligibility import Facts
from serving.owed import duty_of
from serving.payloads import DutiesAnswer, DutiesQuery, Filters
from serving.prepared import Prepared
from serving.problems import later
from serving.runtime import NotReadyError, Runtime, StoreDownError
from serving.skills import Asked, check_id, moment_of, never_heard_of, read_query
from serving.standing import ALWAYS, standing


async def duties(runtime: Runtime, tenant: str, learner_id: str, asked: Asked) -> DutiesAnswer:
    """The answer of `/duties`. Raises RefusedError: 400, 404 for somebody never heard of, 503."""
    check_id(learner_id)
    at = moment_of(runtime, read_query(DutiesQuery, asked).at)

    def known(session: TenantSession) -> tuple[Learner | None, Sequence[Event], Sequence[Duty], Sequence[Leave]]:
        learner, events = session.learner(learner_id, at=at), session.history(learner_id, known_by=at)
        return learner, events, session.duties(learner_id, at=at), session.leaves(learner_id, at=at)

    try:
        stock = runtime.stock(tenant)
        learner, events, own, leaves = await runtime.beside(tenant, known)
    except (NotReadyError, StoreDownError) as error:
        raise later(error) from error
    if learner is None and not (events or own):
        raise never_heard_of(learner_id, at)
    return await runtime.worked_out(len(events), lambda: duties_of(stock, learner_id, learner, events, own, leaves, at))


def duties_of(
    stock: Prepared,
    learner_id: str,
    learner: Learner | None,
    events: Sequence[Event],
    own: Sequence[Duty],
    leaves: Sequence[Leave],
    at: datetime,
) -> DutiesAnswer:
    """What is due at `at`, the next first, what is done last; nothing of a learner who has left."""
    facts = Facts(at, Filters(learner_id=learner_id), learner, standing(resolved(events, stock.names.__contains__), stock))
    found = [] if facts.ended else [duty_of(stock, facts, duty, leaves) for duty in own]
    found.sort(key=lambda one: (one.state == "done", one.due_at or ALWAYS, one.assignment_id))
    return DutiesAnswer(learner_id=learner_id, at=at, bundle=stock.bundle.name, duties=tuple(found))
