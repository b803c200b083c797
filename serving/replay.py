"""Replay: a logged decision made again from the store, the bundle and its own record."""

from collections.abc import Sequence
from dataclasses import dataclass

from features.catalogue import Learner
from features.decisions import Decision
from features.duties import NOTHING, Assigned
from features.events import Event
from features.grants import Grant
from features.store import TenantSession
from serving.eligibility import RULES_VERSION
from serving.payloads import RankRequest, RecommendationsRequest, Request
from serving.pipeline import HISTORY_UNAVAILABLE, PERSONALISATION_OFF, Ranked, ranked
from serving.policy import Policy
from serving.prepared import Prepared


def replay(session: TenantSession, stock: Prepared, policy: Policy, decision: Decision) -> Decision:
    """The decision of `replayed`."""
    return replayed(session, stock, policy, decision).decision


def replayed(session: TenantSession, stock: Prepared, policy: Policy, decision: Decision) -> Ranked:
    """The decision as it would be made again from the events that it read, with the results of its stages.

    The log names them, so nothing that came later plays a part: no late statement, no import of history, no event that was
    being written while the decision was made. Raises ValueError when bundle, policy or tenant are not the ones that made
    it, or when an event that it read is gone (its learner was erased).
    """
    made_by = (decision.bundle, decision.policy, decision.tenant, decision.versions.get("rules"))
    given = (stock.bundle.name, policy.digest, session.tenant, RULES_VERSION)
    if made_by != given:
        words = f"decision {decision.decision_id} was made by (bundle, policy, tenant, rules)"
        raise ValueError(f"{words} {made_by}, not by {given}")
    return made_again(read_again(session, decision), stock, policy)


@dataclass(frozen=True)
class Read:
    """A logged decision, and what it was made from: as the store said at its moment, and the events that it read."""

    decision: Decision
    learner: Learner | None
    history: Sequence[Event]
    assigned: Assigned
    grants: tuple[Grant, ...]
    nudges: Sequence[Decision] = ()


def read_again(session: TenantSession, decision: Decision) -> Read:
    """Raises ValueError when an event, or a nudge, that it read is gone."""
    known = decision.fallback != HISTORY_UNAVAILABLE
    learner = session.learner(decision.learner_id, at=decision.decided_at) if known else None
    return Read(
        decision,
        learner,
        _events_read(session, decision),
        _assigned(session, decision, learner) if known else NOTHING,
        session.grants(at=decision.decided_at) if known else (),
        _nudges_read(session, decision),
    )


def made_again(read: Read, stock: Prepared, policy: Policy) -> Ranked:
    """What a bundle and a policy make of it, whether or not they made the decision."""
    decision = read.decision
    return ranked(
        stock,
        recorded_request(decision),
        read.learner,
        read.history,
        at=decision.decided_at,
        decision_id=decision.decision_id,
        policy=policy,
        arms=decision.arms,
        fallback=None if decision.fallback == PERSONALISATION_OFF else decision.fallback,
        assigned=read.assigned,
        grants=read.grants,
        nudges=read.nudges,
    )


def _assigned(session: TenantSession, decision: Decision, learner: Learner | None) -> Assigned:
    """What was assigned by the moment of the decision: the catalogue keeps every version."""
    at = decision.decided_at
    return session.assigned(learner, session.names_of(decision.learner_id, at=at), at=at)


def _events_read(session: TenantSession, decision: Decision) -> list[Event]:
    """The events of the log, in its order, whoever they belong to by now."""
    held = session.named(decision.events_read)
    gone = [event_id for event_id in decision.events_read if event_id not in held]
    if gone:
        raise ValueError(f"decision {decision.decision_id} read {len(gone)} events that are no longer stored, {gone[0]} first")
    return [held[event_id] for event_id in decision.events_read]


def _nudges_read(session: TenantSession, decision: Decision) -> list[Decision]:
    found = [session.decision(name) for name in decision.nudges_read]
    if None in found:
        raise ValueError(f"decision {decision.decision_id} counted nudges that are no longer stored")
    return [one for one in found if one is not None]


def recorded_request(decision: Decision) -> Request:
    """The request of a logged decision."""
    kind = RankRequest if "candidates" in decision.request else RecommendationsRequest
    return kind.model_validate(decision.request, strict=False)
