"""Where a learner stands with each item: finished, known, in progress or dismissed. A pure function of their events."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from features.catalogue import Learner
from features.events import FINISHING_VERBS, INTERACTION_VERBS, Event, Verb
from features.interactions import Histories
from serving.prepared import Prepared

_PERIOD = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?")

_MOVES = INTERACTION_VERBS | FINISHING_VERBS | {Verb.REVOKED, Verb.WITHDRAWN, Verb.DISMISSED}


UNTIL: Final = "until"
"""In the context of a `dismissed` event: until when the item stays away (an ISO 8601 time). Without it, always."""
Audiences = Collection[str]
ALWAYS: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Standing:
    """Item id -> the last time of it; what was revoked is gone, and withdrawing undoes what was only begun.

    `dismissed`: until when the item stays away, `ALWAYS` where nobody said. Taking it up after all ends that.
    """

    finished: Mapping[str, datetime] = field(default_factory=dict)
    known: Mapping[str, datetime] = field(default_factory=dict)
    taken_up: Mapping[str, datetime] = field(default_factory=dict)
    dismissed: Mapping[str, datetime] = field(default_factory=dict)

    def in_progress(self) -> set[str]:
        """Items taken up and not finished since."""
        return {item for item, at in self.taken_up.items() if item not in self.finished or self.finished[item] < at}


def standing(events: Iterable[Event], prepared: Prepared) -> Standing:
    """From one learner's events, oldest first."""
    finished: dict[str, datetime] = {}
    known: dict[str, datetime] = {}
    taken_up: dict[str, datetime] = {}
    dismissed: dict[str, datetime] = {}
    for event in events:
        verb, at = event.verb, event.occurred_at
        if verb not in _MOVES:
            continue
        item = prepared.canonical(event.object_id)
        if verb is Verb.REVOKED:
            for seen in (finished, known, taken_up, dismissed):
                seen.pop(item, None)
        elif verb is Verb.WITHDRAWN:
            taken_up.pop(item, None)
        elif verb is Verb.DISMISSED:
            dismissed[item] = _until(event)
        elif verb is Verb.KNOWN:
            known[item] = at
        elif verb in FINISHING_VERBS:
            finished[item] = at
        if verb in INTERACTION_VERBS:
            taken_up[item] = at
            dismissed.pop(item, None)
    return Standing(finished, known, taken_up, dismissed)


def _until(event: Event) -> datetime:
    """What is no time is none: an item that a learner sent away must not come back for a typing error."""
    said = event.context.get(UNTIL)
    try:
        found = datetime.fromisoformat(said) if isinstance(said, str) else ALWAYS
    except ValueError:
        return ALWAYS
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def twins(items: set[str], prepared: Prepared, audiences: Audiences) -> set[str]:
    """The items, what they also stand for, and their older and newer versions: who rejects one wants none of them."""
    found, new = set[str](), set(items)
    while new:
        found |= new
        versions = {one for item in new for one in prepared.versions.get(item, ())}
        new = (with_equivalents(new, prepared, audiences) | versions) - found
    return found


def still_valid(done: Mapping[str, datetime], prepared: Prepared, at: datetime, audiences: Audiences) -> set[str]:
    """Items of `done` whose completion holds at `at`, and their equivalents; past its period an item is due again."""
    holding = {item for item, when in done.items() if at < valid_until(prepared, item, when)}
    return with_equivalents(holding, prepared, audiences)


def with_equivalents(items: set[str], prepared: Prepared, audiences: Audiences) -> set[str]:
    """The items and those that they also stand for, to a learner of these audiences."""
    if not prepared.equivalents:
        return items
    also = (other for item in items for other in prepared.equivalents.get(item, ()))
    return items.union(name for name, only in also if not only or not set(only).isdisjoint(audiences))


def valid_until(prepared: Prepared, item_id: str, when: datetime) -> datetime:
    """Until when a completion at `when` holds, `ALWAYS` where the item has no period."""
    item = prepared.names.get(item_id)
    return ALWAYS if item is None or item.valid_for is None else add_period(when, item.valid_for)


def add_period(start: datetime, period: str) -> datetime:
    """`start` plus an ISO 8601 period such as P1Y or P18M; a day that a month lacks becomes its last (31 Jan + P1M: 28 Feb)."""
    parts = _PERIOD.fullmatch(period)
    if parts is None:
        raise ValueError(f"{period!r} is not a period such as P1Y, P6M or P30D")
    years, months, weeks, days = (int(part or 0) for part in parts.groups())
    month = start.month - 1 + months
    year = start.year + years + month // 12
    if year > 9998:
        return datetime.max.replace(tzinfo=start.tzinfo)
    first = start.replace(year=year, month=month % 12 + 1, day=1)
    last_day = ((first + timedelta(days=32)).replace(day=1) - timedelta(days=1)).day
    return first.replace(day=min(start.day, last_day)) + timedelta(weeks=weeks, days=days)


def history_of(events: Iterable[Event], prepared: Prepared, learner: Learner | None) -> Histories:
    """One history to score: the distinct items of interaction verbs, the first kept, oldest first (as in `Interactions`).

    With personalisation off the learner's audience counts, which rules restrict items to, but neither role nor org unit.
    """
    bundle = prepared.bundle
    audience = learner.audiences[0] if learner is not None and learner.audiences else None
    role, unit = (learner.role_id, learner.org_unit) if learner is not None and learner.personalisation else (None, None)
    first: dict[int, datetime] = {}
    for event in events:
        if event.verb in INTERACTION_VERBS and (index := prepared.index.get(event.object_id)) is not None:
            first.setdefault(index, event.occurred_at)
    return Histories(
        indptr=np.array([0, len(first)], dtype=np.int64),
        items=np.fromiter(first, dtype=np.int32, count=len(first)),
        at=np.array([when.replace(tzinfo=None) for when in first.values()], dtype="datetime64[us]"),
        audience=np.array([bundle.audience_index(audience)], dtype=np.int32),
        n_items=len(prepared),
        role=np.array([bundle.role_index(role)], dtype=np.int32),
        org_unit=np.array([bundle.org_unit_index(unit)], dtype=np.int32),
    )
