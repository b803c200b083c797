"""Diversity and provider limits: which candidate comes first at a slot, given what stands above it.

Diversity is the greedy maximum a posteriori of a determinantal point process (Chen, Zhang, Zhou, NeurIPS 2018): each slot takes
the candidate with the largest `(1 - t) z + t ln d2`. z is its score, standardised over the pool; d2 the share of its content
that none of the items above has, which is the squared residual of its unit vector after projection onto theirs (their `d_i^2`
of a kernel of cosines; their `c_i` are the coordinates here). With t = 0 the order is that of the scores.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.contents import Contents, Floats

POOL: Final = 100
"""The best of a row among which diversity chooses."""
LEAST_NEW: Final = 0.01
"""Two items with less than this of their content apart are the same to diversity."""

NO_CONTENTS: Final = Contents(np.zeros((1, 0), dtype=np.float32), np.zeros((1, 0), dtype=np.float32))
"""Where only a provider limit is asked for."""


@dataclass
class Above:
    """What stands in a slate so far, over all of its rows.

    providers: int[m], each item's provider, -1 without; limit: items of one provider, None for no limit. directions:
    float32[k, d], orthonormal rows that span the contents of the items above.
    """

    diversity: float
    limit: int | None
    contents: Contents
    providers: NDArray[np.int64]
    directions: Floats = field(init=False)
    _counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._counts = np.zeros(self.providers.max(initial=-1) + 2, dtype=np.int64)  # the last one, at -1, stays 0
        self.directions = np.zeros((0, self.contents.width), dtype=np.float32)

    def placed_of(self, candidates: NDArray[np.integer]) -> NDArray[np.int64]:
        """int64[n]: how many items of each candidate's provider stand above; 0 without a provider."""
        found: NDArray[np.int64] = self._counts[self.providers[candidates]]
        return found

    def place(self, candidate: int) -> Floats | None:
        """Count an item; returns the direction that its content adds, None where it adds nothing new."""
        if self.providers[candidate] >= 0:
            self._counts[self.providers[candidate]] += 1
        if self.diversity == 0:
            return None
        found: Floats = self.contents.take(np.array([candidate]))[0]
        rest: Floats = found - self.directions.T @ (self.directions @ found)
        length = float(np.sqrt(rest @ rest))
        if length * length <= LEAST_NEW or len(self.directions) >= POOL:
            return None
        new: Floats = rest / length
        self.directions = np.concatenate([self.directions, new[None]])
        return new


class Diverse:
    """The candidates of one row: what a slot may hold, and which of it comes first.

    A slot may hold what is within the provider limit. Where nothing is, the limit of this one slot rises until something is,
    so that no slot stays empty.
    """

    def __init__(self, above: Above, ordered: NDArray[np.integer], relevance: NDArray[np.floating], slots: int) -> None:
        """`ordered`: int[n], the row's candidates, best first; relevance: float[n], what each is worth; `slots` to fill."""
        self._above, self._slots = above, slots
        self._ordered = np.asarray(ordered, dtype=np.int64)
        self._free = np.ones(len(self._ordered), dtype=bool)
        self._blocked, self._passed = np.zeros((2, len(self._ordered)), dtype=bool)
        self._allowed = np.arange(len(self._ordered))
        self._greedy = 0
        pool = min(POOL, len(self._ordered)) if above.diversity > 0 else 0
        self._value = standardised(relevance[:pool])
        self._content = above.contents.take(self._ordered[:pool])
        self._known = np.any(self._content, axis=1)
        self._new = 1 - np.square(self._content @ above.directions.T).sum(axis=1)

    def open(self, support: int) -> list[int]:
        """The best candidates by score that the next slot may hold, at most `support`; empty when none is left."""
        self._allowed = np.flatnonzero(self._free)
        if self._above.limit is not None and len(self._allowed):
            placed = self._above.placed_of(self._ordered[self._allowed])
            self._allowed = self._allowed[placed < max(self._above.limit, int(placed.min()) + 1)]
        found: list[int] = self._ordered[self._allowed[:support]].tolist()
        return found

    def first(self) -> int:
        """The candidate that the next slot holds unless chance decides, of those that `open` found."""
        pool = self._allowed[: np.searchsorted(self._allowed, len(self._value))]
        self._greedy = int(self._allowed[0])
        if len(pool):
            share = self._above.diversity
            self._greedy = int(pool[np.argmax((1 - share) * self._value[pool] + share * self._gain(pool))])
        return int(self._ordered[self._greedy])

    def place(self, candidate: int) -> None:
        """Take a candidate out and put it into the slate."""
        at = int(np.flatnonzero(self._free & (self._ordered == candidate))[0])
        if at == self._greedy:
            over = self._free[:at].copy()
            mine = self._allowed[: np.searchsorted(self._allowed, at)]
            self._passed[mine] = True
            over[mine] = False
            self._blocked[:at] |= over
        self._free[at] = False
        direction = self._above.place(candidate)
        if direction is not None and len(self._new):
            self._new -= np.square(self._content @ direction)

    def given_up(self) -> dict[str, list[int]]:
        """By rule, the candidates that would have stood in the row by score and were passed over for it."""
        best = np.arange(len(self._ordered)) < self._slots
        blocked = self._blocked & best
        passed = self._passed & best & ~blocked
        found = {"provider_limit": blocked & self._free, "diversity": passed & self._free}
        return {rule: self._ordered[mask].tolist() for rule, mask in found.items()}

    def _gain(self, pool: NDArray[np.integer]) -> NDArray[np.float64]:
        """ln d2 of each; where nothing is known of a content the mean of the others, which moves it neither up nor down."""
        gain = np.log(np.maximum(self._new[pool], LEAST_NEW))
        known = self._known[pool]
        return np.where(known, gain, gain[known].mean() if known.any() else 0.0)


def standardised(relevance: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64[n], mean 0 and deviation 1; zeros where all are equal; what is not finite counts as the least that is."""
    found = np.asarray(relevance, dtype=np.float64)
    finite = np.isfinite(found)
    if not finite.any():
        return np.zeros(len(found))
    found = np.where(finite, found, found[finite].min())
    spread = float(found.std())
    return (found - found.mean()) / spread if spread > 1e-9 * max(1.0, abs(float(found.mean()))) else np.zeros(len(found))
