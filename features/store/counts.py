"""How much is stored for one tenant, stubs included."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from features.catalogue import KINDS, Item, Learner, Skill
from features.events import SKILL_PREFIX
from features.store.catalogue import CatalogueRows
from features.store.events import STANDS
from features.store.outcomes import Counts
from features.store.tables import CATALOGUE, DECISIONS, EVENTS, OPEN, count_of


class CountRows(CatalogueRows):
    """The counting part of a session."""

    def counts(self) -> Counts:
        """What is stored for this tenant, stubs included. Reads the index of all events: not for the hot path."""
        mine = sa.and_(EVENTS.c.tenant == self.tenant, STANDS)
        with self._engine.connect() as connection:
            learners = set(connection.execute(sa.select(EVENTS.c.learner_id).where(mine).distinct()).scalars())
            objects = set(connection.execute(sa.select(EVENTS.c.object_id).where(mine).distinct()).scalars())
            by_verb = connection.execute(sa.select(EVENTS.c.verb, sa.func.count()).where(mine).group_by(EVENTS.c.verb))
            verbs = {str(verb): int(count) for verb, count in by_verb}
            decisions = connection.execute(count_of(DECISIONS).where(DECISIONS.c.tenant == self.tenant)).scalar_one()
            kinds = {kind: connection.execute(self._count_valid(kind)).scalar_one() for kind in KINDS}
        return Counts(
            events=sum(verbs.values()),
            decisions=decisions,
            learners_with_events=len(learners),
            objects_with_events=len(objects),
            unknown_learners=len(learners - self._names(Learner)),
            unknown_objects=len(objects - self._names(Item) - {SKILL_PREFIX + skill for skill in self._rows(Skill, None)}),
            catalogue=kinds,
            verbs=dict(sorted(verbs.items())),
        )

    def _names(self, kind: type[Item] | type[Learner]) -> set[str]:
        rows: Iterable[Item | Learner] = self._rows(kind, None).values()
        return {name for row in rows for name in (row.id, *row.aliases)}

    def _count_valid(self, kind: str) -> Any:
        return count_of(CATALOGUE).where(CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == kind, OPEN)
