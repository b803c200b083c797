"""Kinds of similarity between items, from what is known of them beside who took them up; rows are made when asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.side import POSITION, SideInformation
from training.models.content import ContentConfig

Floats = NDArray[np.float32]

TEXT = "text"
ATTRIBUTES, RAREST, OVERLAP = "attributes", "rarest", "overlap"
"""Cosines of the attributes that two items have, weighted by rarity (log 1 / share), or by its square; the sum over what they
share of the squared rarity, in hundreds: many shared attributes count more than one shared by items that have no other."""
REACH = (1, 5, 30)
"""Places in the catalogue over which nearness falls to 1/e, for the kinds `ahead1` ... and `behind1` ..."""


@dataclass(frozen=True, eq=False)
class Similarities:
    """Of m items. text: float32[m, d] of rows of length 1 or 0, words: float32 csr[m, a] by kind, rows of attributes.

    position: float32[m] in the catalogue, NaN where not given. Text and position None, words empty, where no item has any.
    """

    n_items: int
    text: Floats | None
    words: Mapping[str, sparse.csr_matrix]
    position: Floats | None

    @classmethod
    def of(cls, side: SideInformation) -> "Similarities":
        """ValueError where neither texts, attributes nor positions are known of any item."""
        text = None if side.text is None else ContentConfig().bind(SideInformation(side.n_items, side.text)).vectors
        words = {} if side.attributes is None else _words(side.attributes)
        position = side.fields.get(POSITION)
        if text is None and not words and position is None:
            raise ValueError("nothing is known of the items: similarity needs texts, attributes or positions in the catalogue")
        return cls(side.n_items, text, words, position)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The names of the kinds that these items have."""
        near = tuple(f"{way}{reach}" for reach in REACH for way in ("ahead", "behind"))
        text = () if self.text is None else (TEXT,)
        return (*text, *self.words, *(() if self.position is None else near))

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """bool[m]: items with any of them."""
        found = np.zeros(self.n_items, dtype=bool)
        if self.text is not None:
            found |= self.text.any(axis=1)
        for table in self.words.values():
            found |= np.diff(table.indptr) > 0
        if self.position is not None:
            found |= ~np.isnan(self.position)
        return found

    def rows(self, kind: str, items: NDArray[np.integer]) -> Floats:
        """float32[len(items), m]: how like each of `items` every item is. Errors: KeyError for a kind they do not have."""
        if kind == TEXT and self.text is not None:
            return np.asarray(self.text[items] @ self.text.T, dtype=np.float32)
        if kind in self.words:
            return np.asarray((self.words[kind][items] @ self.words[kind].T).toarray(), dtype=np.float32)
        if self.position is not None and kind in self.kinds:
            return _near(self.position, items, kind)
        raise KeyError(kind)


def _words(attributes: sparse.csr_matrix) -> dict[str, sparse.csr_matrix]:
    described = np.count_nonzero(np.diff(attributes.indptr))
    held = np.bincount(attributes.indices, minlength=attributes.shape[1])
    rarity = np.log(described / np.maximum(held, 1)).astype(np.float32)
    weighted, squared = (_scaled(attributes, rarity**power) for power in (1, 2))
    return {ATTRIBUTES: _unit(weighted), RAREST: _unit(squared), OVERLAP: weighted * np.float32(0.1)}


def _scaled(attributes: sparse.csr_matrix, weight: Floats) -> sparse.csr_matrix:
    """Columns times weight; one that all described items have tells nothing and goes."""
    found = sparse.csr_matrix(attributes @ sparse.diags(weight), dtype=np.float32)
    found.eliminate_zeros()
    return found


def _unit(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sparse.csr_matrix(sparse.diags(scale) @ rows, dtype=np.float32)


def _near(position: Floats, items: NDArray[np.integer], kind: str) -> Floats:
    """exp((1 - distance) / reach) for items ahead of (or behind) one in the catalogue; 0 for the others."""
    way = kind.rstrip("0123456789")
    distance = position[None, :] - position[items][:, None]
    distance = distance if way == "ahead" else -distance
    near: Floats = np.exp((1 - np.maximum(distance, 1)) / np.float32(kind.removeprefix(way)))
    return np.where(distance > 0, near, np.float32(0))
