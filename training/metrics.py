"""Ranking metrics as pure functions: one held-out item against every item the learner has not seen.

Conventions. A rank is 1 for the best. Tied items share their mean rank, so that file order cannot help: of two items tied
at the top both rank 1.5. An item that a model cannot score (NaN) ranks last, and a held-out item without a score is a
miss at every k (rank infinity). A hit at k is an item with fewer than k items before it, one of two tied items counting as
half: `rank - 1 < k`. So both of two items tied for places 10 and 11 (rank 10.5) are hits at 10, none for 10 to 12 (rank
11). A hit at rank r gains 1 / log2(1 + r), fractional ranks included.
"""

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories

Floats = NDArray[np.float64]


def unseen(scores: NDArray[np.float32], histories: Histories, targets: NDArray[np.int32]) -> NDArray[np.float32]:
    """A copy of float32[n, m] scores with NaN at every item of the learner's history; the target keeps its score."""
    masked = np.array(scores, dtype=np.float32)
    every = np.arange(len(targets))
    own = masked[every, targets]
    masked[histories.rows(), histories.items] = np.nan
    masked[every, targets] = own
    return masked


def ranks(scores: NDArray[np.float32], targets: NDArray[np.int32]) -> Floats:
    """float64[n]: rank of each target in its row of float32[n, m] scores (NaN: not a candidate), ties at their mean rank.

    Infinity where the target itself has no score.
    """
    own = scores[np.arange(len(targets)), targets][:, None]
    above = np.count_nonzero(scores > own, axis=1)
    tied = np.count_nonzero(scores == own, axis=1) - 1
    return np.where(np.isnan(own[:, 0]), np.inf, 1.0 + above + tied / 2)


def recall(rank: Floats, k: int) -> Floats:
    """float64[n]: 1 where fewer than k items stand before the one target, else 0 (equal to the hit rate)."""
    return (rank < k + 1).astype(np.float64)


def ndcg(rank: Floats, k: int) -> Floats:
    """float64[n]: 1 / log2(1 + rank) of a hit, else 0. With one target the ideal gain is 1 (Järvelin, Kekäläinen 2002)."""
    return np.where(rank < k + 1, 1 / np.log2(1 + rank), 0.0)


def popularity_weight(n_train: NDArray[np.int64]) -> Floats:
    """(n_train + 1)^-.5 for the training count of each target: what a hit on it counts in debiased NDCG."""
    return 1 / np.sqrt((n_train + 1).astype(np.float64))


def weighted_mean(gain: Floats, weight: Floats) -> float:
    """sum(weight * gain) / sum(weight): self-normalised; NaN of nothing."""
    return float(weight @ gain / weight.sum()) if len(gain) else float("nan")


def shown(scores: NDArray[np.float32], k: int) -> NDArray[np.bool_]:
    """bool[m]: items in the top k of at least one row of float32[n, m] scores (NaN: never).

    Ties are treated as in `ranks`: a tied group is in or out as a whole, by its mean rank.
    """
    n_items = scores.shape[1]
    usable = np.where(np.isnan(scores), -np.inf, scores)
    last = np.partition(usable, n_items - min(k, n_items), axis=1)[:, n_items - min(k, n_items)][:, None]
    above, tied = usable > last, usable == last
    mean_rank = np.count_nonzero(above, axis=1) + (np.count_nonzero(tied, axis=1) + 1) / 2
    fits = (mean_rank < k + 1) & np.isfinite(last[:, 0])
    found: NDArray[np.bool_] = above.any(axis=0) | tied[fits].any(axis=0)
    return found
