"""What a learner owes: the duties that a slate shows, urgent ones first, then by deadline.

An item that the bundle does not know yet is shown as well, by the store's row of it: an urgent push waits for no bundle.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Item
from features.decisions import Due
from features.duties import Assigned, Duty, Leave, due, paused
from serving.eligibility import Facts, eligible
from serving.payloads import LearnerDuty
from serving.prepared import Prepared
from serving.rules.holding import bars, filters
from serving.standing import ALWAYS, Standing, add_period, valid_until, with_equivalents
from serving.wording import ENGLISH, Wording

WAIVED: Final = frozenset({"replaced", "other_language", "known", "in_progress", "dismissed"})
"""Rules that do not keep a duty away: whoever begins it, says they know it, or sends it away owes it still, and it is shown in
another language rather than not at all. A request's own filters hold, and no rule of the policy does."""


@dataclass(frozen=True)
class Owed:
    """A duty to show. `candidate`: its item's index; those that have none are numbered on from the bundle's items."""

    candidate: int
    item: Item
    due: Due


def owed(stock: Prepared, facts: Facts, assigned: Assigned) -> tuple[list[Owed], dict[str, tuple[str, ...]]]:
    """The duties that may be shown now, each item once, and the ids that rules keep out of those that no bundle knows.

    Those that are mandatory or urgent, not done, and whose time does not stand still.
    """
    each = [(duty_of(stock, facts, duty, assigned.leaves), duty.assignment.item_id) for duty in assigned.duties]
    wanted = [one for one in each if (one[0].mandatory or one[0].urgent) and one[0].state != "done" and not one[0].paused]
    found: dict[str, Owed] = {}
    removed: dict[str, tuple[str, ...]] = {}
    for duty, name in sorted(wanted, key=lambda one: (not one[0].urgent, one[0].due_at or ALWAYS, one[0].assignment_id)):
        index, item = stock.index.get(duty.item_id), stock.names.get(duty.item_id) or assigned.items.get(name)
        item_id = duty.item_id if item is None else item.id
        rule = "unknown_item" if item is None else bar(item, facts) if index is None else None
        if rule is not None:
            removed[rule] = tuple(dict.fromkeys((*removed.get(rule, ()), item_id)))
        elif item is not None and item_id not in found:
            strangers = sum(one.candidate >= len(stock) for one in found.values())
            candidate = len(stock) + strangers if index is None else index
            due = Due(assignment_id=duty.assignment_id, due_at=duty.due_at, urgent=duty.urgent, overdue=duty.state == "overdue")
            found[item_id] = Owed(candidate, item, due)
    known = np.array([one.candidate for one in found.values() if one.candidate < len(stock)], dtype=np.int32)
    may = (
        set(
            eligible(stock, facts, known, waived=WAIVED.union(held.name for held in facts.rules if not held.of_request))[
                0
            ].tolist()
        )
        if len(known)
        else set()
    )
    return [one for one in found.values() if one.candidate >= len(stock) or one.candidate in may], removed


def without_owed(candidates: NDArray[np.int32], duties: Sequence[Owed]) -> NDArray[np.int32]:
    """The candidates that are no duties: a duty stands where it is marked as one, and chance has no say in it."""
    return candidates[~np.isin(candidates, [one.candidate for one in duties])] if duties else candidates


def bar(item: Item, facts: Facts, *, waived: Collection[str] | None = None) -> str | None:
    """The rule that keeps a duty's item from a learner where no bundle knows it: those of `eligible` but for `WAIVED`.

    `waived`: the names of rules that are not asked; None: those of the policy.
    """
    request, names = facts.request, {item.id, *item.aliases}
    same = set(item.equivalent_to) if _for(item.equivalent_for, facts) else set()
    ended = {name: when for name, when in facts.standing.finished.items() if name in names | same}
    rules: Mapping[str, bool] = {
        "learner_ended": facts.ended,
        "not_available": not item.available(facts.at),
        "other_audience": not _for(item.audiences, facts),
        "other_type": bool(request.types) and item.type not in request.types,
        "too_long": request.max_minutes is not None and _minutes(item) > request.max_minutes,
        "excluded": not names.isdisjoint(request.exclude),
        "finished": any(facts.at < _holds(item, when) for when in ended.values()),
        "prerequisites": not {*facts.standing.finished, *facts.standing.known}.issuperset(item.prerequisites),
        **{held.name: bars(held.rule, item) for held in filters(facts.rules) if held.of_request or waived is not None},
    }
    return next((rule for rule, removes in rules.items() if removes and rule not in (waived or ())), None)


def says(due: Due, words: Wording = ENGLISH) -> str:
    """The reason of an item that stands in a slate as a duty."""
    head = "urgent" if due.urgent else "mandatory"
    if due.due_at is None:
        return words.reason(head)
    return words.reason(f"{head}_{'overdue' if due.overdue else 'due'}", day=f"{due.due_at:%Y-%m-%d}")


def _for(audiences: Collection[str], facts: Facts) -> bool:
    return not audiences or not set(audiences).isdisjoint(facts.audiences)


def _minutes(item: Item) -> float:
    return np.inf if item.duration_s is None else item.duration_s / 60


def _holds(item: Item, when: datetime) -> datetime:
    return ALWAYS if item.valid_for is None else add_period(when, item.valid_for)


def duty_of(stock: Prepared, facts: Facts, duty: Duty, leaves: Sequence[Leave]) -> LearnerDuty:
    """A completion that no longer holds is due again from when it ended: leave makes no certificate last longer."""
    assignment, item_id = duty.assignment, stock.canonical(duty.assignment.item_id)
    until = _until(stock, facts.standing, item_id, facts.audiences)
    done = until is not None and facts.at < until
    first = due(duty, leaves, facts.at)
    end = first if until is None else None if until == ALWAYS else max(until, first or until)
    rests = until is None and paused(duty, leaves, facts.at)
    item = stock.names.get(item_id)
    return LearnerDuty(
        assignment_id=assignment.id,
        item_id=item_id,
        title=None if item is None else item.title,
        mandatory=assignment.mandatory,
        urgent=assignment.urgent,
        state="done" if done else "overdue" if end is not None and end <= facts.at else "open",
        due_at=end,
        paused=rests,
    )


def _until(stock: Prepared, known: Standing, item_id: str, audiences: Sequence[str]) -> datetime | None:
    """Until when an item counts as finished, itself or by what it is equivalent to; None where it never was."""
    ends = [
        valid_until(stock, name, when)
        for name, when in known.finished.items()
        if item_id in with_equivalents({name}, stock, audiences)
    ]
    return max(ends, default=None)
