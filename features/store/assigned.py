"""What is assigned to a learner, as a ranking needs it: on the hot path of serving, so what stands is kept between requests."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from features.assigned import Begun, Standing
from features.audit import Act
from features.catalogue import Assignment, Item, Learner
from features.columns import instant, microseconds
from features.duties import Assigned, Duty, Leave
from features.store.duties import DutyRows
from features.store.reading import Compiled, compiled
from features.store.rows import NO_LIMIT, among
from features.store.tables import AUDIT, CATALOGUE, OPEN

_CHANGES: Final = (Act.CATALOGUE_CHANGED, Act.CATALOGUE_SYNCED, Act.CATALOGUE_RETIRED, Act.LEARNER_ERASED)
_TOLD, _LEAVE = "told", "leave"
_ON_LEAVE: Final = '%"status":"leave"%'
_ALIASES: Final = "SELECT alias, item_id FROM item_aliases WHERE tenant = {} AND alias {}"


class AssignedRows(DutyRows):
    """The part of a session that rankings read duties from."""

    def assigned(self, learner: Learner | None, names: Sequence[str], *, at: datetime) -> Assigned:
        """What stands at `at` for a person of these names or for one of their audiences, their leaves, and the items.

        One read where the session keeps what stands. `at` must then be no moment of the past: what was is not kept.
        """
        kept = None if self._assigned is None else self._assigned.get(self.tenant)
        who = names[0] if learner is None else learner.id
        seq, changed, leaves = self._news(who, 0 if kept is None else kept.seq, microseconds(at))
        if self._assigned is None:
            kept = self._standing(seq, microseconds(at))
        elif kept is None or changed:
            kept = self._standing(seq, NO_LIMIT)
            self._assigned.keep(self.tenant, kept)
        elif seq > kept.seq:
            kept = Standing(seq, kept.learners, kept.audiences, kept.items)
            self._assigned.keep(self.tenant, kept)
        rows = kept.of(names, () if learner is None else learner.audiences, microseconds(at))
        named = {row.assignment.item_id for row in rows}
        items = {name: found for name in named if (found := kept.items.get(name)) is not None and found[1] <= microseconds(at)}
        known = [row.begun for row in rows] + [begun for _, begun in items.values()]
        return Assigned(
            duties=tuple(Duty(row.assignment, instant(row.first)) for row in rows),
            leaves=tuple(leaves),
            items={name: item for name, (item, _) in items.items()},
            known_at=instant(max(known)) if known else None,
        )

    def stands_since(self, assignment_id: str) -> datetime | None:
        """When an assignment was first stored; None for one that never was."""
        query = sa.select(sa.func.min(CATALOGUE.c.valid_from)).where(
            CATALOGUE.c.tenant == self.tenant, CATALOGUE.c.kind == "assignment", CATALOGUE.c.id == assignment_id
        )
        with self._engine.connect() as connection:
            first = connection.execute(query).scalar()
        return None if first is None else instant(first)

    def everybodys_leaves(self, *, at: datetime) -> dict[str, tuple[Leave, ...]]:
        """The leaves that began by `at` of everybody who had any, by id of their row. One read of all versions of learners."""
        query = sa.select(CATALOGUE.c.id, CATALOGUE.c.valid_from, CATALOGUE.c.valid_to).where(
            CATALOGUE.c.tenant == self.tenant,
            CATALOGUE.c.kind == "learner",
            CATALOGUE.c.valid_from <= microseconds(at),
            CATALOGUE.c.body.like(_ON_LEAVE),
        )
        spans: dict[str, list[tuple[int, int | None]]] = {}
        with self._engine.connect() as connection:
            for who, since, until in connection.execute(query.order_by(CATALOGUE.c.id, CATALOGUE.c.valid_from)):
                spans.setdefault(who, []).append((since, until))
        return {who: tuple(_leaves(own, microseconds(at))) for who, own in spans.items()}

    def _news(self, learner_id: str, after: int, at: int) -> tuple[int, bool, list[Leave]]:
        """(last row of the audit log, whether one since `after` tells of assignments or items, the leaves of a learner)."""
        values = {"tenant": self.tenant, "after": after, "learner": learner_id, "at": at}
        values |= {f"act{n}": act.value for n, act in enumerate(_CHANGES)}
        values |= {"assignment": '%"assignment"%', "item": '%"item"%', "leave": _ON_LEAVE}
        rows = self._fetch(_news_statement(self._engine.dialect), values)
        told = next((row for row in rows if row[0] == _TOLD), (_TOLD, None, None))
        spans = sorted((row[1], row[2]) for row in rows if row[0] == _LEAVE)
        return max(after, told[1] or 0), bool(told[2]), list(_leaves(spans, at))

    def _standing(self, seq: int, moment: int) -> Standing:
        """Read from the catalogue as it was at a moment."""
        learners, audiences = dict[str, list[Begun]](), dict[str, list[Begun]]()
        other = CATALOGUE.alias()
        same = other.c.tenant == CATALOGUE.c.tenant, other.c.kind == CATALOGUE.c.kind, other.c.id == CATALOGUE.c.id
        first = sa.select(sa.func.min(other.c.valid_from)).where(*same).scalar_subquery()
        query = sa.select(CATALOGUE.c.body, first, CATALOGUE.c.valid_from).where(
            CATALOGUE.c.tenant == self.tenant,
            CATALOGUE.c.kind == "assignment",
            *(
                (OPEN,)
                if moment == NO_LIMIT
                else (CATALOGUE.c.valid_from <= moment, sa.or_(OPEN, CATALOGUE.c.valid_to > moment))
            ),
        )
        with self._engine.connect() as connection:
            rows = [Begun(_assignment(body), since, begun) for body, since, begun in connection.execute(query)]
            items = self._items(connection, sorted({row.assignment.item_id for row in rows}), moment) if rows else {}
        for row in rows:
            if row.assignment.learner_id is not None:
                learners.setdefault(row.assignment.learner_id, []).append(row)
            elif row.assignment.audience is not None:
                audiences.setdefault(row.assignment.audience, []).append(row)
        return Standing(seq, learners, audiences, items)

    def _items(self, connection: sa.Connection, names: Sequence[str], moment: int) -> dict[str, tuple[Item, int]]:
        """The items of these names, by id and by alias, where the catalogue has them."""
        bodies = (
            "SELECT id, body, valid_from FROM catalogue WHERE tenant = {} AND kind = {}"
            f" AND valid_from <= {moment:d} AND (valid_to IS NULL OR valid_to > {moment:d}) AND id {{}}"
        )
        called = dict(among(connection, _ALIASES, (self.tenant,), names))
        ids = [*names, *called.values()]
        rows = {one: (_item(body), begun) for one, body, begun in among(connection, bodies, (self.tenant, "item"), ids)}
        by_alias = {name: rows[one] for name, one in called.items() if one in rows and name in rows[one][0].aliases}
        return by_alias | {name: rows[name] for name in names if name in rows}


def _leaves(spans: Iterable[tuple[int, int | None]], at: int) -> Iterator[Leave]:
    """Versions that say `leave`, in order; where one follows upon another they are one leave."""
    last: Leave | None = None
    for begun, ended in spans:
        since, until = instant(begun), None if ended is None or ended > at else instant(ended)
        if last is not None and last.until == since:
            since = last.since
        elif last is not None:
            yield last
        last = Leave(since, until)
    if last is not None:
        yield last


@lru_cache
def _news_statement(dialect: sa.Dialect) -> Compiled:
    """(`told`, last seq, how many rows tell of a change), and (`leave`, since, until) of the versions that say so."""
    acts: list[Any] = [sa.bindparam(f"act{n}") for n in range(len(_CHANGES))]
    names = AUDIT.c.details.like(sa.bindparam("assignment")) | AUDIT.c.details.like(sa.bindparam("item"))
    change = AUDIT.c.action.in_(acts[:-1]) & names | (AUDIT.c.action == acts[-1])
    changes = sa.func.sum(sa.case((change, sa.literal_column("1")), else_=sa.literal_column("0")))
    told: Any = sa.select(sa.literal_column(f"'{_TOLD}'"), sa.func.max(AUDIT.c.seq), changes).where(
        AUDIT.c.tenant == sa.bindparam("tenant"), AUDIT.c.seq > sa.bindparam("after", type_=sa.BigInteger)
    )
    leave = sa.select(sa.literal_column(f"'{_LEAVE}'"), CATALOGUE.c.valid_from, CATALOGUE.c.valid_to).where(
        CATALOGUE.c.tenant == sa.bindparam("tenant"),
        CATALOGUE.c.kind == sa.literal_column("'learner'"),
        CATALOGUE.c.id == sa.bindparam("learner"),
        CATALOGUE.c.valid_from <= sa.bindparam("at", type_=sa.BigInteger),
        CATALOGUE.c.body.like(sa.bindparam("leave")),
    )
    return compiled(sa.union_all(told, leave), dialect)


@lru_cache(maxsize=20_000)
def _assignment(body: str) -> Assignment:
    """Parsed once for each stored version, which never changes."""
    return Assignment.model_validate_json(body)


@lru_cache(maxsize=2_000)
def _item(body: str) -> Item:
    return Item.model_validate_json(body)
