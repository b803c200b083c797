"""Tables from item to item, counted in a log: how learners went on from one to another, and who took up both."""

import numpy as np
from scipy import sparse

from features.interactions import Interactions

_LAGS = ((1, 1.0), (2, 0.5), (3, 0.25))
_ROW = 200  # entries kept of a row


def follows(table: Interactions) -> sparse.csr_matrix:
    """float32 csr[m, m]: steps from an item to a later one, nearer ones counting more, by 5 more than all from it."""
    m, items = table.n_items, table.items
    position = np.arange(len(items)) - np.repeat(table.indptr[:-1], table.lengths)
    later = [np.flatnonzero(position >= lag) for lag, _ in _LAGS]
    before = np.concatenate([items[rows - lag] for rows, (lag, _) in zip(later, _LAGS, strict=True)])
    weight = np.repeat(np.array([weight for _, weight in _LAGS], dtype=np.float32), [len(rows) for rows in later])
    found = sparse.csr_matrix((weight, (before, items[np.concatenate(later)])), shape=(m, m))
    out = np.asarray(found.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(1 / (out + 5), dtype=np.float32) @ found)


def together(table: Interactions) -> sparse.csr_matrix:
    """float32 csr[m, m]: the cosine of the learners of two items, 0 of an item with itself. A block of items at a time."""
    taken = table.matrix()
    scale = sparse.diags(1 / np.sqrt(np.maximum(table.item_counts(), 1)), dtype=np.float32)
    unit = sparse.csr_matrix(taken @ scale)
    turned = sparse.csr_matrix(unit.T)
    blocks = [strongest(sparse.csr_matrix(turned[at : at + 512] @ unit), at) for at in range(0, table.n_items, 512)]
    return sparse.csr_matrix(sparse.vstack(blocks)) if blocks else turned


def strongest(table: sparse.csr_matrix, first: int | None = None) -> sparse.csr_matrix:
    """The `_ROW` largest entries of each row; without the diagonal where the rows are those from `first` on."""
    rows = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    order = np.lexsort((table.indices, -table.data, rows))
    place = np.arange(len(order)) - table.indptr[:-1][rows]
    own = np.zeros(len(order), dtype=bool) if first is None else table.indices[order] == rows + first
    kept = np.sort(order[(place < _ROW + int(first is not None)) & ~own])
    shape = table.shape
    return sparse.csr_matrix((table.data[kept], (rows[kept], table.indices[kept])), shape=shape, dtype=np.float32)
