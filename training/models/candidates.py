"""Candidates: the items of a catalogue that a ranker looks at closely, the best of every source among them."""

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories

Floats = NDArray[np.float32]
MOST = 300
_EVERY = 16


def candidates(
    total: Floats, parts: Floats, histories: Histories, *, best: int, own: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, item), int64[k] twice, rows ascending: the `best` of each row's total and the `own` best of each part.

    total: float32[n, m], NaN cannot score; parts: float32[p, n, m], NaN likewise. Items of the history are none. At most
    `MOST` a row: ValueError where `best` and `own` could give more.
    """
    if best + own * len(parts) > MOST:
        raise ValueError(f"{best} candidates and {own} of each of {len(parts)} parts are more than {MOST}")
    if len(total) == 1:
        item = _of_one(total[0], parts[:, 0], histories.items, best, own)
        return np.zeros(len(item), dtype=np.int64), item
    seen = np.zeros(total.shape, dtype=bool)
    seen[histories.rows(), histories.items] = True
    chosen = np.zeros(total.shape, dtype=bool)
    for scores, count in [(total, best), *((part, own) for part in parts)]:
        _mark(chosen, np.where(seen, np.float32(np.nan), scores), count)
    chosen &= ~seen & np.isfinite(total)
    row, item = np.nonzero(chosen)
    return row, item


def _mark(chosen: NDArray[np.bool_], scores: Floats, count: int) -> None:
    """Mark the `count` highest of each row, NaN never; of equals at the cut those of lower index."""
    if count == 0:
        return
    if count < scores.shape[1]:
        lowest = np.negative(scores)  # NaN stays NaN, which a partition puts last
        cut = -np.partition(lowest, count - 1, axis=1)[:, count - 1 : count]
        equal = scores == cut
        above = (scores > cut) | (np.isfinite(scores) & np.isnan(cut))
        left = count - np.count_nonzero(above, axis=1)[:, None]
        chosen |= above | (equal & (np.cumsum(equal, axis=1) <= left))
    else:
        chosen |= np.isfinite(scores)


def _of_one(total: Floats, parts: Floats, taken: NDArray[np.int32], best: int, own: int) -> NDArray[np.int64]:
    """int64[k] rising: the same of one history."""
    seen = np.zeros(len(total), dtype=bool)
    seen[taken] = True
    chosen = np.zeros(len(total), dtype=bool)
    for scores, count in ((total[None], best), (parts, own)):
        if count:
            chosen[_best_of_each(scores, seen, taken, count)] = True
    item = np.flatnonzero(chosen)
    return item[np.isfinite(total[item])]


def _best_of_each(scores: Floats, seen: NDArray[np.bool_], taken: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """`_best` of each row of float32[p, m], all of them together: what lies above the guesses is found and ordered at once."""
    p, m = scores.shape
    rank = _rank(len(taken), count)
    if rank >= -(-m // _EVERY):
        return np.concatenate([_best(own, seen, len(taken), count) for own in scores])
    guess = np.partition(np.negative(scores[:, ::_EVERY]), rank, axis=1)[:, rank : rank + 1]
    above = scores > -guess
    above[:, taken] = False
    high = np.flatnonzero(above)
    row = high // m
    sizes = np.bincount(row, minlength=p)
    order = np.lexsort((np.negative(scores.ravel().take(high)), row))
    first = order[np.arange(len(row)) - (np.cumsum(sizes) - sizes).take(row) < count]
    few = [_best(scores[at], seen, len(taken), count) for at, size in enumerate(sizes.tolist()) if size < count]
    return np.concatenate([high.take(first) % m, *few])


def _rank(n_seen: int, count: int) -> int:
    """Which score of every `_EVERY`th item is the guess: one that about twice as many lie above as are wanted."""
    return 2 * (count + n_seen) // _EVERY + 3


def _best(scores: Floats, seen: NDArray[np.bool_], n_seen: int, count: int) -> NDArray[np.int64]:
    """int64[<= count]: the highest that were not seen, NaN never; of equals those of lower index.

    Only what lies above a guess is looked at closely, and what equals it: the guess is a high score of every `_EVERY`th item.
    """
    sample = np.negative(scores[::_EVERY])
    rank = _rank(n_seen, count)
    if rank < len(sample):
        guess = -np.partition(sample, rank)[rank]
        above = np.flatnonzero(scores > guess)
        above = above[~seen[above]]
        if len(above) >= count:
            return above[np.argsort(np.negative(scores[above]), kind="stable")[:count]]
        equal = np.flatnonzero(scores == guess)
        found = np.concatenate([above, equal[~seen[equal]][: count - len(above)]])
        if len(found) == count:
            return found
    chosen = np.zeros((1, len(scores)), dtype=bool)
    _mark(chosen, np.where(seen, np.float32(np.nan), scores)[None], count)
    return np.flatnonzero(chosen[0])


def places(values: Floats, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[k]: 0 for the highest value of its row, 1 for the next; NaN last, equals by their order."""
    order = np.lexsort((np.negative(values), row))
    found = np.empty(len(row), dtype=np.int64)
    found[order] = np.arange(len(row)) - np.searchsorted(row, row[order])
    return found
