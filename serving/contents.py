"""What items are about, as vectors of the model's texts and the catalogue's words: a cosine says how alike two items are."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.side import SideInformation
from training.bundle import Bundle
from training.models.base import Fitted
from training.models.content import FittedContent

MOST_COLUMNS = 128
"""Columns of contents, so that comparing a hundred items takes microseconds."""

Floats = NDArray[np.float32]


def contents_of(bundle: Bundle) -> Floats:
    """The `contents` of a bundle's items: texts of its model's content part, types, skills, providers, attributes."""
    words = SideInformation.of_catalogue(bundle.catalogue, bundle.vocabulary).attributes
    return contents(len(bundle.vocabulary), text_of(bundle.model), words)


def contents(n_items: int, text: Floats | None, words: sparse.csr_matrix | None) -> Floats:
    """float32[n_items, <= 128], rows of length 1 in which text and words weigh the same; of 0 where neither is known.

    text: float32[n_items, d], a row of zeros or NaN is an item without; words: 0/1 attributes; either is None where there is
    none at all. Wider ones are kept along their main axes (PCA without centring), which keeps cosines best.
    """
    known = [unit(text)] if text is not None else []
    known += [told(words)] if words is not None else []
    if not known:
        return np.zeros((n_items, 0), dtype=np.float32)
    found = unit(np.concatenate(known, axis=1))
    if found.shape[1] <= MOST_COLUMNS:
        return found
    _, axes = np.linalg.eigh(found.T @ found)
    return unit(np.ascontiguousarray(found @ axes[:, -MOST_COLUMNS:]))


def text_of(model: Fitted) -> Floats | None:
    """The text vectors of a content model, or of the first part of a model that has them; None without."""
    if isinstance(model, FittedContent):
        return model.vectors
    parts = getattr(model, "parts", {})
    return next((found for part in parts.values() if (found := text_of(part)) is not None), None)


def told(words: sparse.csr_matrix, most: int = 4 * MOST_COLUMNS) -> Floats:
    """float32[m, <= most] unit rows: words weighed by how few items have them, `ln(m / df)` (Spärck Jones 1972).

    What all items have in common tells none apart. Words beyond `most` are folded onto so many by random signs, which keeps
    cosines to about 1 / sqrt(most) (Achlioptas 2003); drawn from a fixed seed, so that a replay draws the same.
    """
    n_items, n_words = words.shape
    spread = np.log(n_items / np.maximum(np.bincount(words.indices, minlength=n_words), 1)).astype(np.float32)
    weighed = words @ sparse.diags_array(spread)
    if n_words <= most:
        return unit(weighed.toarray())
    signs = np.random.default_rng(0).integers(0, 2, size=(n_words, most)).astype(np.float32) * 2 - 1
    return unit(np.asarray(weighed @ signs))


def unit(rows: Floats) -> Floats:
    """float32[m, d]: rows of length 1, of zeros where a row is 0 or holds what is not finite."""
    whole = np.isfinite(rows).all(axis=1, keepdims=True)
    known = np.where(whole, np.asarray(rows, dtype=np.float32), np.float32(0))
    norms = np.linalg.norm(known, axis=1, keepdims=True)
    found: Floats = np.divide(known, norms, out=np.zeros_like(known), where=norms > 1e-6)
    return found
