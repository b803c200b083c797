"""Slates as the service makes them, in batches: the only module here that needs what serves.

Learner, history, duties, arm, policy and bundle are looked up as `serving.runtime` does, and `serving.pipeline.rank` decides.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from features.catalogue import Learner
from features.decisions import Decision
from features.duties import Assigned
from features.store import TenantSession
from serving.arms import Arms, Experiments, Treatment
from serving.bundles import Bundles
from serving.payloads import RecommendationsRequest
from serving.pipeline import rank
from serving.policy import Policy
from serving.prepared import Prepared


class UnservedError(ValueError):
    """No bundle of the tenant that can rank; the message says what to do."""


class Service:
    """The champion of a tenant under `bundles`, the default policy, and the experiments under `records`."""

    def __init__(self, bundles: Path, records: Path, session: TenantSession) -> None:
        experiments = Experiments(records)
        loaded = Bundles(bundles, experiments.bundles)
        loaded.refresh()
        stock = loaded.current(session.tenant)
        if stock is None:
            why = loaded.refused.get(session.tenant, "there is none")
            raise UnservedError(f"tenant {session.tenant} has no bundle under {bundles} ({why}); run `training publish` first")
        self._stock: Prepared = stock
        self._arms, self._policy, self._session = Arms(experiments, loaded), Policy(), session
        self._assigned: dict[str, Assigned] = {}

    @property
    def items(self) -> tuple[str, ...]:
        """The ids that the bundle can rank."""
        return self._stock.ids

    def arms(self, learner_id: str, at: datetime) -> Mapping[str, str]:
        """By experiment, the arm of a learner."""
        return self._treatment(learner_id, self._session.learner(learner_id, at=at)).arms

    def decide(self, learner_id: str, at: datetime, decision_id: str, limit: int) -> Decision:
        """One ranking for a home page, not recorded yet."""
        session, request = self._session, RecommendationsRequest(learner_id=learner_id, limit=limit, surface="home")
        learner, names = session.learner(learner_id, at=at), session.names_of(learner_id, at=at)
        treated = self._treatment(learner_id, learner)
        return rank(
            treated.stock,
            request,
            learner,
            session.history(learner_id, known_by=at, names=names),
            at=at,
            decision_id=decision_id,
            policy=treated.policy,
            arms=treated.arms,
            fallback=treated.fallback,
            assigned=self._standing(learner_id, learner, names, at),
        )

    def _treatment(self, learner_id: str, learner: Learner | None) -> Treatment:
        return self._arms.treatment("ranking", self._session.tenant, learner_id, learner, self._policy, self._stock)

    def _standing(self, learner_id: str, learner: Learner | None, names: tuple[str, ...], at: datetime) -> Assigned:
        """Read once a learner: no catalogue row changes while the experiment runs."""
        if learner_id not in self._assigned:
            self._assigned[learner_id] = self._session.assigned(learner, names, at=at)
        return self._assigned[learner_id]
