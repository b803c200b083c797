"""Until when a duty is due, for somebody who was on leave meanwhile."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from features.catalogue import Assignment, Item


@dataclass(frozen=True)
class Leave:
    """A time away, half-open [since, until); None while it lasts."""

    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class Duty:
    """An assignment that is a learner's, and since when it stands."""

    assignment: Assignment
    since: datetime


@dataclass(frozen=True)
class Assigned:
    """What is assigned to a learner at a moment, and when they were on leave, none within another.

    `items`: the items by the name that an assignment gives them, of those that the store knows. `known_at`: when the last of
    these rows became what it is; None without any.
    """

    duties: tuple[Duty, ...] = ()
    leaves: tuple[Leave, ...] = ()
    items: Mapping[str, Item] = field(default_factory=dict)
    known_at: datetime | None = None


NOTHING: Final = Assigned()
"""No duty at all."""


def due(duty: Duty, leaves: Iterable[Leave], at: datetime) -> datetime | None:
    """When a duty is due as of `at`; None for one without a time. `leaves`: the learner's, none within another.

    With `pause_on_leave` the time away between its start and its end does not count; while a leave lasts, the end moves on.
    """
    end = duty.assignment.due_at
    if end is None or not duty.assignment.pause_on_leave:
        return end
    return put_off(end, leaves, since=duty.since, at=at)


def put_off(end: datetime, leaves: Iterable[Leave], *, since: datetime, at: datetime) -> datetime:
    """An end without the time away between `since` and it; while a leave lasts at `at`, it moves on."""
    for leave in sorted(leaves, key=lambda one: one.since):
        start, back = max(leave.since, since), at if leave.until is None else min(leave.until, at)
        if start < min(end, back):
            end += back - start
    return end


def paused(duty: Duty, leaves: Iterable[Leave], at: datetime) -> bool:
    """Whether the time of a duty stands still at `at`."""
    end = due(duty, leaves, at)
    away = any(leave.since <= at and (leave.until is None or at < leave.until) for leave in leaves)
    return away and duty.assignment.pause_on_leave and end is not None and at < end
