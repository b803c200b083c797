"""Candidates: the items of a catalogue that a ranker looks at closely, the best of every source among them."""

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories

Floats = NDArray[np.float32]
MOST = 300


def candidates(
    total: Floats, parts: Floats, histories: Histories, *, best: int, own: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, item), int64[k] twice, rows ascending: the `best` of each row's total and the `own` best of each part.

    total: float32[n, m], NaN cannot score; parts: float32[p, n, m], NaN likewise. Items of the history are none. At most
    `MOST` a row: ValueError where `best` and `own` could give more.
    """
    if best + own * len(parts) > MOST:
        raise ValueError(f"{best} candidates and {own} of each of {len(parts)} parts are more than {MOST}")
    seen = np.zeros(total.shape, dtype=bool)
    seen[histories.rows(), histories.items] = True
    chosen = np.zeros(total.shape, dtype=bool)
    for scores, count in [(total, best), *((part, own) for part in parts)]:
        _mark(chosen, np.where(seen, np.float32(-np.inf), scores), count)
    chosen &= ~seen & np.isfinite(total)
    row, item = np.nonzero(chosen)
    return row, item


def _mark(chosen: NDArray[np.bool_], scores: Floats, count: int) -> None:
    """Mark the `count` highest of each row; NaN counts as lowest. Of equals at the cut any may be chosen."""
    if count == 0:
        return
    lowest = np.negative(scores)  # NaN stays NaN, which a partition puts last
    count = min(count, scores.shape[1])
    top = np.argpartition(lowest, count - 1, axis=1)[:, :count]
    np.put_along_axis(chosen, top, True, axis=1)


def places(values: Floats, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[k]: 0 for the highest value of its row, 1 for the next; NaN last, equals by their order."""
    order = np.lexsort((np.negative(values), row))
    found = np.empty(len(row), dtype=np.int64)
    found[order] = np.arange(len(row)) - np.searchsorted(row, row[order])
    return found
