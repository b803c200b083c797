"""Histories as a sequence model reads them: item and time gap at each place, cut into windows of bounded length.

Training and serving read the same arrays, so a feature is written once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories

UNKNOWN_GAP, FIRST_GAP = 0, 1
N_GAPS = 26
"""Buckets: 0 a time is unknown, 1 a learner's first take-up, 2 less than a minute, then doubling: 25 is 8 years and more."""

_MINUTE = 60_000_000  # microseconds


@dataclass(frozen=True, eq=False)
class Windows:
    """Stretches of flat arrays: window k is entries `start[k] : start[k] + length[k]`, oldest first.

    items, gaps: int32[nnz]; start, length: int64[k]. No window crosses from one history to the next.
    """

    items: NDArray[np.int32]
    gaps: NDArray[np.int32]
    start: NDArray[np.int64]
    length: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def places(self, which: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[k, longest]: entries of the chosen windows side by side, filled up on the right with each one's last entry."""
        length = self.length[which]
        step = np.arange(length.max(initial=0))
        found: NDArray[np.int64] = self.start[which, None] + np.minimum(step, length[:, None] - 1)
        return found

    def filled(self, which: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool[k, longest]: where `places` are entries and not filling."""
        length = self.length[which]
        found: NDArray[np.bool_] = np.arange(length.max(initial=0)) < length[:, None]
        return found


def newest(histories: Histories, max_length: int, *, times: bool) -> Windows:
    """One window a history: its newest `max_length` entries."""
    length = np.minimum(histories.lengths, max_length)
    return Windows(histories.items, gaps(histories, times=times), histories.indptr[1:] - length, length)


def pairs(histories: Histories, max_length: int, *, times: bool) -> Windows:
    """Windows of at most `max_length` entries that each have a next one, the item to predict at `place + 1`.

    A longer history is cut from its end into several windows: every take-up after a learner's first is predicted once.
    """
    usable = np.maximum(histories.lengths - 1, 0)
    count = -(-usable // max_length)
    row = np.repeat(np.arange(len(histories)), count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    end = usable[row] - number * max_length
    length = np.minimum(end, max_length)
    return Windows(histories.items, gaps(histories, times=times), histories.indptr[row] + end - length, length)


def gaps(histories: Histories, *, times: bool = True) -> NDArray[np.int32]:
    """int32[nnz]: bucket of the time since the take-up before, known as soon as the take-up is. `times` off: all unknown."""
    found = np.zeros(len(histories.items), dtype=np.int32)
    if not times or not len(found):
        return found
    since = histories.at - histories.at[np.maximum(np.arange(len(found)) - 1, 0)]
    minutes = np.maximum(since.astype(np.int64), 0) // _MINUTE
    bucket = np.minimum(2 + np.ceil(np.log2(minutes + 1)).astype(np.int32), N_GAPS - 1)
    found[:] = np.where(np.isnat(since), UNKNOWN_GAP, bucket)
    first = histories.indptr[:-1][histories.lengths > 0]
    found[first] = np.where(np.isnat(histories.at[first]), UNKNOWN_GAP, FIRST_GAP)
    return found
