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

from serving.contents import Floats
from serving.rules.limits import Limits

POOL: Final = 100
"""The best of a row among which diversity chooses."""
PROVIDER_LIMIT: Final = "provider_limit"
DIVERSITY: Final = "diversity"
LEAST_NEW: Final = 0.01
"""Two items with less than this of their content apart are the same to diversity."""


@dataclass
class Above:
    """What stands in a slate so far, over all of its rows.

    contents: float32[m, d], rows of length 1, or 0 where nothing is known (`serving.contents`). providers: int64[m], each
    item's provider, -1 without. limit: items of one provider, None for no limit. directions: float32[k, d], orthonormal rows
    that span the contents of the items above. limits: what rules allow; other than `limit` they may leave slots empty.
    """

    diversity: float
    limit: int | None
    contents: Floats
    providers: NDArray[np.int64]
    limits: Limits | None = None
    directions: Floats = field(init=False)
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.directions = np.zeros((0, self.contents.shape[1]), dtype=np.float32)
        self.counts = np.zeros(self.providers.max(initial=-1) + 2, dtype=np.int64)  # the last one, at -1, stays 0

    def place(self, candidate: int) -> Floats | None:
        """Count an item; returns the direction that its content adds, None where it adds nothing new."""
        if self.limits is not None:
            self.limits.place(candidate)
        provider = self.providers[candidate]
        if provider >= 0:
            self.counts[provider] += 1
        if self.diversity == 0 or len(self.directions) >= POOL:
            return None
        rest: Floats = self.contents[candidate]
        if len(self.directions):
            rest = np.subtract(rest, (self.directions @ rest) @ self.directions)
        square = float(rest @ rest)
        if square <= LEAST_NEW:
            return None
        new: Floats = rest / np.float32(square**0.5)
        self.directions = np.concatenate([self.directions, new[None]])
        return new


class Diverse:
    """The candidates of one row: what a slot may hold, and which of it comes first.

    A slot may hold what is within the limits of rules, and within the provider limit. Where nothing is within that one, it
    rises for this one slot until something is, so that no slot stays empty for it.
    """

    def __init__(self, above: Above, ordered: NDArray[np.integer], worth: NDArray[np.floating], slots: int) -> None:
        """`ordered`: int[n], the row's candidates, best first; worth: float[n], their scores; `slots` to fill."""
        self._above, self._slots, self._ordered = above, slots, ordered
        self._free = np.ones(len(ordered), dtype=bool)
        self._blocked, self._passed = np.zeros((2, len(ordered)), dtype=bool)
        self._providers = above.providers[ordered] if above.limit is not None else None
        self._filled = 0
        self._allowed = self._free  # bool[n]
        self._held: NDArray[np.intp] = np.arange(0)  # positions in `ordered`
        self._greedy = 0
        self._pool = min(POOL, len(ordered)) if above.diversity > 0 else 0
        self._content = above.contents[ordered[: self._pool]]
        self._unknown = ~self._content.any(axis=1)
        self._partly = bool(self._unknown.any())
        self._worth = (1 - above.diversity) * standardised(worth[: self._pool])
        self._new = 1 - np.square(self._content @ above.directions.T).sum(axis=1)

    def open(self, support: int) -> list[int]:
        """The best candidates by score that the next slot may hold, at most `support`; empty when none is left."""
        self._allowed = self._free if self._above.limits is None else self._free & (self._ruled() < 0)
        if self._providers is not None and self._allowed.any():
            self._allowed = self._within_limit(self._providers)
        self._held = np.flatnonzero(self._allowed)[:support]
        found: list[int] = self._ordered[self._held].tolist()
        return found

    def first(self) -> int:
        """The candidate that the next slot holds unless chance decides, of those that `open` found."""
        self._greedy = int(self._held[0])
        if self._pool:
            value = self._worth + self._above.diversity * self._gain()
            if self._allowed is not self._free:
                value[~self._allowed[: self._pool]] = -np.inf
            best = int(value.argmax())
            self._greedy = best if value[best] > -np.inf else self._greedy  # or the whole pool is used up
        return int(self._ordered[self._greedy])

    def place(self, candidate: int) -> None:
        """Take a candidate out and put it into the slate."""
        at = self._greedy
        if candidate != self._ordered[at]:
            at = int(self._held[self._ordered[self._held] == candidate][0])
        elif at > 0:
            self._passed[:at] |= self._allowed[:at]
            if self._providers is not None:
                self._blocked[:at] |= self._free[:at] > self._allowed[:at]
        self._free[at] = False
        self._filled += 1
        if at < self._pool:
            self._worth[at] = -np.inf
        direction = self._above.place(candidate)
        if direction is not None and self._pool:
            self._new -= np.square(self._content @ direction)

    def given_up(self) -> dict[str, list[int]]:
        """By rule, the candidates that would have stood in the row by score and were passed over for it."""
        best = self._free & (np.arange(len(self._free)) < self._slots)
        ruled = self._kept_out(best)
        best = best & (ruled < 0)
        found = {PROVIDER_LIMIT: best & self._blocked, DIVERSITY: best & self._passed & ~self._blocked}
        names = () if self._above.limits is None else self._above.limits.names
        found |= {name: ruled == number for number, name in enumerate(names)}
        return {rule: self._ordered[mask].tolist() for rule, mask in found.items()}

    def _kept_out(self, best: NDArray[np.bool_]) -> NDArray[np.int16]:
        """int16[n]: the number of the rule whose limit keeps out what would have stood in the row; where slots stay empty, in
        those as well; else -1.
        """
        if self._above.limits is None:
            return np.full(len(best), -1, dtype=np.int16)
        held: NDArray[np.bool_] = self._free if self._filled < self._slots else best
        return np.where(held, self._ruled(), np.int16(-1))

    def _ruled(self) -> NDArray[np.int16]:
        assert self._above.limits is not None
        found: NDArray[np.int16] = self._above.limits.rule[self._ordered]
        return found

    def _within_limit(self, providers: NDArray[np.int64]) -> NDArray[np.bool_]:
        assert self._above.limit is not None
        placed = self._above.counts[providers]
        within: NDArray[np.bool_] = self._allowed & (placed < self._above.limit)
        if within.any():
            return within
        least: NDArray[np.bool_] = self._allowed & (placed == placed[self._allowed].min())
        return least

    def _gain(self) -> NDArray[np.float64]:
        """ln d2 of each; where nothing is known of a content the mean of the others, which moves it neither up nor down."""
        gain: NDArray[np.float64] = np.log(np.maximum(self._new, LEAST_NEW))
        if self._partly:
            known = self._allowed[: self._pool] & ~self._unknown
            gain[self._unknown] = gain[known].mean() if known.any() else 0.0
        return gain


def standardised(worth: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64[n], mean 0 and deviation 1; zeros where all are equal; what is not finite counts as the least that is."""
    found = np.asarray(worth, dtype=np.float64)
    finite = np.isfinite(found)
    if not finite.all():
        found = np.where(finite, found, found[finite].min()) if finite.any() else np.zeros(len(found))
    if not len(found):
        return found
    found = found - found.mean()
    spread = float(np.sqrt(found @ found / len(found)))
    flat = spread <= 1e-9 * float(np.abs(worth[finite]).max(initial=1.0))
    return np.zeros(len(found)) if flat else np.divide(found, spread)
