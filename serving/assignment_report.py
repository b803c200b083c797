"""Whom an assignment reached: the answer of `GET /v1/assignments/{assignment_id}/report`."""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from features.catalogue import Assignment, Learner
from features.duties import Duty, Leave
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
from serving.standing import Standing, standing

NOTHING_DONE: Final = Standing()


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

    Reads what all of them did with the item, and which decisions since the assignment was first stored showed it.
    """
    row, since = session.row("assignment", assignment_id), session.stands_since(assignment_id)
    if not isinstance(row, Assignment) or since is None:
        return None
    item = stock.names.get(row.item_id) or session.by_name("item", [row.item_id]).get(row.item_id)
    own = {row.item_id, *(() if item is None else (item.id, *getattr(item, "aliases", ())))}
    people = session.people()
    told = _Told(stock, Duty(row, since), at, frozenset(own), session.shown_to(own, since=since))
    meant = [one for one in _meant(session, row, people, at) if not told.facts(one).ended]
    leaves = session.everybodys_leaves(at=at)
    reached = [
        told.reached(learner, names, events, leaves.get(learner.id, ()))
        for learner, names, events in _what_they_did(session, meant, people, told.counted(), at)
    ]
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


def _meant(session: TenantSession, row: Assignment, people: Mapping[str, str], at: datetime) -> list[Learner]:
    """Whom it names: one person, or an audience's people, each once under the row that counts."""
    if row.learner_id is not None:
        one = session.learner(row.learner_id, at=at)
        return [] if one is None else [one]
    return [one for one in session.learners(at=at).values() if row.audience in one.audiences and one.id not in people]


def _what_they_did(
    session: TenantSession, meant: Sequence[Learner], people: Mapping[str, str], objects: Collection[str], at: datetime
) -> Iterator[tuple[Learner, Sequence[str], Sequence[Event]]]:
    """Each learner with all of their names, and their events about the objects, oldest first."""
    names = {one.id: [one.id] for one in meant}
    for name, person in people.items():
        if person in names:
            names[person].append(name)
    did = session.touching([name for own in names.values() for name in own], objects, known_by=at)
    for learner in meant:
        own = names[learner.id]
        events = [event for name in own for event in did.get(name, ())]
        yield learner, own, events if len(own) == 1 else sorted(events, key=lambda one: one.occurred_at)


@dataclass(frozen=True)
class _Told:
    """What is told of each learner. `own`: all names of the item. `shown`: to whom decisions showed it."""

    stock: Prepared
    duty: Duty
    at: datetime
    own: frozenset[str]
    shown: Set[str]

    def counted(self) -> set[str]:
        """The names of the item, and of all that stands for it."""
        stands = self.own | {one for one, others in self.stock.equivalents.items() if self.own & {name for name, _ in others}}
        items = (self.stock.names[name] for name in stands if name in self.stock.names)
        return {*stands, *(name for item in items for name in (item.id, *item.aliases))}

    def facts(self, learner: Learner, known: Standing = NOTHING_DONE) -> Facts:
        return Facts(self.at, Filters(learner_id=learner.id), learner, known)

    def reached(self, learner: Learner, names: Sequence[str], events: Sequence[Event], leaves: Sequence[Leave]) -> Reached:
        """What of an earlier assignment, or of none, was done before this one stood acknowledges nothing."""
        events, since = resolved(events, self.stock.names.__contains__), self.duty.since
        known = standing(events, self.stock)
        state = duty_of(self.stock, self.facts(learner, known), self.duty, leaves)
        begun = any(when >= since for name, when in known.taken_up.items() if name in self.own)
        done = state.state == "done" and any(when >= since for when in known.finished.values())
        seen = any(one.verb is Verb.SHOWN and one.object_id in self.own and one.occurred_at >= since for one in events)
        return Reached(
            learner_id=learner.id,
            seen=seen or not self.shown.isdisjoint(names),
            acknowledged=begun or done,
            state=state.state,
            due_at=state.due_at,
        )
