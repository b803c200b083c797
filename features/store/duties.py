"""What a learner has to do, and when they were on leave: read from the versions of the catalogue."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from features.catalogue import Assignment, Learner
from features.columns import instant, microseconds
from features.duties import Duty, Leave
from features.store.learners import LearnerRows
from features.store.tables import CATALOGUE


class DutyRows(LearnerRows):
    """The duties' part of a session."""

    def duties(self, learner_id: str, *, at: datetime) -> list[Duty]:
        """The assignments that stand at `at` for a person, by any of their ids, or for one of their audiences, by id.

        `since`: when the assignment was first stored.
        """
        learner, names = self.learner(learner_id, at=at), self.names_of(learner_id, at=at)
        audiences = () if learner is None else learner.audiences
        first = sa.func.min(CATALOGUE.c.valid_from).over(partition_by=CATALOGUE.c.id)
        versions = self._begun("assignment", at, first.label("first")).subquery()
        query = sa.select(versions.c.body, versions.c.first).where(_stands(versions.c, at)).order_by(versions.c.id)
        with self._engine.connect() as connection:
            rows = [Duty(Assignment.model_validate_json(body), instant(since)) for body, since in connection.execute(query)]
        return [one for one in rows if one.assignment.learner_id in names or one.assignment.audience in audiences]

    def leaves(self, learner_id: str, *, at: datetime) -> list[Leave]:
        """When a person was on leave, as their row said it, in order; the last one has no end while it lasts at `at`."""
        learner, found = self.learner(learner_id, at=at), list[Leave]()
        if learner is None:
            return found
        query = self._begun("learner", at).where(CATALOGUE.c.id == learner.id).order_by(CATALOGUE.c.valid_from)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        for row in rows:
            if Learner.model_validate_json(row.body).status != "leave":
                continue
            ended = row.valid_to is not None and row.valid_to <= microseconds(at)
            since, until = instant(row.valid_from), instant(row.valid_to) if ended else None
            if found and found[-1].until == since:  # a version that says the same of it
                since = found.pop().since
            found.append(Leave(since, until))
        return found

    def _begun(self, kind: str, at: datetime, *more: Any) -> Any:
        """Those that began by `at`."""
        columns = CATALOGUE.c.id, CATALOGUE.c.body, CATALOGUE.c.valid_from, CATALOGUE.c.valid_to, *more
        mine = CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == kind
        return sa.select(*columns).where(*mine, CATALOGUE.c.valid_from <= microseconds(at))


def _stands(columns: Any, at: datetime) -> Any:
    return sa.or_(columns.valid_to.is_(None), columns.valid_to > microseconds(at))
