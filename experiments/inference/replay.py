"""A/A replay: arms drawn again by other seeds over outcomes that know of no arm. Whatever is found then is false."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from experiments.assignment.many import letters, places
from experiments.assignment.ranges import Ranges
from experiments.inference.estimates import Inconclusive
from experiments.inference.intervals import ALPHA, fixed
from experiments.inference.lifts import lift
from experiments.inference.samples import Moments, adjusted, ratio

RUNS: Final = 400
BOUND: Final = 0.001
"""The rate is in order within the 99.9 % binomial interval."""
_AT_ONCE: Final = 50


@dataclass(frozen=True)
class Replay:
    """`runs` of new arms, in how many of them something was found (p < .05), and how likely chance departs so far from .05."""

    runs: int
    false_positives: int
    p_value: float

    @property
    def too_many(self) -> bool:
        """More than chance explains: intervals are too narrow, or what is counted one by one was assigned together."""
        return self.p_value < BOUND and self.false_positives > ALPHA * self.runs

    @property
    def too_few(self) -> bool:
        """Fewer than chance explains: intervals are too wide."""
        return self.p_value < BOUND and self.false_positives < ALPHA * self.runs


def replay(
    rows: NDArray[np.float64], units: Sequence[str], arms: Mapping[str, Ranges], *, relative: bool, runs: int = RUNS
) -> Replay:
    """The first arm beside the second, over and over. `arms`: arm -> its buckets, two at least.

    `rows` [n, 3]: numerator, denominator and covariate of what the analysis counts as independent. `units` [n]: what is
    assigned; the same id for several rows is what a cluster leak looks like.
    """
    table, sizes = letters(units)
    powers = _powers(rows)
    found = 0
    for start in range(0, runs, _AT_ONCE):
        where = np.stack([places(f"aa-replay/{seed}/", table, sizes) for seed in range(start, min(start + _AT_ONCE, runs))])
        sums = [_within(where, ranges).astype(np.float64) @ powers for ranges in list(arms.values())[:2]]
        found += sum(_differs(*pair, relative=relative) for pair in zip(*sums, strict=True))
    return Replay(runs, found, float(stats.binomtest(found, runs, ALPHA).pvalue))


def carried_by(rows: NDArray[np.float64]) -> float:
    """How many rows the variance of a metric rests on: n over the kurtosis. Where it is a handful, no normal theory holds."""
    found = ratio(Moments.of(rows))
    if isinstance(found, Inconclusive):
        return 0.0
    squares = (rows[:, 0] - found.mean * rows[:, 1]) ** 2
    return float(squares.sum() ** 2 / (squares**2).sum()) if squares.any() else 0.0


def _powers(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n, 13]: 1, the three values less their means, their six products, and the means: summed, all that an analysis needs."""
    means = rows.mean(axis=0)
    apart, (i, j) = rows - means, np.triu_indices(3)
    return np.column_stack([np.ones(len(rows)), apart, apart[:, i] * apart[:, j], np.broadcast_to(means, rows.shape)])


def _within(where: NDArray[np.int64], ranges: Ranges) -> NDArray[np.bool_]:
    found = np.zeros(where.shape, dtype=np.bool_)
    for start, end in ranges:
        found |= (where >= start) & (where < end)
    return found


def _differs(control: NDArray[np.float64], arm: NDArray[np.float64], *, relative: bool) -> bool:
    """Whether the analysis of the first look finds a difference."""
    if min(control[0], arm[0]) < 2:
        return False
    both = {"control": _moments(control), "arm": _moments(arm)}
    found = adjusted(both)
    samples = {name: ratio(one) for name, one in both.items()} if isinstance(found, Inconclusive) else found
    pair = samples["control"], samples["arm"]
    if isinstance(pair[0], Inconclusive) or isinstance(pair[1], Inconclusive):
        return False
    step = lift(pair[0], pair[1], relative=relative)
    return not isinstance(step, Inconclusive) and fixed(step).p_value < ALPHA


def _moments(sums: NDArray[np.float64]) -> Moments:
    n, means = int(sums[0]), sums[1:4] / sums[0]
    products = np.zeros((3, 3))
    products[np.triu_indices(3)] = sums[4:10]
    products = products + np.triu(products, 1).T
    return Moments(n, means + sums[10:] / sums[0], (products - n * np.outer(means, means)) / (n - 1))
