"""A learner's history: what happened under all of their names, as known at any moment. The hot path of serving."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from features.columns import microseconds
from features.events import Event
from features.histories import HistoryCache, Read, Stamp
from features.store.events import BY_TIME, READ, STANDS, event_of
from features.store.learners import LearnerRows
from features.store.reading import Compiled, compiled
from features.store.rows import MAX_BATCH, NO_LIMIT, among, place_of
from features.store.tables import EVENTS
from features.xapi.meaning import SOURCE
from features.xapi.parts import WRITTEN

_CONTEXT: Final = READ.index(EVENTS.c.context)
_WHO: Final = READ.index(EVENTS.c.learner_id)


class HistoryRows(LearnerRows):
    """The histories' part of a session."""

    def history(
        self, learner_id: str, *, known_by: datetime | None = None, names: tuple[str, ...] | None = None
    ) -> list[Event]:
        """A learner's events that were known at `known_by` (all when None), by (occurred_at, seq). The hot path of serving.

        The events of an id and of its aliases are one history, under whichever of these names it is asked for.
        `names`: what `names_of` says of them, where that was asked for already.
        """
        bound = NO_LIMIT if known_by is None else microseconds(known_by)
        names = self.names_of(learner_id, at=known_by) if names is None else names
        if self._histories is not None:
            return self._remembered(self._histories, names, bound)
        return [event_of(self.tenant, row) for row in self._history_rows(names, bound)]

    def touching(self, names: Collection[str], objects: Collection[str], *, known_by: datetime) -> dict[str, list[Event]]:
        """By name the events about any of these objects, or about parts of what was not known yet, by (occurred_at, seq).

        For reports over many people: one read for thousands of names, and no history is remembered.
        """
        bound, listed = microseconds(known_by), sorted(objects)
        part = f"(source = {{}} AND {place_of(self._engine.dialect)}(context, {{}}) > 0)"
        query = (
            f"SELECT {', '.join(column.name for column in READ)} FROM events WHERE tenant = {{}}"
            f" AND (object_id IN ({', '.join(['{}'] * len(listed))}) OR {part}) AND known_at <= {bound:d}"
            f" AND (voided_at IS NULL OR voided_at > {bound:d}) AND learner_id {{}}"
        )
        found, left = list[Any](), iter(sorted(names))
        with self._engine.connect() as connection:
            while page := list(islice(left, MAX_BATCH)):
                found += among(connection, query, (self.tenant, *listed, SOURCE, WRITTEN), page)
        told: dict[str, list[Event]] = {}
        for row in sorted(found, key=BY_TIME):
            told.setdefault(row[_WHO], []).append(event_of(self.tenant, row))
        return told

    def _history_rows(self, names: Sequence[str], bound: int) -> list[Any]:
        """Rows known at `bound` and not taken back by then."""
        return self._rows_by_time(_history_statement(self._engine.dialect), names, {"bound": bound})

    def _every_row(self, names: Sequence[str]) -> list[Any]:
        """All rows, those that were taken back too."""
        return self._rows_by_time(_whole_statement(self._engine.dialect), names, {})

    def _rows_by_time(self, statement: Compiled, names: Sequence[str], values: dict[str, Any]) -> list[Any]:
        given = [{"tenant": self.tenant, "learner": name, **values} for name in names]
        rows = [row for values in given for row in self._fetch(statement, values)]
        return sorted(rows, key=BY_TIME) if len(names) > 1 else rows

    def _remembered(self, histories: HistoryCache, names: Sequence[str], bound: int) -> list[Event]:
        def read() -> Read:
            rows = self._every_row(names)
            sequence, gone = [row[0] for row in rows], {row[1]: row[-1] for row in rows if row[-1] is not None}
            stamp = len(rows), max(sequence, default=0), sum(sequence), len(gone)
            weight = sum(1 + len(row[_CONTEXT]) // 1_000 for row in rows)
            return stamp, [event_of(self.tenant, row) for row in rows], gone, weight

        return histories.history(self.tenant, tuple(names), bound, self._stamp(names), read)

    def _stamp(self, names: Sequence[str]) -> Stamp:
        statement = _stamp_statement(self._engine.dialect)
        found = [self._fetch(statement, {"tenant": self.tenant, "learner": name})[0] for name in names]
        count, last, total, gone = zip(*found, strict=True)
        return sum(count), max(one or 0 for one in last), sum(int(one or 0) for one in total), sum(gone)


@lru_cache
def _history_statement(dialect: sa.Dialect) -> Compiled:
    bound = sa.bindparam("bound", type_=sa.BigInteger)
    return compiled(_whole().where(EVENTS.c.known_at <= bound, sa.or_(STANDS, EVENTS.c.voided_at > bound)), dialect)


@lru_cache
def _whole_statement(dialect: sa.Dialect) -> Compiled:
    return compiled(_whole(), dialect)


def _whole() -> sa.Select[Any]:
    mine = EVENTS.c.tenant == sa.bindparam("tenant"), EVENTS.c.learner_id == sa.bindparam("learner")
    return sa.select(*READ).where(*mine).order_by(EVENTS.c.occurred_at, EVENTS.c.seq)


@lru_cache
def _stamp_statement(dialect: sa.Dialect) -> Compiled:
    counted = sa.func.count(), sa.func.max(EVENTS.c.seq), sa.func.sum(EVENTS.c.seq), sa.func.count(EVENTS.c.voided_at)
    query = sa.select(*counted).where(EVENTS.c.tenant == sa.bindparam("tenant"), EVENTS.c.learner_id == sa.bindparam("learner"))
    return compiled(query, dialect)
