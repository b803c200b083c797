"""The assignments of tenants that were read before, kept until one of them changes: a cache that changes no answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from features.catalogue import Assignment, Item


class Begun(NamedTuple):
    """An assignment, since when it stands, and since when it is as it is, in microseconds."""

    assignment: Assignment
    first: int
    begun: int


@dataclass(frozen=True, eq=False)
class Standing:
    """The assignments of a tenant by whom they are for, and the items they name, each with the moment of its version.

    `seq`: the last row of the audit log that is known to be behind it.
    """

    seq: int
    learners: Mapping[str, Sequence[Begun]]
    audiences: Mapping[str, Sequence[Begun]]
    items: Mapping[str, tuple[Item, int]]

    def of(self, names: Iterable[str], audiences: Iterable[str], moment: int) -> list[Begun]:
        """Those of a learner that had begun at a moment, by id."""
        given = [self.learners.get(name, ()) for name in names] + [self.audiences.get(name, ()) for name in audiences]
        found = {row.assignment.id: row for rows in given for row in rows if row.begun <= moment}
        return [found[name] for name in sorted(found)]


class AssignedCache:
    """What stands of each tenant's assignments, until the audit log tells of a change. Thread-safe, and changes no answer."""

    def __init__(self) -> None:
        self._kept: dict[str, Standing] = {}
        self._lock = Lock()

    def get(self, tenant: str) -> Standing | None:
        with self._lock:
            return self._kept.get(tenant)

    def keep(self, tenant: str, standing: Standing) -> None:
        with self._lock:
            self._kept[tenant] = standing
