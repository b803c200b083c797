"""A fitted model over a catalogue that has grown since: the items it knows keep their places, the new ones stand behind them.

Nothing is fitted. What a part learned of an item by its take-ups stays as it is, and of a new item it knows nothing; what it
says by side information alone it says of the new ones too.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import SideInformation
from features.vocabulary import Vocabulary
from training.models.als import FittedALS
from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.bpr import FittedBPR
from training.models.content import ContentConfig, FittedContent
from training.models.item_knn import FittedItemKNN
from training.models.linear import FittedLinear
from training.models.pairs import Pairs
from training.models.popularity import FittedPopularity
from training.models.random_order import FittedRandomOrder
from training.models.ranker import FittedRanker
from training.models.recent import FittedRecent
from training.models.segments import FittedSegments
from training.models.similarity import FittedSimilarity


def grown_vocabulary(vocabulary: Vocabulary, items: Vocabulary) -> Vocabulary:
    """The ids of the vocabulary in their places, then those of `items` that it lacks."""
    return Vocabulary((*vocabulary.ids, *(item for item in items.ids if item not in vocabulary)))


def ranks_new_items(model: Fitted) -> bool:
    """Whether the model says anything of an item by what is known of it, and all its parts can be grown."""
    parts = _parts(model)
    return all(type(part) in _GROW for part in parts) and any(isinstance(part, _BY_SIDE) for part in parts)


def grown(model: Fitted, side: SideInformation) -> Fitted:
    """The model over the items of `side`: first those it was fitted on, in their order, then new ones.

    Errors: ValueError for fewer items than the model has, TypeError for a model that cannot be grown (`ranks_new_items`).
    """
    if side.n_items < model.n_items:
        raise ValueError(f"side information of {side.n_items} items for a model of {model.n_items}")
    if isinstance(model, FittedBlend):
        return replace(model, parts={name: grown(part, side) for name, part in model.parts.items()})
    if isinstance(model, FittedRanker):
        blend = grown(model.blend, side)
        assert isinstance(blend, FittedBlend)
        return replace(model, blend=blend, pairs=_pairs(model.pairs, side))
    if type(model) not in _GROW:
        raise TypeError(f"a {model.kind} model cannot be grown: fit again")
    found: Fitted = _GROW[type(model)](model, side)
    return found


def _parts(model: Fitted) -> tuple[Fitted, ...]:
    if isinstance(model, FittedRanker):
        return _parts(model.blend)
    return tuple(model.parts.values()) if isinstance(model, FittedBlend) else (model,)


def _more(table: NDArray[Any], n_items: int, axis: int = 0) -> NDArray[Any]:
    """The table with rows (or columns) of zeros for new items."""
    width = [(0, 0)] * table.ndim
    width[axis] = (0, n_items - table.shape[axis])
    return np.pad(table, width)


def _square(table: NDArray[np.float32] | sparse.csr_matrix, n_items: int) -> NDArray[np.float32] | sparse.csr_matrix:
    return _resized(table, n_items, n_items) if sparse.issparse(table) else _more(_more(table, n_items), n_items, 1)


def _resized(table: sparse.csr_matrix, n_rows: int, n_columns: int) -> sparse.csr_matrix:
    """The same entries in a larger shape. A copy, for served arrays are read-only."""
    indptr = np.concatenate([table.indptr, np.full(n_rows - table.shape[0], table.indptr[-1], dtype=table.indptr.dtype)])
    return sparse.csr_matrix((table.data, table.indices, indptr), shape=(n_rows, n_columns), copy=True)


def _linear(model: FittedLinear, side: SideInformation) -> FittedLinear:
    return replace(model, weights=_square(model.weights, side.n_items), known=_more(model.known, side.n_items))


def _content(model: FittedContent, side: SideInformation) -> FittedContent:
    """All items anew: what a whole catalogue has in common changes with it. The share is read off items that have both."""
    if side.text is None and side.attributes is None:
        width = model.attributes.shape[1]
        return replace(
            model, vectors=_more(model.vectors, side.n_items), attributes=_resized(model.attributes, side.n_items, width)
        )
    described = np.diff(model.attributes.indptr) > 0
    both = described & np.any(model.vectors, axis=1)
    lengths = np.asarray(model.attributes.multiply(model.attributes).sum(axis=1)).ravel()
    share = {"share": float(np.clip(lengths[both].mean(), 0, 1))} if both.any() else {}
    bound = ContentConfig(**share).bind(side)
    return replace(model, vectors=bound.vectors, attributes=bound.attributes)


def _segments(model: FittedSegments, side: SideInformation) -> FittedSegments:
    counts = {name: _resized(table, table.shape[0], side.n_items) for name, table in model.counts.items()}
    return replace(model, everybody=_more(model.everybody, side.n_items), counts=counts)


def _random(model: FittedRandomOrder, side: SideInformation) -> FittedRandomOrder:
    more = np.random.default_rng(side.n_items).random(side.n_items - model.n_items, dtype=np.float32)
    return replace(model, draws=np.concatenate([model.draws, more]))


def _pairs(pairs: Pairs, side: SideInformation) -> Pairs:
    """The ranker's tables: what take-ups told padded, what is known of the items taken from the new side information."""
    fresh = Pairs.of(Interactions.of_histories(Histories.of([], side.n_items)), side)
    m = side.n_items
    first = np.concatenate([pairs.first, np.full(m + 1 - len(pairs.first), pairs.first[-1], dtype=pairs.first.dtype)])
    follows, leads, together = (_resized(table, m, m) for table in (pairs.follows, pairs.leads, pairs.together))
    taken = _more(pairs.taken, m)
    return replace(fresh, follows=follows, leads=leads, together=together, taken=taken, first=first, days=pairs.days)


_GROW: Mapping[type[Any], Callable[[Any, SideInformation], Any]] = {
    FittedSimilarity: lambda model, side: model.rebound(side),
    FittedContent: _content,
    FittedLinear: _linear,
    FittedItemKNN: _linear,
    FittedPopularity: lambda model, side: replace(model, counts=_more(model.counts, side.n_items)),
    FittedRecent: lambda model, side: replace(model, shares=_more(model.shares, side.n_items, 1)),
    FittedSegments: _segments,
    FittedALS: lambda model, side: replace(model, item_factors=_more(model.item_factors, side.n_items)),
    FittedBPR: lambda model, side: replace(
        model, item_factors=_more(model.item_factors, side.n_items), bias=_more(model.bias, side.n_items)
    ),
    FittedRandomOrder: _random,
}
_BY_SIDE = (FittedSimilarity, FittedContent)


def grown_population(
    population: Mapping[str, NDArray[np.float32]], vocabulary: Vocabulary, items: Vocabulary, counts: NDArray[np.integer]
) -> dict[str, NDArray[np.float32]]:
    """Statistics over a grown vocabulary: as they were, and for a new item its learners so far (`counts` by `items`)."""
    found = {name: _more(np.asarray(values), len(vocabulary)) for name, values in population.items()}
    for place, item in enumerate(vocabulary.ids):
        if "popularity" in found and place >= len(population["popularity"]):
            found["popularity"][place] = counts[items.index(item)]
    return found
