"""What a learner has to do and until when: the answer of `GET /v1/learners/{learner_id}/duties`."""

from collections.abc import Sequence
from datetime import datetime

from features.catalogue import Learner
from features.duties import Duty, Leave, due, paused
from features.events import Event
from features.store import TenantSession
from features.xapi.parts import resolved
from serving.eligibility import Facts
from serving.payloads import DutiesAnswer, DutiesQuery, Filters, LearnerDuty
from serving.prepared import Prepared
from serving.problems import later
from serving.runtime import NotReadyError, Runtime, StoreDownError
from serving.skills import Asked, check_id, moment_of, never_heard_of, read_query
from serving.standing import ALWAYS, Standing, standing, valid_until, with_equivalents


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
    found = [] if facts.ended else [_duty(stock, facts, duty, leaves) for duty in own]
    found.sort(key=lambda one: (one.state == "done", one.due_at or ALWAYS, one.assignment_id))
    return DutiesAnswer(learner_id=learner_id, at=at, bundle=stock.bundle.name, duties=tuple(found))


def _duty(stock: Prepared, facts: Facts, duty: Duty, leaves: Sequence[Leave]) -> LearnerDuty:
    """A completion that no longer holds is due again from when it ended: leave makes no certificate last longer."""
    assignment, item_id = duty.assignment, stock.canonical(duty.assignment.item_id)
    until = _until(stock, facts.standing, item_id, facts.audiences)
    done = until is not None and facts.at < until
    first = due(duty, leaves, facts.at)
    end = first if until is None else None if until == ALWAYS else max(until, first or until)
    rests = until is None and paused(duty, leaves, facts.at)
    item = stock.names.get(item_id)
    return LearnerDuty(
        assignment_id=assignment.id,
        item_id=item_id,
        title=None if item is None else item.title,
        mandatory=assignment.mandatory,
        urgent=assignment.urgent,
        state="done" if done else "overdue" if end is not None and end <= facts.at else "open",
        due_at=end,
        paused=rests,
    )


def _until(stock: Prepared, known: Standing, item_id: str, audiences: Sequence[str]) -> datetime | None:
    """Until when an item counts as finished, itself or by what it is equivalent to; None where it never was."""
    ends = [
        valid_until(stock, name, when)
        for name, when in known.finished.items()
        if item_id in with_equivalents({name}, stock, audiences)
    ]
    return max(ends, default=None)
