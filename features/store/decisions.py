"""Decisions: what was shown and why, written once."""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from features.columns import instant, microseconds
from features.decisions import Decision
from features.store.bulk import insert_rows
from features.store.rows import MAX_BATCH, NO_LIMIT, TenantRows, place_of
from features.store.suppression import erased
from features.store.tables import DECISIONS, count_of

_COLUMNS: Final = ("tenant", "decision_id", "learner_id", "decided_at", "body", "spoke")
_AT: Final = _COLUMNS.index("decided_at")


class Decided(NamedTuple):
    """A decision without what was decided."""

    seq: int
    decision_id: str
    learner_id: str
    decided_at: datetime


class DecisionRows(TenantRows):
    """The decisions' part of a session."""

    def record(self, decisions: Sequence[Decision]) -> None:
        """Stores decisions in one synced transaction; one that is stored already stays as it is.

        One about a learner who was erased after it is left out: it may have waited in a spool.
        """
        with self._writing(DECISIONS) as connection:
            self._record(connection, decisions)

    def decision(self, decision_id: str) -> Decision | None:
        """One decision, None when there is none of this id."""
        query = sa.select(DECISIONS.c.body).where(DECISIONS.c.tenant == self.tenant, DECISIONS.c.decision_id == decision_id)
        with self._engine.connect() as connection:
            body = connection.execute(query).scalar()
        return None if body is None else Decision.model_validate_json(body)

    def decisions(self, *, after: int = 0, limit: int | None = None) -> Iterator[tuple[int, Decision]]:
        """(seq, decision) in order of arrival, `seq > after`."""
        query = sa.select(DECISIONS.c.seq, DECISIONS.c.body).where(DECISIONS.c.tenant == self.tenant).order_by(DECISIONS.c.seq)
        for seq, body in self._pages(query, DECISIONS.c.seq, after, limit):
            yield seq, Decision.model_validate_json(body)

    def count_decisions(self, *, after: int, until: int) -> int:
        """How many decisions have `after < seq <= until`."""
        table = DECISIONS.c
        query = count_of(DECISIONS).where(table.tenant == self.tenant, table.seq > after, table.seq <= until)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def decided(self) -> Iterator[Decided]:
        """Every decision without its body, in order of arrival. Passes over all rows."""
        table = DECISIONS.c
        query = sa.select(table.seq, table.decision_id, table.learner_id, table.decided_at).where(table.tenant == self.tenant)
        for seq, name, who, at in self._pages(query.order_by(table.seq), table.seq, 0, None):
            yield Decided(seq, name, who, instant(at))

    def decided_between(self, since: datetime, until: datetime) -> Iterator[Decision]:
        """Decisions with since <= decided_at < until, in order of arrival. Passes over all rows."""
        at = DECISIONS.c.decided_at
        query = sa.select(DECISIONS.c.seq, DECISIONS.c.body).where(
            DECISIONS.c.tenant == self.tenant, at >= microseconds(since), at < microseconds(until)
        )
        for _, body in self._pages(query.order_by(DECISIONS.c.seq), DECISIONS.c.seq, 0, None):
            yield Decision.model_validate_json(body)

    def first_decided(self, since: datetime, until: datetime, *, nudges: bool) -> dict[str, datetime]:
        """Every name that was decided for with since <= decided_at < until, by a nudge or else by a ranking -> the first time.

        Passes over all rows, and reads no body.
        """
        table, nudge = DECISIONS.c, DECISIONS.c.body.contains('"kind":"nudge"', autoescape=True)
        query = sa.select(table.learner_id, sa.func.min(table.decided_at)).where(
            table.tenant == self.tenant, table.decided_at >= microseconds(since), table.decided_at < microseconds(until)
        )
        query = query.where(nudge if nudges else ~nudge).group_by(table.learner_id)
        with self._engine.connect() as connection:
            return {who: instant(at) for who, at in connection.execute(query)}

    def shown_to(self, items: Collection[str], *, since: datetime) -> set[str]:
        """By whatever name they were asked for, the learners to whom a decision of `since` or later showed one of these items.

        The database passes over all rows, and sends none of them.
        """
        said = [f'"item_id":{json.dumps(name, ensure_ascii=False)}' for name in items]
        place = getattr(sa.func, place_of(self._engine.dialect))
        query = sa.select(DECISIONS.c.learner_id).where(
            DECISIONS.c.tenant == self.tenant,
            DECISIONS.c.decided_at >= microseconds(since),
            sa.or_(*(place(DECISIONS.c.body, one) > 0 for one in said)),
        )
        with self._engine.connect() as connection:  # in the order of the rows: by learner they would be read here and there
            return set(connection.execute(query.order_by(DECISIONS.c.seq)).scalars())

    def newest_decisions(self, limit: int, *, bundle: str, learners: Collection[str]) -> list[Decision]:
        """Of the `limit` decisions that arrived last those by a bundle for some learners, in order of arrival."""
        last = sa.select(DECISIONS.c.seq, DECISIONS.c.learner_id, DECISIONS.c.body).where(DECISIONS.c.tenant == self.tenant)
        found: list[Decision] = []
        for _, who, body in self._newest(last.order_by(DECISIONS.c.seq.desc()), limit):
            if who in learners and bundle in body:  # most are told apart without being read
                found.append(Decision.model_validate_json(body))
        return [one for one in reversed(found) if one.bundle == bundle]

    def last_decisions(self, limit: int, *, before: int | None = None) -> list[tuple[int, Decision]]:
        """(seq, decision) of the `limit` that arrived last, or last before `seq < before`; the newest first."""
        query = sa.select(DECISIONS.c.seq, DECISIONS.c.body).where(DECISIONS.c.tenant == self.tenant)
        query = query.where(DECISIONS.c.seq < (NO_LIMIT if before is None else before)).order_by(DECISIONS.c.seq.desc())
        with self._engine.connect() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return [(seq, Decision.model_validate_json(body)) for seq, body in rows]

    def _record(self, connection: sa.Connection, decisions: Sequence[Decision]) -> None:
        rows = [self._decision_row(decision) for decision in decisions]
        gone = erased(connection, self.tenant, [decision.learner_id for decision in decisions])
        each = zip(decisions, rows, strict=True)
        kept = [row for decision, row in each if row[_AT] > gone.get(decision.learner_id, -NO_LIMIT)]
        insert_rows(connection, DECISIONS, _COLUMNS, kept, once=True)

    def _newest(self, query: Any, limit: int) -> Iterator[Any]:
        before, left = NO_LIMIT, limit
        while left > 0:
            with self._engine.connect() as connection:
                page = connection.execute(query.where(DECISIONS.c.seq < before).limit(min(left, MAX_BATCH))).all()
            yield from page
            if not page:
                return
            before, left = page[-1][0], left - len(page)

    def _decision_row(self, decision: Decision) -> tuple[Any, ...]:
        """In the order of `_COLUMNS`."""
        if decision.tenant != self.tenant:
            raise ValueError(f"decision {decision.decision_id!r} belongs to tenant {decision.tenant!r}, not {self.tenant!r}")
        at, spoke = microseconds(decision.decided_at), int(decision.nudge is not None and decision.nudge.spoke)
        return self.tenant, decision.decision_id, decision.learner_id, at, decision.model_dump_json(), spoke
