"""Segments: what people of the same audience, org unit and role take up, for learners nobody knows anything else of.

A share is estimated from the coarse group to the fine one. Everybody's share of each item is the first estimate; each group
that the learner belongs to then moves it by its own take-ups, as if `prior` take-ups had gone before at the estimate so far
(the posterior mean under a Dirichlet prior centred there; Gelman et al., Bayesian Data Analysis, 3rd ed., 3.4 and 5.1). A
role of three people says little, one of three hundred nearly all, and who belongs to no known group gets everybody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from features.interactions import Histories, Interactions
from training.models.base import Arrays, at_the_mean, columns, floats, number

GROUPS = ("audience", "org_unit", "role")
"""Fields of `Histories`, from coarse to fine."""
_DAY = np.timedelta64(1, "D")


class Segments(BaseModel):
    """`half_life_days`: after it a take-up counts half. `prior`: take-ups of the wider group that a group starts from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str] = "segments"

    half_life_days: float = Field(default=90.0, gt=0)
    prior: float = Field(default=100.0, gt=0)

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedSegments":
        """Ages are as in `recent`. Where no entry has a time all count alike, else those without one do not count."""
        weight = _weights(interactions, self.half_life_days)
        total = np.bincount(interactions.items, weight, minlength=interactions.n_items)
        everybody = total / total.sum() if total.sum() > 0 else total
        counts = {name: _counts(interactions, getattr(interactions, name), weight) for name in GROUPS}
        return FittedSegments(everybody.astype(np.float32), counts, self.prior)


def grid(n_items: int) -> Sequence[Segments]:
    """Half-lives and prior strengths to choose from on validation."""
    return tuple(Segments(half_life_days=days, prior=prior) for days, prior in product((30, 90, 365), (30, 100, 300)))


@dataclass(frozen=True, eq=False)
class FittedSegments:
    """everybody: float32[m], shares that add up to 1. counts: by group float32 csr[groups + 1, m], take-ups by index of the
    group; the last row is empty, for who is in none. Scores every item, never NaN; one that nobody took up as the mean of
    the others.
    """

    everybody: NDArray[np.float32]
    counts: Mapping[str, sparse.csr_matrix]
    prior: float
    kind: ClassVar[str] = "segments"

    @property
    def n_items(self) -> int:
        return len(self.everybody)

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        rows = np.stack([self._rows(name, histories) for name in GROUPS], axis=1)
        segments, of = (rows, np.arange(len(rows))) if len(rows) <= 1 else np.unique(rows, axis=0, return_inverse=True)
        shares = np.tile(self.everybody, (len(segments), 1))
        for name, group in zip(GROUPS, segments.T, strict=True):
            own = self.counts[name][group].toarray()
            size = own.sum(axis=1, keepdims=True)
            shares = (own + np.float32(self.prior) * shares) / (size + np.float32(self.prior))
        levels = at_the_mean(shares, self.everybody == 0)
        return columns(np.ascontiguousarray(levels[of.ravel()], dtype=np.float32), items)

    def favoured_by(self, histories: Histories, row: int, item: int) -> str | None:
        """The group of a learner whose own share of an item exceeds everybody's by most; None where none does."""
        found: dict[str, float] = {}
        for name in GROUPS:
            own = self.counts[name][self._rows(name, histories)[row]]
            if (taken := own[0, item]) > self.everybody[item] * (size := own.sum()):
                found[name] = float(taken / size / max(self.everybody[item], 1e-9))
        return max(found, key=lambda name: found[name], default=None)

    def _rows(self, name: str, histories: Histories) -> NDArray[np.int32]:
        """int32[n]: the row of each learner's group, the last one where it is not known."""
        group, last = getattr(histories, name), self.counts[name].shape[0] - 1
        return np.where((group >= 0) & (group < last), group, last).astype(np.int32)

    def arrays(self) -> Arrays:
        found: dict[str, NDArray[Any]] = {"everybody": self.everybody}
        for name, counts in self.counts.items():
            found |= {f"{name}.indptr": counts.indptr, f"{name}.indices": counts.indices, f"{name}.counts": counts.data}
        return found

    def params(self) -> Mapping[str, float | int | str]:
        return {"prior": self.prior}

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        everybody = floats(arrays, "everybody", None)
        counts = {name: _read(arrays, name, len(everybody)) for name in GROUPS}
        return cls(np.asarray(everybody), counts, number(params, "prior", low=1e-6))


def _weights(interactions: Interactions, half_life_days: float) -> NDArray[np.float64]:
    """float64[nnz]: how much each entry counts."""
    dated = ~np.isnat(interactions.at)
    if not dated.any():
        return np.ones(len(dated))
    until = interactions.at[dated].max() if np.isnat(interactions.until) else interactions.until
    age = np.where(dated, (until - interactions.at) / _DAY, np.inf)
    return np.exp2(-np.maximum(age, 0) / half_life_days)


def _counts(interactions: Interactions, group: NDArray[np.int32], weight: NDArray[np.float64]) -> sparse.csr_matrix:
    """float32 csr[groups + 1, m]: the weighted take-ups of each group's learners."""
    of = group[interactions.rows()]
    known = of >= 0
    shape = (int(group.max(initial=-1)) + 2, interactions.n_items)
    entries = weight[known], (of[known], interactions.items[known])
    found = sparse.csr_matrix(entries, shape=shape)
    found.sum_duplicates()
    return found.astype(np.float32)


def _read(arrays: Arrays, name: str, m: int) -> sparse.csr_matrix:
    """The counts of one kind of group; ValueError where they are not such a table."""
    indptr, indices = arrays[f"{name}.indptr"], arrays[f"{name}.indices"]
    if any(array.dtype not in (np.int32, np.int64) or array.ndim != 1 for array in (indptr, indices)):
        raise ValueError(f"indptr and indices of {name} are not int32[any] or int64[any]")
    if len(indptr) < 2 or indptr[0] != 0 or not indptr[-2] == indptr[-1] == len(indices) or np.any(np.diff(indptr) < 0):
        raise ValueError(f"indptr of {name} does not rise from 0 to {len(indices)}, the last row empty")
    if len(indices) and (indices.min() < 0 or indices.max() >= m):
        raise ValueError(f"an index of {name} lies outside 0..{m - 1}")
    counts = floats(arrays, f"{name}.counts", len(indices))
    if counts.size and counts.min() < 0:
        raise ValueError(f"a count of {name} is below 0")
    return sparse.csr_matrix((counts, indices, indptr), shape=(len(indptr) - 1, m))
