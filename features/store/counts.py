"""How much is stored for one tenant, stubs included."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from features.catalogue import KINDS, Learner
from features.columns import instant
from features.events import SKILL_PREFIX, Evidence, Verb
from features.store.events import STANDS
from features.store.lent import LentRows
from features.store.merges import MergeRows
from features.store.outcomes import Counts, Stub
from features.store.tables import CATALOGUE, DECISIONS, EVENTS, OPEN, count_of
from features.xapi.meaning import SOURCE
from features.xapi.parts import WRITTEN, whole_of


class CountRows(MergeRows, LentRows):
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
            unknown_learners=len(learners - self._known_learners()),
            unknown_objects=len(self._unknown_objects()),
            catalogue=kinds,
            verbs=dict(sorted(verbs.items())),
        )

    def unresolved(self) -> tuple[list[Stub], list[Stub]]:
        """(learners, objects) that events speak of and the catalogue does not know, the most frequent first.

        Reads all events: not for the hot path.
        """
        return self._unknown_learners(), self._unknown_objects()

    def shared_names(self) -> list[str]:
        """Names that more than one learner goes by who has not left, sorted: only one of them has the history."""
        whose: dict[str, set[str]] = {}
        person_of = self.people()
        for row in self._rows(Learner, None).values():
            for name in {row.id, *row.aliases} if row.status != "ended" else ():
                whose.setdefault(name, set()).add(person_of.get(row.id, row.id))
        return sorted(name for name, people in whose.items() if len(people) > 1)

    def learners_by_evidence(self) -> dict[Evidence, int]:
        """How many people have an event of each strength of evidence; `NONE`: any event. Reads all events."""
        strength = sa.case({verb.value: int(verb.evidence) for verb in Verb}, value=EVENTS.c.verb, else_=0)
        query = sa.select(strength, EVENTS.c.learner_id).where(EVENTS.c.tenant == self.tenant, STANDS).distinct()
        person_of, found = self.people(), {one: set[str]() for one in Evidence}
        with self._engine.connect() as connection:
            for level, name in connection.execute(query):
                for one in (Evidence(level), Evidence.NONE):
                    found[one].add(person_of.get(name, name))
        return {one: len(people) for one, people in found.items()}

    def _unknown_learners(self) -> list[Stub]:
        known = self._known_learners()
        return _stubs(row for row in self._tally([EVENTS.c.learner_id]) if row[0] not in known)

    def _unknown_objects(self) -> list[Stub]:
        """Without the parts of what the catalogue knows by now, whose events say what they are within."""
        known = self._things()
        part = sa.and_(EVENTS.c.source == SOURCE, EVENTS.c.context.contains(WRITTEN, autoescape=True))
        whole = [row for row in self._tally([EVENTS.c.object_id], ~part) if row[0] not in known]
        parts = self._tally([EVENTS.c.object_id, EVENTS.c.context], part)
        left = [
            row for row in parts if row[0] not in known and whole_of(row[0], json.loads(row[1]), known.__contains__) is None
        ]
        return _stubs([*whole, *left])

    def _tally(self, columns: Sequence[sa.Column[str]], *where: sa.ColumnElement[bool]) -> Sequence[Any]:
        """(*columns, events, when the last was recorded) of events that stand."""
        query = sa.select(*columns, sa.func.count(), sa.func.max(EVENTS.c.recorded_at)).group_by(*columns)
        with self._engine.connect() as connection:
            return connection.execute(query.where(EVENTS.c.tenant == self.tenant, STANDS, *where)).all()

    def newest_event(self) -> tuple[datetime, datetime] | None:
        """(recorded_at, occurred_at) of the event that arrived last; None without one."""
        query = sa.select(EVENTS.c.recorded_at, EVENTS.c.occurred_at).where(EVENTS.c.tenant == self.tenant, STANDS)
        with self._engine.connect() as connection:
            row = connection.execute(query.order_by(EVENTS.c.seq.desc()).limit(1)).first()
        return None if row is None else (instant(row[0]), instant(row[1]))

    def _things(self) -> set[str]:
        """What an event may be about: items, the granted ones among them, and skills."""
        found = self.catalogue()
        return {
            *(name for row in found.items.values() for name in (row.id, *row.aliases)),
            *(SKILL_PREFIX + skill for skill in found.skills),
        }

    def _known_learners(self) -> set[str]:
        """Every name that leads to a learner of the catalogue."""
        rows = self._rows(Learner, None)
        return {*rows, *(name for name, person in self.people().items() if person in rows)}

    def _count_valid(self, kind: str) -> Any:
        return count_of(CATALOGUE).where(CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == kind, OPEN)


def _stubs(rows: Iterable[Any]) -> list[Stub]:
    """By name, the most frequent first. `rows`: (name, ..., events, last)."""
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        events, last = found.get(row[0], (0, 0))
        found[row[0]] = events + row[-2], max(last, row[-1])
    ordered = sorted(found.items(), key=lambda one: (-one[1][0], one[0]))
    return [Stub(name, events, instant(last)) for name, (events, last) in ordered]
