"""The linear model for many items: the weights into each item from its nearest items alone, instead of items^3.

The dense form solves (G + side S + ridge I) W = T + side S for all of W, where T is G for EASE and Z'Y for the next item (see
`closed_form`). Here the column of an item is solved over `NEAREST` items only, those that alone would explain it best, and
all others get a weight of 0: for EASE, whose columns are ridge regressions of an item on all others, this is a regression on
chosen ones (SLIM with feature selection: Ning, Karypis, ICDM 2011). Time grows with items x NEAREST^3, memory with pairs of
items that were taken up together. An item of few take-ups also looks at the items it is most alike, and they at it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Interactions
from training.models.closed_form import transitions
from training.models.likeness import Likeness

Floats = NDArray[np.float32]

NEAREST = 50
"""Items that an item's weights come from."""
NEWEST = 200
"""Entries of a history that count for EASE: a learner of n items would be n^2 pairs."""
FEW = 5
"""Take-ups below which an item also looks at what it is most alike."""
_ALIKE = 20
_BLOCK = 256


def ease(interactions: Interactions, ridge: float, likeness: Likeness | None, side: float) -> sparse.csr_matrix:
    """float32 csr[m, m]: the EASE half, `NEAREST` weights into an item at most."""
    taken = interactions.where(interactions.age() < NEWEST).matrix()
    gram = _sorted(taken.T @ taken)
    return _local(gram, gram, ridge, *_used(interactions, likeness, side))


def next_item(
    interactions: Interactions, decay: float, ridge: float, likeness: Likeness | None, side: float
) -> sparse.csr_matrix:
    """float32 csr[m, m]: the next-item half, `NEAREST` weights into an item at most."""
    past, following = transitions(interactions, decay)
    gram, target = _sorted(past.T @ past), _sorted(past.T @ following)
    return _local(gram, target, ridge, *_used(interactions, likeness, side))


def _used(interactions: Interactions, likeness: Likeness | None, side: float) -> tuple[Floats | None, sparse.csr_matrix | None]:
    """Features F, F F' = side S, and the likeness of items of few take-ups to those they are most alike; None without."""
    if likeness is None or side == 0:
        return None, None
    features = likeness.features * np.sqrt(np.float32(side))
    rare = np.flatnonzero((interactions.item_counts() < FEW) & likeness.known)
    return features, _alike(features, rare)


def _local(
    gram: sparse.csr_matrix,
    target: sparse.csr_matrix,
    ridge: float,
    features: Floats | None,
    alike: sparse.csr_matrix | None,
) -> sparse.csr_matrix:
    """The weights into every item from its nearest, solved for a block of items at a time."""
    m = gram.shape[0]
    near = _nearest(gram, target if alike is None else target + alike, ridge)
    weights = np.zeros(near.shape, dtype=np.float32)
    for start in range(0, m, _BLOCK):
        rows = slice(start, start + _BLOCK)
        items = np.arange(start, min(start + _BLOCK, m))
        weights[rows] = _solved(gram, target, ridge, features, near[rows], items)
    into = np.broadcast_to(np.arange(m, dtype=np.int32)[:, None], near.shape)
    used = near >= 0
    found = sparse.csr_matrix((weights[used], (near[used], into[used])), shape=(m, m), dtype=np.float32)
    found.sort_indices()
    return found


def _nearest(gram: sparse.csr_matrix, target: sparse.csr_matrix, ridge: float) -> NDArray[np.int32]:
    """int32[m, k]: for each item those that alone explain most of it, -1 where there are fewer."""
    worth = sparse.csc_matrix(target, copy=True)
    worth.data /= np.sqrt(gram.diagonal() + np.float32(ridge))[worth.indices]
    worth.setdiag(0)
    worth.eliminate_zeros()
    width = int(min(NEAREST, np.diff(worth.indptr).max(initial=0)))
    found = np.full((gram.shape[0], width), -1, dtype=np.int32)
    for item, (start, end) in enumerate(zip(worth.indptr[:-1], worth.indptr[1:], strict=True)):
        best = _largest(worth.data[start:end], width)
        found[item, : len(best)] = np.sort(worth.indices[start:end][best])
    return found


def _largest(values: Floats, count: int) -> NDArray[np.int64]:
    """The places of the `count` largest; of equals any, the same on every run."""
    return np.arange(len(values)) if len(values) <= count else np.argpartition(values, -count)[-count:]


def _solved(
    gram: sparse.csr_matrix,
    target: sparse.csr_matrix,
    ridge: float,
    features: Floats | None,
    near: NDArray[np.int32],
    items: NDArray[np.int64],
) -> Floats:
    """float32[b, k]: (G + F F' + ridge I) w = T + F f over the nearest of each of b items; 0 where there is none."""
    b, k = near.shape
    if k == 0:
        return np.zeros((b, 0), dtype=np.float32)
    used = near >= 0
    chosen = np.where(used, near, 0)
    left = _at(gram, np.repeat(chosen, k, axis=1), np.tile(chosen, k)).reshape(b, k, k)
    right = _at(target, chosen, np.broadcast_to(items[:, None], chosen.shape))
    if features is not None:
        own = features[chosen]
        left += own @ own.transpose(0, 2, 1)
        right += np.einsum("bkf,bf->bk", own, features[items])
    left *= used[:, :, None] & used[:, None, :]
    left[:, np.arange(k), np.arange(k)] += np.float32(ridge)
    found = np.linalg.solve(left, (right * used)[:, :, None])[:, :, 0]
    return np.asarray(found, dtype=np.float32)


def _at(table: sparse.csr_matrix, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> Floats:
    """The entries of a table, in the shape of `rows`."""
    found = np.asarray(table[rows.ravel(), columns.ravel()], dtype=np.float32)
    return found.reshape(rows.shape)


def _alike(features: Floats, rare: NDArray[np.int64]) -> sparse.csr_matrix:
    """float32 csr[m, m], both ways: F F' between each of `rare` and the items it is most alike, where that is above 0."""
    m = len(features)
    found = [_most_alike(features, rare[start : start + _BLOCK]) for start in range(0, max(len(rare), 1), _BLOCK)]
    value, row, column = (np.concatenate(parts) for parts in zip(*found, strict=True))
    table = sparse.csr_matrix((value, (row, column)), shape=(m, m), dtype=np.float32)
    return _sorted(table.maximum(table.T))


def _most_alike(features: Floats, items: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Values, and the pairs of items that they stand for."""
    scores = features[items] @ features.T
    scores[np.arange(len(items)), items] = 0
    count = min(_ALIKE, scores.shape[1])
    best = np.argpartition(scores, -count, axis=1)[:, -count:]
    value = np.take_along_axis(scores, best, axis=1).ravel()
    keep = value > 0
    return value[keep], np.repeat(items, count)[keep], best.ravel()[keep]


def _sorted(table: sparse.csr_matrix) -> sparse.csr_matrix:
    """A table whose entries are found by bisection."""
    found = sparse.csr_matrix(table, dtype=np.float32)
    found.sum_duplicates()
    return found
