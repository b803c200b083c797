"""Whom an assignment reached: the answer of `GET /v1/assignments/{assignment_id}/report`."""

from collections.abc import Collection, Sequence
from datetime import datetime

from features.catalogue import Assignment, Learner
from features.duties import Assigned, Duty
from features.events import Event, Verb
from features.store import TenantSession
from features.xapi.parts import resolved
from serving.catalogue import check_row_id, missing
from serving.eligibility import Facts
from serving.owed import duty_of
from serving.payloads import AssignmentReport, Filters, Reached
from serving.prepared import Prepared
from serving.problems import later
from serving.runtime import NotReadyError, Runtime, StoreDownError
from serving.standing import standing


async def report(runtime: Runtime, tenant: str, assignment_id: str) -> AssignmentReport:
    """The answer. Raises RefusedError: 400, 404 for an assignment that does not stand, 503."""
    check_row_id("assignment", assignment_id)
    at = runtime.clock()
    try:
        stock = runtime.stock(tenant)
        found = await runtime.beside(tenant, lambda session: report_of(session, stock, assignment_id, at), long=True)
    except (NotReadyError, StoreDownError) as error:
        raise later(error) from error
    if found is None:
        raise missing("assignment", assignment_id)
    return found


def report_of(session: TenantSession, stock: Prepared, assignment_id: str, at: datetime) -> AssignmentReport | None:
    """Everybody whom it stands for at `at`, by id, but for those who have left; None where it does not stand.

    Reads each learner's history, and all decisions since the assignment was first stored.
    """
    row = session.row("assignment", assignment_id)
    if not isinstance(row, Assignment):
        return None
    item = stock.names.get(row.item_id) or session.by_name("item", [row.item_id]).get(row.item_id)
    names = {row.item_id, *(() if item is None else (item.id, *getattr(item, "aliases", ())))}
    reached, shown = list[Reached](), dict[datetime, set[str]]()
    for learner in _meant(session, row, at):
        own = session.names_of(learner.id, at=at)
        assigned = session.assigned(learner, own, at=at)
        duty = next((one for one in assigned.duties if one.assignment.id == assignment_id), None)
        if duty is None or Facts(at, Filters(learner_id=learner.id), learner, standing((), stock)).ended:
            continue
        if duty.since not in shown:
            shown[duty.since] = session.shown_to(names, since=duty.since)
        events = session.history(learner.id, known_by=at, names=own)
        decided = not shown[duty.since].isdisjoint(own)
        reached.append(_reached(stock, learner, duty, assigned, events, names, at, decided=decided))
    return AssignmentReport(
        assignment_id=assignment_id,
        item_id=row.item_id if item is None else item.id,
        title=getattr(item, "title", None),
        urgent=row.urgent,
        at=at,
        assigned=len(reached),
        seen=sum(one.seen for one in reached),
        acknowledged=sum(one.acknowledged for one in reached),
        done=sum(one.state == "done" for one in reached),
        overdue=sum(one.state == "overdue" for one in reached),
        learners=tuple(reached),
    )


def _meant(session: TenantSession, row: Assignment, at: datetime) -> list[Learner]:
    """Whom it names: one person, or an audience's people, each once under the row that counts."""
    if row.learner_id is not None:
        one = session.learner(row.learner_id, at=at)
        return [] if one is None else [one]
    people = session.people()
    return [one for one in session.learners(at=at).values() if row.audience in one.audiences and one.id not in people]


def _reached(
    stock: Prepared,
    learner: Learner,
    duty: Duty,
    assigned: Assigned,
    events: Sequence[Event],
    names: Collection[str],
    at: datetime,
    *,
    decided: bool,
) -> Reached:
    """`names`: of the item. `decided`: whether a decision showed it to them."""
    events = resolved(events, stock.names.__contains__)
    known = standing(events, stock)
    state = duty_of(stock, Facts(at, Filters(learner_id=learner.id), learner, known), duty, assigned.leaves)
    begun = any(when >= duty.since for name, when in known.taken_up.items() if name in names)
    seen = any(one.verb is Verb.SHOWN and one.object_id in names and one.occurred_at >= duty.since for one in events)
    return Reached(
        learner_id=learner.id,
        seen=seen or decided,
        acknowledged=begun or state.state == "done",
        state=state.state,
        due_at=state.due_at,
    )
