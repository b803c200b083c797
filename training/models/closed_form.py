"""Closed-form item-to-item weights: EASE and a ridge to the next item, with what items have in common as extra rows.

m items, G the Gram matrix of the rows that are learned from, S what items have in common (`likeness.Likeness`):

EASE (Steck, WWW 2019): W = I - P diag(1 / diag P), P = (X'X + side S + ridge I)^-1 over the binary learner-item matrix X.
Next item: W = U - P diag(diag U / diag P), U = P (Z'Y + side S), P = (Z'Z + side S + ridge I)^-1, one row of Z per take-up
after a learner's first: the decayed items before it, and Y the item itself.

`side S` is what rows of attributes do that are appended to X, and to both Z and Y, as if each attribute were a learner of
all its items (Jeunen, Van Balen, Goethals, Closed-Form Models for Collaborative Filtering with Side-Information, RecSys
2020). Both are least squares under the constraint that the diagonal of W is zero: no item explains itself.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from features.interactions import Interactions
from training.models.likeness import Likeness

Floats = NDArray[np.float32]

_BLOCK = 1_024
_NEGLIGIBLE = 1e-3  # a decayed weight below this leaves the next-item regression


def ease(taken: sparse.csr_matrix, ridge: float, likeness: Likeness | None = None, side: float = 0.0) -> Floats:
    """float32[m, m] EASE weights of a binary csr[n, m]; m^3 operations, two matrices of that size at a time."""
    gram = (taken.T @ taken).toarray(order="C")
    inverse = _inverse(_regularised(gram, ridge, likeness, side))
    scale = np.diag(inverse).copy()
    inverse /= -scale
    np.fill_diagonal(inverse, 0)
    return inverse


def next_item(
    interactions: Interactions, decay: float, ridge: float, likeness: Likeness | None = None, side: float = 0.0
) -> Floats:
    """float32[m, m] weights from the decayed items before a take-up to the item taken up; 3 m^3 operations, 3 matrices."""
    past, following = transitions(interactions, decay)
    gram = _regularised((past.T @ past).toarray(order="C"), ridge, likeness, side)
    factor, _ = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    del gram
    target = (past.T @ following).toarray(order="F")
    if likeness is not None and side > 0:
        likeness.add_to(target.T, side)
        np.fill_diagonal(target, 0)
    weights, _ = lapack.spotrs(factor, target, lower=1, overwrite_b=1)
    inverse = _inverse_of(factor)
    del factor
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    share = np.diag(weights) / np.diag(inverse)
    for start in range(0, len(weights), _BLOCK):
        rows = slice(start, start + _BLOCK)
        weights[rows] -= inverse[rows] * share
    np.fill_diagonal(weights, 0)
    return weights


def transitions(interactions: Interactions, decay: float) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """float32 csr[nnz, m] twice: the decayed items before each take-up (its row empty for a learner's first), and the item."""
    items, n_entries = interactions.items, len(interactions.items)
    position = np.arange(n_entries) - np.repeat(interactions.indptr[:-1], interactions.lengths)
    longest = int(position.max(initial=0))
    window = longest if decay == 1 else min(longest, 1 + int(np.log(_NEGLIGIBLE) / np.log(decay)))
    later = [np.flatnonzero(position >= lag) for lag in range(1, window + 1)]
    row = np.concatenate([np.zeros(0, dtype=np.int64), *later])
    lag = np.repeat(np.arange(1, window + 1), [len(rows) for rows in later])
    weight = np.power(np.float32(decay), lag - 1, dtype=np.float32)
    shape = (n_entries, interactions.n_items)
    past = sparse.csr_matrix((weight, (row, items[row - lag])), shape=shape)
    return past, sparse.csr_matrix((np.ones(n_entries, dtype=np.float32), (np.arange(n_entries), items)), shape=shape)


def _regularised(gram: Floats, ridge: float, likeness: Likeness | None, side: float) -> Floats:
    """G + side S + ridge I, in the place of G."""
    if likeness is not None and side > 0:
        likeness.add_to(gram, side)
    gram[np.diag_indices_from(gram)] += np.float32(ridge)
    return gram


def _inverse(gram: Floats) -> Floats:
    """The inverse of a symmetric positive definite matrix, in its place."""
    factor, _ = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    return _inverse_of(factor)


def _inverse_of(factor: Floats) -> Floats:
    """The inverse of F F', in the place of F, Fortran-ordered with its lower triangle valid."""
    lower, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    upper = lower.T  # C-ordered, its upper triangle valid
    for row in range(1, len(upper)):
        upper[row, :row] = upper[:row, row]
    return np.ascontiguousarray(upper)
