"""What items are about, as vectors of the model's texts and the catalogue's words: a cosine says how alike two items are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.side import SideInformation
from training.bundle import Bundle
from training.models.base import Fitted
from training.models.content import FittedContent

MOST_WORDS = 128
"""Columns for words; more are projected onto so many, which moves a cosine by about 1 / sqrt(128)."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Contents:
    """Of m items. text: float32[m, d], rows of length 1, or 0 where nothing is known. words: float32[m, <= 128], likewise."""

    text: Floats
    words: Floats

    @classmethod
    def of(cls, bundle: Bundle) -> "Contents":
        """Text vectors of the model's content part, if it has one, and the catalogue's types, skills, providers, attributes."""
        words = SideInformation.of_catalogue(bundle.catalogue, bundle.vocabulary).attributes
        return cls.from_side(len(bundle.vocabulary), text_of(bundle.model), words)

    @classmethod
    def from_side(cls, n_items: int, text: Floats | None, words: sparse.csr_matrix | None) -> "Contents":
        """From text vectors (a row of zeros or NaN: no text) and 0/1 attributes, each None where there are none."""
        none = np.zeros((n_items, 0), dtype=np.float32)
        return cls(none if text is None else _unit(text), none if words is None else _telling(words))

    @property
    def width(self) -> int:
        """d + w."""
        return int(self.text.shape[1] + self.words.shape[1])

    def take(self, items: NDArray[np.integer]) -> Floats:
        """float32[n, d + w], rows of length 1 in which text and words weigh the same; of 0 where neither is known."""
        found = np.concatenate([self.text[items], self.words[items]], axis=1)
        norms = np.sqrt(np.einsum("ij,ij->i", found, found))
        found /= np.where(norms > 0, norms, 1)[:, None]
        return found


def text_of(model: Fitted) -> Floats | None:
    """The text vectors of a content model, or of the first part of a model that has them; None without."""
    if isinstance(model, FittedContent):
        return model.vectors
    parts = getattr(model, "parts", {})
    return next((found for part in parts.values() if (found := text_of(part)) is not None), None)


def _telling(words: sparse.csr_matrix) -> Floats:
    """Words weighed by how few items have them, `ln(m / df)` (Spärck Jones 1972): what all have in common tells none apart."""
    n_items, n_words = words.shape
    spread = np.log(n_items / np.maximum(np.bincount(words.indices, minlength=n_words), 1)).astype(np.float32)
    weighed = words @ sparse.diags_array(spread)
    if n_words <= MOST_WORDS:
        return _unit(weighed.toarray())
    # Signs at random keep cosines (Achlioptas 2003); drawn from a fixed seed, so that a replay draws the same.
    signs = np.random.default_rng(0).integers(0, 2, size=(n_words, MOST_WORDS)).astype(np.float32) * 2 - 1
    return _unit(np.asarray(weighed @ signs))


def _unit(rows: Floats) -> Floats:
    known = np.nan_to_num(np.asarray(rows, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    norms = np.linalg.norm(known, axis=1, keepdims=True)
    unit: Floats = np.divide(known, norms, out=np.zeros_like(known), where=norms > 1e-6)
    return unit
