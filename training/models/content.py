"""Content: items that are described as what the learner took up lately is, by their texts and by their attributes.

Needs no other learner: the only model that can rank an item on the day it is added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.models.base import Arrays, columns, csr, csr_arrays, decayed_sum, floats, number
from training.models.row_lookups import decays, dots_of_one, sum_of_rows

_NOTHING = 1e-5
_MOST, _NARROWEST = 1_000_000, 64
"""Numbers in a table of texts that are scored in a fraction of a millisecond, and the fewest of one text."""
_WEAKEST = 1e-4  # of the strongest axis: below, rounding would be blown up
_ATTRIBUTES = "attributes"


class ContentConfig(BaseModel):
    """`decay`: weight of an item in the history for each newer one. `share`: of attributes against text in an item with both.

    `bind` makes it a model of one catalogue's items.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "content"

    decay: float = Field(default=0.5, gt=0, le=1)
    share: float = Field(default=0.5, ge=0, le=1)

    def bind(self, side: SideInformation) -> "Content":
        """A model over texts and attributes; a row of zeros or NaN is an item without text.

        The mean of all texts is taken off first, what many texts share counts less (see `_spread`), and a rare attribute
        counts more than a common one (by the logarithm of the inverse of its share): what a whole catalogue has in common
        tells no two items apart. Each item becomes one vector of length 1, its text and its attributes side by side, with
        `share` of the square in the attributes. Where no item has both, `share` decides nothing, and the model's config
        says 1 without any text, else 0.
        """
        if side.text is None and side.attributes is None:
            raise ValueError("nothing is known of the items: content needs texts or attributes, and there are neither")
        texts, attributes = _texts(side), _attributes(side)
        text, described = np.any(texts, axis=1), np.diff(attributes.indptr) > 0
        both = text & described
        share = self.share if both.any() else float(not text.any())
        texts[both] *= np.float32(np.sqrt(1 - share))
        kept = np.where(both, np.float32(np.sqrt(share)), np.float32(1))
        attributes = sparse.csr_matrix(sparse.diags(kept, dtype=np.float32) @ attributes)
        attributes.eliminate_zeros()
        return Content(self.model_copy(update={"share": share}), texts, attributes)


def grid(n_items: int) -> Sequence[ContentConfig]:
    """Decays and shares to choose from on validation."""
    return tuple(ContentConfig(decay=decay, share=share) for decay in (0.5, 0.8) for share in (0.5, 0.25, 0.75))


def _texts(side: SideInformation) -> NDArray[np.float32]:
    """float32[n_items, d] without their mean, spread out, of unit length, zero for no text (or one that equals the mean)."""
    if side.text is None:
        return np.zeros((side.n_items, 0), dtype=np.float32)
    unit = _unit(np.array(side.text, dtype=np.float32))
    texts = np.any(unit, axis=1)
    if texts.any():
        unit[texts] = _unit(unit[texts] - unit[texts].mean(axis=0))
    return _spread(unit)


def _spread(texts: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same on their main axes, halfway to whitened, of unit length again.

    A few axes that many texts share would rule every cosine: each is divided by the fourth root of its sum of squares, which
    is half of whitening (Su, Cao, Liu, Ou: Whitening sentence representations, 2021). A large catalogue keeps only as many
    axes as are scored in time.
    """
    squares, axes = np.linalg.eigh((texts.T @ texts).astype(np.float64))
    kept = np.flatnonzero(squares > _WEAKEST * squares.max(initial=0))[-max(_NARROWEST, _MOST // max(len(texts), 1)) :]
    turned = axes[:, kept] * squares[kept] ** -0.25
    return _unit(np.ascontiguousarray(texts @ turned.astype(np.float32)))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1, or of zeros where a row is NaN or shorter than rounding can tell from zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > _NOTHING)
    return unit


def _attributes(side: SideInformation) -> sparse.csr_matrix:
    """float32 csr[n_items, a], weighted and of unit length; an attribute that all described items have tells nothing."""
    if side.attributes is None:
        return nothing(side.n_items)
    described = np.count_nonzero(np.diff(side.attributes.indptr))
    frequency = np.bincount(side.attributes.indices, minlength=side.attributes.shape[1])
    rarity = np.log(described / np.maximum(frequency, 1)).astype(np.float32)
    weighted = sparse.csr_matrix(side.attributes @ sparse.diags(rarity, dtype=np.float32))
    weighted.eliminate_zeros()
    norms = np.sqrt(np.asarray(weighted.power(2).sum(axis=1)).ravel())
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    return sparse.csr_matrix(sparse.diags(scale, dtype=np.float32) @ weighted)


def nothing(n_items: int) -> sparse.csr_matrix:
    """float32 csr[n_items, 0]: of items without attributes."""
    return sparse.csr_matrix(np.zeros((n_items, 0), dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Content:
    """A content model bound to its items; see `FittedContent`."""

    config: ContentConfig
    vectors: NDArray[np.float32]
    attributes: sparse.csr_matrix
    name: ClassVar[str] = "content"

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedContent":
        """Raises ValueError where texts and attributes were not made for these items, or where there is neither."""
        if len(self.vectors) != interactions.n_items:
            raise ValueError(f"side information of {len(self.vectors)} items for a table of {interactions.n_items} items")
        return FittedContent(self.vectors, self.config.decay, self.attributes)


@dataclass(frozen=True, eq=False)
class FittedContent:
    """vectors: float32[n_items, d] of texts; attributes: float32 csr[n_items, a]; an item's two rows together have length 1.

    Both are zero for an item that nothing is known of. NaN for such an item, and for a history of such items only.
    """

    vectors: NDArray[np.float32]
    decay: float
    attributes: sparse.csr_matrix
    kind: ClassVar[str] = "content"

    @cached_property
    def _unknown(self) -> NDArray[np.intp]:
        """The items that nothing is known of, which are few."""
        return np.flatnonzero(~np.any(self.vectors, axis=1) & (np.diff(self.attributes.indptr) == 0))

    @property
    def n_items(self) -> int:
        return len(self.vectors)

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        """The cosine between an item and the decayed sum of the history."""
        if len(histories) == 1:
            return columns(self._of_one(histories)[None], items)
        texts, words = (decayed_sum(histories, table, self.decay) for table in (self.vectors, self.attributes))
        lengths = np.sqrt(np.square(texts).sum(axis=1) + np.square(words).sum(axis=1))[:, None]
        per_length = np.divide(1, lengths, out=np.full_like(lengths, np.nan), where=lengths > 0)
        scores = (texts * per_length) @ self.vectors.T
        scores += (self.attributes @ np.ascontiguousarray((words * per_length).T)).T
        scores[:, self._unknown] = np.nan
        return columns(scores, items)

    def _of_one(self, history: Histories) -> NDArray[np.float32]:
        """float32[n_items]: the same, without what a catalogue has nothing of."""
        weights = decays(self.decay, len(history.items))
        text = weights @ self.vectors[history.items] if self.vectors.shape[1] else np.zeros(0, dtype=np.float32)
        words = sum_of_rows(self.attributes, history.items, weights)
        length = float(text @ text + words @ words) ** 0.5
        if length == 0:
            return np.full(self.n_items, np.nan, dtype=np.float32)
        found = self.attributes @ (words / length) if len(words) else np.zeros(self.n_items, dtype=np.float32)
        if len(text):
            found += self.vectors @ (text / length)
        found[self._unknown] = np.nan
        return np.asarray(found, dtype=np.float32)

    def likeness(self, items: NDArray[np.integer], others: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32[len(items), len(others)]: the cosine between items; 0 where nothing is known of one of them."""
        texts = self.vectors[items] @ self.vectors[others].T
        words = dots_of_one(self.attributes, items.tolist(), others.astype(np.int64))
        return np.asarray(texts + words, dtype=np.float32)

    def arrays(self) -> Arrays:
        return {"vectors": self.vectors, **(csr_arrays(_ATTRIBUTES, self.attributes) if self.attributes.shape[1] else {})}

    def params(self) -> Mapping[str, float | int | str]:
        width = self.attributes.shape[1]
        return {"decay": self.decay, **({"n_attributes": width} if width else {})}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        """A bundle without attributes has no array of them: it may be older than they are."""
        vectors = floats(arrays, "vectors", None, None)
        width = int(number(params, "n_attributes", low=0)) if "n_attributes" in params else 0
        attributes = csr(arrays, _ATTRIBUTES, len(vectors), width) if width else nothing(len(vectors))
        return cls(vectors, number(params, "decay", low=0, high=1), attributes)
