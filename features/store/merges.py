"""Merges and un-merges of learners: facts that two ids are one person, or no longer are. No event is ever rewritten."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from features.audit import Act
from features.columns import instant, microseconds
from features.events import MAX_CLOCK_SKEW
from features.identity import owner_of, people, root
from features.store.catalogue import CatalogueRows
from features.store.chain import NOTHING
from features.store.learners import LearnerRows
from features.store.suppression import erased
from features.store.tables import CATALOGUE, MERGES

MergeOutcome = Literal["accepted", "duplicate", "suppressed"]


class MergeError(ValueError):
    """A merge or un-merge contradicts what is stored; nothing was. `field`: what to change."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


class NotMergedError(LookupError):
    """Somebody was never merged into whom they should be un-merged from."""


@dataclass(frozen=True)
class Merge:
    """That a learner's id is (`joined`) the person of another id, or no longer is. Ids, never aliases."""

    learner_id: str
    into: str
    joined: bool
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True)
class Merged:
    """What became of a merge or un-merge, and the ids that it is about: those of whom the given names were aliases."""

    learner_id: str
    into: str
    outcome: MergeOutcome


class MergeRows(LearnerRows, CatalogueRows):
    """The merging part of a session."""

    def merge(self, learner_id: str, into: str, *, occurred_at: datetime, at: datetime) -> Merged:
        """Says that two ids are one person, known from `at` on; from then on either gives the history of both.

        Ids that are unknown so far may be merged. Saying it again is no news; what happened before an erasure of one of them
        is suppressed. MergeError where the learner stands merged into another, where both are one person already, or where
        it is said to have happened before what is known of this learner.
        """
        return self._say(learner_id, into, joined=True, occurred_at=occurred_at, at=at)

    def unmerge(self, learner_id: str, into: str, *, occurred_at: datetime, at: datetime) -> Merged:
        """Takes a merge back, from `at` on: each id has again what was said of it, also meanwhile.

        Saying it again is no news. MergeError where the learner stands merged into another, NotMergedError (a LookupError)
        where they never were merged into this one.
        """
        return self._say(learner_id, into, joined=False, occurred_at=occurred_at, at=at)

    def merges(self, *, after: int = 0, limit: int | None = None) -> Iterator[tuple[int, Merge]]:
        """(seq, merge or un-merge) in order of arrival, `seq > after`."""
        query = _facts(MERGES.c.tenant == self.tenant).order_by(MERGES.c.seq)
        for row in self._pages(query, MERGES.c.seq, after, limit):
            yield row[0], _merge(row)

    def people(self) -> dict[str, str]:
        """Every name that is not a learner's own id (aliases, merged ids) -> the id of the person, as it stands now."""
        last = sa.select(sa.func.max(MERGES.c.seq)).where(MERGES.c.tenant == self.tenant).group_by(MERGES.c.learner_id)
        query = sa.select(MERGES.c.learner_id, MERGES.c.into_id).where(MERGES.c.seq.in_(last), MERGES.c.joined == 1)
        with self._engine.connect() as connection:
            into = {row.learner_id: row.into_id for row in connection.execute(query)}
        return people(self.learners(), into)

    def _say(self, learner_id: str, into: str, *, joined: bool, occurred_at: datetime, at: datetime) -> Merged:
        if occurred_at - at > MAX_CLOCK_SKEW:
            raise MergeError("occurred_at", f"occurred_at {occurred_at.isoformat()} is in the future")
        with self._writing(CATALOGUE) as connection:  # a change of aliases may not come between
            who, whom = self._id_of(learner_id), self._id_of(into)
            outcome = self._outcome(connection, who, whom, joined, microseconds(occurred_at))
            if outcome == "accepted":
                row = {"tenant": self.tenant, "learner_id": who, "into_id": whom, "joined": int(joined)}
                newest = sa.select(sa.func.max(MERGES.c.recorded_at)).where(MERGES.c.tenant == self.tenant)
                # A clock that went back must not make known what was said later before what was said earlier.
                known = max(microseconds(at), connection.execute(newest).scalar() or 0)
                times = {"occurred_at": microseconds(occurred_at), "recorded_at": known}
                connection.execute(sa.insert(MERGES).values(**row, **times))
                for name in (who, whom):
                    self._tell(connection, Act.LEARNERS_MERGED if joined else Act.LEARNERS_UNMERGED, NOTHING, learner=name)
        return Merged(who, whom, outcome)

    def _outcome(self, connection: sa.Connection, who: str, whom: str, joined: bool, occurred_at: int) -> MergeOutcome:
        if any(occurred_at <= moment for moment in erased(connection, self.tenant, (who, whom)).values()):
            return "suppressed"
        query = _facts(MERGES.c.tenant == self.tenant, MERGES.c.learner_id == who).order_by(MERGES.c.seq)
        facts = [_merge(row) for row in connection.execute(query)]
        last = facts[-1] if facts else None
        if joined and who == whom:
            raise MergeError("into", f"into: {whom!r} is the same learner; name another id")
        if not joined and not any(one.into == whom for one in facts):
            raise NotMergedError(f"learner {who!r} was never merged into {whom!r}")
        if last is not None and last.joined and last.into != whom:
            raise MergeError("into", f"into: {who!r} is merged into {last.into!r}; take that back first")
        if joined == (last is not None and last.joined):
            return "duplicate"
        if joined and root(whom, said := self._said(None)) == root(who, said):
            raise MergeError("into", f"into: {whom!r} is the same person as {who!r} already, by merges or aliases")
        if last is not None and occurred_at < microseconds(last.occurred_at):
            words = f"occurred_at: what stands of {who!r} happened at {last.occurred_at.isoformat()}; this comes too late"
            raise MergeError("occurred_at", words)
        return "accepted"

    def _id_of(self, name: str) -> str:
        """The id of a learner who may be called by an alias."""
        found = self._said(None)(name)
        return owner_of(found.owners).id if found.into is None and found.row is None and found.owners else name


def _facts(*where: sa.ColumnElement[bool]) -> sa.Select[tuple[int, str, str, int, int, int]]:
    columns = MERGES.c.learner_id, MERGES.c.into_id, MERGES.c.joined, MERGES.c.occurred_at, MERGES.c.recorded_at
    return sa.select(MERGES.c.seq, *columns).where(*where)


def facts_of(connection: sa.Connection, tenant: str, names: list[str]) -> list[Merge]:
    """What was said of these names, in order of arrival."""
    about = sa.or_(MERGES.c.learner_id.in_(names), MERGES.c.into_id.in_(names))
    return [_merge(row) for row in connection.execute(_facts(MERGES.c.tenant == tenant, about).order_by(MERGES.c.seq))]


def _merge(row: sa.Row[tuple[int, str, str, int, int, int]]) -> Merge:
    moments = instant(row.occurred_at), instant(row.recorded_at)
    return Merge(row.learner_id, row.into_id, bool(row.joined), *moments)
