"""Entries of sparse tables from one row to many columns, for the pairs of a history's item and a candidate."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]


def looked_up(table: sparse.csr_matrix, of: NDArray[np.int64], row: NDArray[np.int64], item: NDArray[np.int64]) -> Floats:
    """float32[k]: the table's entries from the item of each row; NaN where there is none."""
    found = np.full(len(row), np.nan, dtype=np.float32)
    scratch = np.zeros(table.shape[1], dtype=np.float32)
    bounds = np.searchsorted(row, np.arange(len(of) + 1))
    for at, one in enumerate(of.tolist()):
        if one < 0:
            continue
        span = slice(table.indptr[one], table.indptr[one + 1])
        scratch[table.indices[span]] = table.data[span]
        found[bounds[at] : bounds[at + 1]] = scratch[item[bounds[at] : bounds[at + 1]]]
        scratch[table.indices[span]] = 0
    return found


def decays(decay: float, length: int) -> Floats:
    """float32[length]: `decay ** age` of the entries of one history, oldest first."""
    return np.power(np.float32(decay), np.arange(length - 1, -1, -1), dtype=np.float32)


def sum_of_rows(table: sparse.csr_matrix, rows: NDArray[np.integer], weights: Floats) -> Floats:
    """float32[d]: the sum of a few rows, each times its weight: as long as their entries take."""
    if not len(rows):
        return np.zeros(table.shape[1], dtype=np.float32)
    spans = list(map(slice, table.indptr[rows].tolist(), table.indptr[rows + 1].tolist()))
    given = np.concatenate([table.data[span] * weight for span, weight in zip(spans, weights, strict=True)])
    place = np.concatenate([table.indices[span] for span in spans])
    return np.bincount(place, given, minlength=table.shape[1]).astype(np.float32)


def entries(rows: Sequence[tuple[sparse.csr_matrix, int]], item: NDArray[np.int64]) -> Floats:
    """float32[len(rows), k]: what a few rows of tables hold for some of their columns.

    Each row's entries are put where their columns are asked, or behind them: no row is written out.
    """
    k = len(item)
    found = np.zeros((len(rows), k + 1), dtype=np.float32)
    if not len(rows):
        return found[:, :k]
    place = np.full(rows[0][0].shape[1], k, dtype=np.int32)
    place[item] = np.arange(k)
    spans = [(table, slice(table.indptr[of], table.indptr[of + 1])) for table, of in rows]
    start = np.repeat(np.arange(0, found.size, k + 1), [span.stop - span.start for _, span in spans])
    start += place.take(np.concatenate([table.indices[span] for table, span in spans]))
    found.ravel()[start] = np.concatenate([table.data[span] for table, span in spans])
    return found.take(place.take(item), axis=1)


def dots_of_one(table: sparse.csr_matrix, of: Sequence[int], item: NDArray[np.int64]) -> Floats:
    """float32[len(of), k]: the products of a few rows with those of items."""
    rows = np.zeros((len(of), table.shape[1]), dtype=np.float32)
    for row, one in zip(rows, of, strict=True):
        span = slice(table.indptr[one], table.indptr[one + 1])
        row[table.indices[span]] = table.data[span]
    starts = table.indptr[item]
    lengths = table.indptr[item + 1] - starts
    ends = np.cumsum(lengths)
    place = np.repeat(starts - ends + lengths, lengths)
    place += np.arange(len(place), dtype=place.dtype)
    pair = np.repeat(np.arange(len(item)), lengths)
    given = rows.take(table.indices.take(place), axis=1) * table.data.take(place)
    found = np.empty((len(of), len(item)), dtype=np.float32)
    for own, one in zip(found, given, strict=True):
        own[:] = np.bincount(pair, one, minlength=len(item))
    return found


def dots(table: sparse.csr_matrix, of: NDArray[np.int64], row: NDArray[np.int64], item: NDArray[np.int64]) -> Floats:
    """float32[k]: the product of an item's row with that of its history's item (any value where there is none)."""
    found = np.zeros(len(row), dtype=np.float32)
    scratch = np.zeros(table.shape[1], dtype=np.float32)
    bounds = np.searchsorted(row, np.arange(len(of) + 1))
    starts, lengths = table.indptr[item], np.diff(table.indptr)[item]
    ends = np.cumsum(lengths)
    place = np.arange(lengths.sum()) + np.repeat(starts - ends + lengths, lengths)
    pair = np.repeat(np.arange(len(item)), lengths)
    inside = np.concatenate([[0], ends])[bounds]
    given = np.zeros(len(place), dtype=np.float32)
    for at, one in enumerate(of.tolist()):
        if one < 0:
            continue
        span = slice(table.indptr[one], table.indptr[one + 1])
        scratch[table.indices[span]] = table.data[span]
        own = slice(inside[at], inside[at + 1])
        given[own] = table.data[place[own]] * scratch[table.indices[place[own]]]
        scratch[table.indices[span]] = 0
    found += np.bincount(pair, given, minlength=len(item)).astype(np.float32)
    return found
