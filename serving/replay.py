"""Replay: a logged decision made again from the store, the bundle and its own record."""

from features.decisions import Decision
from features.store import TenantSession
from serving.payloads import RankRequest, RecommendationsRequest, Request
from serving.pipeline import HISTORY_UNAVAILABLE, PERSONALISATION_OFF, rank
from serving.policy import Policy
from serving.prepared import Prepared


def replay(session: TenantSession, stock: Prepared, policy: Policy, decision: Decision) -> Decision:
    """The decision as it would be made from what was known when it was made.

    Raises ValueError when bundle, policy or tenant are not the ones that made it.
    """
    made_by = (decision.bundle, decision.policy, decision.tenant)
    given = (stock.bundle.name, policy.digest, session.tenant)
    if made_by != given:
        raise ValueError(f"decision {decision.decision_id} was made by (bundle, policy, tenant) {made_by}, not by {given}")
    known = decision.fallback != HISTORY_UNAVAILABLE
    learner = session.learner(decision.learner_id, at=decision.decided_at) if known else None
    history = session.history(decision.learner_id, known_by=decision.decided_at) if known else []
    return rank(
        stock,
        recorded_request(decision),
        learner,
        history,
        at=decision.decided_at,
        decision_id=decision.decision_id,
        policy=policy,
        fallback=None if decision.fallback == PERSONALISATION_OFF else decision.fallback,
    )


def recorded_request(decision: Decision) -> Request:
    """The request of a logged decision."""
    kind = RankRequest if "candidates" in decision.request else RecommendationsRequest
    return kind.model_validate(decision.request, strict=False)
