"""Similarity: what a learner took up lately draws in items like it, and how much each kind of likeness counts is learned.

The weight from item i to item j is a sum over kinds of likeness k, W_ij = sum_k theta_k s_k(i, j), and a score is the
decayed history times W. The thetas are those of a conditional logit (McFadden 1974): which item did learners take up next,
out of those drawn beside it? They belong to kinds and not to items, so an item that nobody has taken up yet, or that was
added after the fit, is scored like any other, from what is known of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.models.base import Arrays, number
from training.models.linear import FittedLinear
from training.models.similarities import Similarities

Floats = NDArray[np.float32]

_BLOCK = 512  # items whose weights, or questions whose candidates, are held at once
_PENALTY = 1e-3  # of the squared thetas, each per deviation of its kind: keeps them finite where one kind tells all
_NEWEST = 20  # items of a history that a question looks at


class Similarity(BaseModel):
    """`decay`: weight of an item in the history for each newer one. `bind` makes it a model of one catalogue's items.

    The thetas are learned from at most `questions` take-ups, each against `others` items drawn beside it. `row_entries`: how
    many of the strongest weights of each row are kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "similarity"

    decay: float = Field(default=0.5, gt=0, le=1)
    questions: int = Field(default=2_000, ge=1)
    others: int = Field(default=400, ge=1)
    row_entries: int = Field(default=300, ge=1)

    def bind(self, side: SideInformation) -> "SimilarityModel":
        """The model of these items; ValueError where neither texts, attributes nor positions are known."""
        return SimilarityModel(self, Similarities.of(side))


def grid(n_items: int) -> Sequence[Similarity]:
    """Decays to choose from on validation."""
    return tuple(Similarity(decay=decay) for decay in (0.4, 0.6, 0.8))


@dataclass(frozen=True, eq=False)
class SimilarityModel:
    """A similarity model bound to its items."""

    config: Similarity
    similarities: Similarities
    name: ClassVar[str] = "similarity"

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedSimilarity":
        """Draws questions and the items beside them. Raises ValueError for side information of other items."""
        if self.similarities.n_items != interactions.n_items:
            raise ValueError(f"side information of {self.similarities.n_items} items for {interactions.n_items} items")
        histories, targets = _questions(interactions, self.config.questions, rng)
        chosen, kinds = _candidates(self, interactions, histories, targets, rng), self.similarities.kinds
        theta = dict(zip(kinds, logit(*chosen).tolist(), strict=True)) if len(targets) else dict.fromkeys(kinds, 1.0)
        return fitted(self.similarities, theta, self.config.decay, self.config.row_entries)


@dataclass(frozen=True, eq=False)
class FittedSimilarity(FittedLinear):
    """weights: float32 csr[n_items, n_items], from an item of the history to items like it; known: items of which anything is.

    theta: what a unit of each kind of likeness counts. NaN for an item that nothing is known of, and for a history without
    any other.
    """

    theta: Mapping[str, float] = field(default_factory=dict)
    row_entries: int = 300
    kind: ClassVar[str] = "similarity"

    def rebound(self, side: SideInformation) -> "FittedSimilarity":
        """The same thetas over other items, such as a catalogue that has grown: no fit, and no event is needed."""
        return fitted(Similarities.of(side), self.theta, self.decay, self.row_entries)

    def params(self) -> Mapping[str, float | int | str]:
        kinds = {f"theta.{kind}": value for kind, value in self.theta.items()}
        return {"decay": self.decay, "row_entries": self.row_entries, **kinds}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        kinds = [key for key in params if key.startswith("theta.")]
        theta = {key.removeprefix("theta."): number(params, key, low=0) for key in kinds}
        found = super().from_arrays(arrays, params)
        return replace(found, theta=theta, row_entries=int(number(params, "row_entries", low=1)))


def fitted(similarities: Similarities, theta: Mapping[str, float], decay: float, row_entries: int) -> FittedSimilarity:
    """The weights of given thetas; a kind that these items do not have counts nothing."""
    rows = []
    for start in range(0, similarities.n_items, _BLOCK):
        items = np.arange(start, min(start + _BLOCK, similarities.n_items))
        block = np.zeros((len(items), similarities.n_items), dtype=np.float32)
        for kind in similarities.kinds:
            block += np.float32(theta.get(kind, 0.0)) * similarities.rows(kind, items)
        block[np.arange(len(items)), items] = 0
        block[~similarities.known[items]] = 0
        block[:, ~similarities.known] = 0
        rows.append(_strongest(block, row_entries))
    weights = sparse.csr_matrix(sparse.vstack(rows, dtype=np.float32))
    return FittedSimilarity(weights, similarities.known, decay, dict(theta), row_entries)


def logit(values: Floats, open_to: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64[f] >= 0: the thetas under which the first candidate of each question is the likeliest (conditional logit).

    values: float32[q, c, f] likeness of each candidate, the first one was taken up; open_to: bool[q, c] who competes. Likeness
    never counts against an item.
    """
    from scipy.optimize import minimize  # here: the service, which fits nothing, starts without it

    scale = values.reshape(-1, values.shape[2]).std(axis=0) + 1e-9
    values = values / scale

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = np.where(open_to, values @ theta.astype(np.float32), -np.inf)
        scores -= scores.max(axis=1, keepdims=True)
        share = np.exp(scores)
        total = share.sum(axis=1, keepdims=True)
        likelihood = scores[:, 0] - np.log(total[:, 0])
        gradient = values[:, 0].mean(axis=0) - np.einsum("qc,qcf->f", share / total, values) / len(values)
        return float(_PENALTY * theta @ theta - likelihood.mean()), 2 * _PENALTY * theta - gradient

    start, bounds = np.zeros(values.shape[2]), [(0.0, None)] * values.shape[2]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60})
    theta: NDArray[np.float64] = found.x / scale
    return theta


def _questions(interactions: Interactions, count: int, rng: np.random.Generator) -> tuple[Histories, NDArray[np.int32]]:
    """At most `count` take-ups after a learner's first, each with the newest items before it."""
    position = np.arange(len(interactions.items)) - np.repeat(interactions.indptr[:-1], interactions.lengths)
    later = np.flatnonzero(position > 0)
    entry = np.sort(rng.choice(later, size=min(count, len(later)), replace=False))
    asked = interactions.take(interactions.rows()[entry])
    place = np.arange(len(asked.items)) - np.repeat(asked.indptr[:-1], asked.lengths)
    before = np.repeat(position[entry], asked.lengths)
    return asked.where((place < before) & (place >= before - _NEWEST)), interactions.items[entry]


def _candidates(
    model: SimilarityModel, table: Interactions, histories: Histories, targets: NDArray[np.int32], rng: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """float32[q, c, f] likeness of the target and of items drawn beside it; bool[q, c]: who competes, no item seen before."""
    taken = np.flatnonzero(table.item_counts())
    drawn = rng.choice(taken, size=(len(targets), min(model.config.others, len(taken)))) if len(taken) else targets[:, None]
    candidates = np.hstack([targets[:, None], drawn])
    closed = np.zeros((len(targets), table.n_items), dtype=bool)
    closed[histories.rows(), histories.items] = True
    closed[np.arange(len(targets)), targets] = True
    open_to = ~np.take_along_axis(closed, candidates, axis=1)
    open_to[:, 0] = True
    blocks = [_likeness(model, *block) for block in _blocks(histories, candidates)]
    nothing = np.zeros((0, candidates.shape[1], len(model.similarities.kinds)), dtype=np.float32)
    return np.concatenate([nothing, *blocks]), open_to


def _blocks(histories: Histories, candidates: NDArray[np.integer]) -> Iterator[tuple[Histories, NDArray[np.integer]]]:
    for start, batch in histories.batches(_BLOCK):
        yield batch, candidates[start : start + len(batch)]


def _likeness(model: SimilarityModel, histories: Histories, candidates: NDArray[np.integer]) -> Floats:
    """float32[q, c, f]: the decayed history's likeness to each candidate, by kind."""
    items, place = np.unique(histories.items, return_inverse=True)
    weight = np.power(np.float32(model.config.decay), histories.age(), dtype=np.float32)
    past = sparse.csr_matrix((weight, place, histories.indptr), shape=(len(histories), len(items)))
    kinds = [past @ model.similarities.rows(kind, items) for kind in model.similarities.kinds]
    return np.stack([np.take_along_axis(np.asarray(kind), candidates, axis=1) for kind in kinds], axis=2)


def _strongest(block: Floats, count: int) -> sparse.csr_matrix:
    """The `count` highest weights of each row."""
    if count < block.shape[1]:
        weak = np.argpartition(block, -count, axis=1)[:, :-count]
        np.put_along_axis(block, weak, 0, axis=1)
    return sparse.csr_matrix(block)
