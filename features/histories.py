"""Histories that were read before, kept for as long as nothing is added to them: a cache that changes no answer."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from features.columns import microseconds
from features.events import Event

Stamp = tuple[int, int, int, int]
"""(count, largest, sum) of the `seq` of a learner's rows, and how many of them are voided.

Rows are only added, voided once, or erased: an equal stamp is equal rows.
"""
Read = tuple[Stamp, Sequence[Event], Mapping[str, int], int]
"""A stamp, all events in order, when (microseconds) those among them were voided that were, by event id, and how much memory
they take, in events of an ordinary size (about a kilobyte).
"""

_Key = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class _Kept:
    stamp: Stamp
    events: Sequence[Event]
    gone: Mapping[str, int]
    latest: int  # microseconds: when the last of them became known
    weight: int


class HistoryCache:
    """Whole histories by tenant and names, at most `size` events together; the least recently used go first. Thread-safe.

    An event with a long context counts as several: what is kept is bounded in bytes, whatever is sent.

    A learner's names (id and aliases) are the key, so a catalogue that changes them asks for another history.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._events = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return self._events

    def history(self, tenant: str, names: tuple[str, ...], bound: int, stamp: Stamp, read: Callable[[], Read]) -> list[Event]:
        """The events known at `bound` (microseconds) and not voided by then. `stamp` is that of now, `read` gives all rows."""
        key = (tenant, names)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if kept is None or kept.stamp != stamp:
            own, events, gone, weight = read()
            kept = _Kept(own, events, gone, max((microseconds(event.known_at) for event in events), default=0), weight)
            self._keep(key, kept)
        if kept.latest <= bound and not kept.gone:
            return list(kept.events)
        known = (event for event in kept.events if microseconds(event.known_at) <= bound)
        return [event for event in known if event.event_id not in kept.gone or kept.gone[event.event_id] > bound]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._events = 0

    def _keep(self, key: _Key, kept: _Kept) -> None:
        with self._lock:
            old = self._kept.pop(key, None)
            self._events -= 0 if old is None else old.weight
            self._kept[key] = kept
            self._events += kept.weight
            while self._events > self._size:
                _, gone = self._kept.popitem(last=False)
                self._events -= gone.weight
