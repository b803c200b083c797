"""What items have in common by their attributes and texts, as one positive semi-definite matrix that is never stored whole.

S = share_a A A' + share_t T T'. A: attributes weighted by log(m / items that have it), T: text vectors without the mean of
all texts; the rows of both have length 1, or 0 where nothing is known. The shares add up to 1: a half each where both exist.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.side import SideInformation

Floats = NDArray[np.float32]

_NOTHING = 1e-5  # a row shorter than this is rounding
_BLOCK = 1_024
_RANK = 128  # directions that stand for the attributes where single pairs of items are looked at


@dataclass(frozen=True, eq=False)
class Likeness:
    """attributes: float32 csr[m, a], text: float32[m, d], each None where there is none; rows of length 1 or 0."""

    n_items: int
    attributes: sparse.csr_matrix | None
    text: Floats | None

    @classmethod
    def of(cls, side: SideInformation) -> "Likeness | None":
        """None where the side information says nothing of any item by attribute or text."""
        attributes = None if side.attributes is None else _weighted(side.attributes)
        text = None if side.text is None else _centred(np.array(side.text, dtype=np.float32))
        attributes = attributes if attributes is not None and attributes.nnz else None
        text = text if text is not None and text.any() else None
        if attributes is None and text is None:
            return None
        return cls(side.n_items, attributes, text)

    @property
    def share(self) -> np.float32:
        """The share of either kind."""
        return np.float32(1 if self.attributes is None or self.text is None else 0.5)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """bool[m]: items of which anything is known."""
        found = np.zeros(self.n_items, dtype=bool)
        if self.attributes is not None:
            found |= np.diff(self.attributes.indptr) > 0
        if self.text is not None:
            found |= self.text.any(axis=1)
        return found

    def add_to(self, matrix: Floats, weight: float) -> None:
        """matrix: C-ordered float32[m, m] += weight S, a block of rows at a time."""
        scale = np.float32(weight) * self.share
        for start in range(0, self.n_items, _BLOCK):
            rows = slice(start, start + _BLOCK)
            if self.attributes is not None:
                matrix[rows] += (self.attributes[rows] @ (self.attributes.T * scale)).toarray()
            if self.text is not None:
                matrix[rows] += (self.text[rows] * scale) @ self.text.T

    @cached_property
    def features(self) -> Floats:
        """float32[m, f], F F' = S up to the rank that is kept of the attributes: for the likeness of single pairs."""
        found = [self.text] if self.text is not None else []
        if self.attributes is not None:
            found.append(_reduced(self.attributes))
        return np.ascontiguousarray(np.hstack(found) * np.sqrt(self.share), dtype=np.float32)


def _weighted(attributes: sparse.csr_matrix) -> sparse.csr_matrix:
    """Unit rows, each attribute weighted by how few items have it; one that all have says nothing."""
    found = sparse.csr_matrix(attributes, dtype=np.float32, copy=True)
    holders = np.bincount(found.indices, minlength=found.shape[1])
    found.data *= np.log(found.shape[0] / np.maximum(holders, 1)).astype(np.float32)[found.indices]
    found.eliminate_zeros()
    lengths = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    found.data /= np.repeat(lengths, np.diff(found.indptr)).astype(np.float32)
    return found


def _centred(text: Floats) -> Floats:
    """Unit rows after the mean of all texts is taken off; zeros for a row that is zero, NaN, or equal to the mean."""
    unit = _unit(text)
    has = unit.any(axis=1)
    if has.any():
        unit[has] = _unit(unit[has] - unit[has].mean(axis=0))
    return unit


def _unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Floats = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > _NOTHING)
    return found


def _reduced(attributes: sparse.csr_matrix) -> Floats:
    """float32[m, <= rank]: the strongest directions of the attributes, all of them where these are few."""
    from scipy.sparse.linalg import svds  # here: the service, which fits nothing, starts without it

    if attributes.shape[1] <= _RANK or attributes.shape[0] <= _RANK + 1:
        return np.asarray(attributes.toarray(), dtype=np.float32)
    _, _, directions = svds(attributes, k=_RANK, v0=np.ones(min(attributes.shape), dtype=np.float32))
    return np.asarray(attributes @ directions.T, dtype=np.float32)
