"""Drift: what has changed since the champion learned, as findings with numbers, limits and words. Pure functions.

Shares are compared by the population stability index, PSI = sum (p - q) ln(p / q). Under no change it is about chi-squared
times (1/n + 1/m) with bins - 1 degrees of freedom (Yurdakul 2018), so a limit never lies below what chance alone exceeds in
one case of twenty. Events of one learner are not independent: read a finding as a reason to look, not as a test.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from training import metrics
from training.estimates import Estimate, Inconclusive, bootstrap_ratio

PSI_LIMIT = 0.2
"""The customary border between a moderate and a large shift."""
FACTOR_LIMIT = 2.0
"""Activity may halve or double."""
UNKNOWN_LIMIT = 0.05
"""Share of take-ups on items that the champion cannot score."""
CATALOGUE_LIMIT = 0.2
"""Share of items that are new, changed or gone."""
NEWCOMER_LIMIT = 0.5
"""Share of active learners who were never seen before."""
OVERLAP_LIMIT = 0.5
"""Smallest mean share of the top 10 that champion and challenger have in common."""
FEWEST = 30
"""Below so many of anything no share is compared."""
BINS = 10

Detail = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One comparison. `value` is None where nothing can be said, and `words` say why; `drifted`: beyond its limit."""

    group: str
    name: str
    value: float | None
    limit: float | None
    drifted: bool
    words: str
    detail: Detail

    def __str__(self) -> str:
        mark = "DRIFT" if self.drifted else "-" if self.value is None else "ok"
        return f"{mark:<5}  {self.group}, {self.name}: {self.words}"


@dataclass(frozen=True)
class DriftReport:
    """All findings, and in words what was compared with what."""

    reference: str
    findings: tuple[Finding, ...]

    @property
    def drifted(self) -> bool:
        """Whether anything is beyond its limit."""
        return any(one.drifted for one in self.findings)

    @property
    def summary(self) -> str:
        """One line: what drifted, of how many comparisons."""
        found = [f"{one.group}, {one.name}" for one in self.findings if one.drifted]
        said = sum(one.value is not None for one in self.findings)
        return f"{'; '.join(found) if found else 'none'} of {said} comparisons beyond its limit"

    def body(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"reference": self.reference, "drifted": self.drifted, "findings": [asdict(one) for one in self.findings]}

    def to_json(self) -> str:
        return json.dumps(self.body(), indent=1, sort_keys=True) + "\n"

    def text(self) -> str:
        """Lines for a person."""
        return "\n".join([self.reference, *map(str, self.findings)])


def silent(group: str, name: str, reason: str) -> Finding:
    """A finding that refuses: nothing can be said, and why."""
    return Finding(group, name, None, None, False, f"inconclusive: {reason}", {})


def psi(before: NDArray[np.integer], now: NDArray[np.integer]) -> float:
    """The index over counts by bin, half a count added to each so that an empty bin stays finite."""
    p, q = (before + 0.5) / (before + 0.5).sum(), (now + 0.5) / (now + 0.5).sum()
    return float(np.sum((q - p) * np.log(q / p)))


def chance(bins: int, n: int, m: int) -> float:
    """What the index of two samples of one distribution exceeds in one case of twenty."""
    return float(chdtri(max(bins - 1, 1), 0.05) * (1 / n + 1 / m))


def shift(group: str, name: str, before: Mapping[str, int], now: Mapping[str, int], *, units: int | None = None) -> Finding:
    """Two sets of counts by label compared; `units`: the independent things behind each side, where counts are more."""
    labels = sorted({*before, *now})
    old, new = (np.array([counts.get(label, 0) for label in labels]) for counts in (before, now))
    fewest = min(old.sum(), new.sum())
    if fewest < FEWEST:
        return silent(group, name, f"only {fewest} on one side, {FEWEST} are needed")
    if len(labels) == 1:
        return Finding(group, name, 0.0, PSI_LIMIT, False, f"all are {labels[0]!r} before and now", {})
    n, m = (units, units) if units is not None else (int(old.sum()), int(new.sum()))
    value, limit = psi(old, new), max(PSI_LIMIT, chance(len(labels), n, m))
    moved = new / new.sum() - old / old.sum()
    most = int(np.argmax(np.abs(moved)))
    words = f"PSI {value:.3f} (limit {limit:.2f}); most moved: {labels[most]} by {100 * moved[most]:+.1f} points"
    return Finding(group, name, value, limit, value > limit, words, {"before": dict(before), "now": dict(now)})


def factor(group: str, name: str, before: float, now: float, unit: str) -> Finding:
    """Whether a rate has at most halved or doubled."""
    if before <= 0 or now <= 0:
        return silent(group, name, f"{before:g} {unit} before, {now:g} now")
    value = now / before
    beyond = not 1 / FACTOR_LIMIT <= value <= FACTOR_LIMIT
    return Finding(group, name, value, FACTOR_LIMIT, beyond, f"{now:.2f} {unit}, before {before:.2f}: times {value:.2f}", {})


def share(group: str, name: str, part: int, whole: int, limit: float, what: str, detail: Detail | None = None) -> Finding:
    """Whether a share of a whole stays below its limit."""
    if whole < FEWEST:
        return silent(group, name, f"only {whole} {what}, {FEWEST} are needed")
    value = part / whole
    return Finding(group, name, value, limit, value > limit, f"{part:,} of {whole:,} {what}: {value:.1%}", detail or {})


def popularity(before: NDArray[np.integer], now: NDArray[np.integer], n_items: int) -> Finding:
    """Take-ups (item indices, one each) in bins of equal weight, from what was most to what was least taken up before.

    One half of `before` orders the items and the other is compared: with one and the same, the rare would seem to rise.
    """
    order, old, new = (np.bincount(found, minlength=n_items) for found in (before[::2], before[1::2], now))
    ranked = np.lexsort((np.arange(n_items), -order))
    upto = np.cumsum(order[ranked]) / max(order.sum(), 1)
    bins = np.minimum((upto - 1e-9) * BINS, BINS - 1).astype(int)
    bins[order[ranked] == 0] = BINS
    names = [*(f"tenth {number} by popularity" for number in range(1, BINS + 1)), "hardly taken up before"]
    counts = [np.bincount(bins, weights=found[ranked], minlength=BINS + 1).astype(int).tolist() for found in (old, new)]
    sides = [dict(zip(names, found, strict=True)) for found in counts]
    return shift("interactions", "popularity of items", sides[0], sides[1])


def scores(name: str, before: NDArray[np.float32], now: NDArray[np.float32]) -> Finding:
    """Scores float32[n, m] of one model or two, in bins of equal weight before; NaN does not count."""
    old, new = before[~np.isnan(before)], now[~np.isnan(now)]
    if min(len(before), len(now)) < FEWEST or not len(old) or not len(new):
        return silent("scores", name, f"only {min(len(before), len(now))} histories to score, {FEWEST} are needed")
    edges = np.unique(np.quantile(old, np.linspace(0, 1, BINS + 1)[1:-1]))
    labels = [f"bin {number}" for number in range(len(edges) + 1)]
    counts = [np.bincount(np.digitize(found, edges), minlength=len(labels)) for found in (old, new)]
    sides = [dict(zip(labels, map(int, found), strict=True)) for found in counts]
    return shift("scores", name, sides[0], sides[1], units=min(len(before), len(now)))


def overlap(first: Sequence[NDArray[np.int32]], second: Sequence[NDArray[np.int32]], k: int) -> Finding:
    """The mean share of two models' top k that is the same, over histories that both rank."""
    shared = [len(np.intersect1d(a, b)) / k for a, b in zip(first, second, strict=True) if len(a) == k == len(b)]
    if len(shared) < FEWEST:
        return silent("scores", f"top {k} in common", f"only {len(shared)} histories with {k} items in both")
    value = float(np.mean(shared))
    words = f"{value:.1%} of champion's and challenger's top {k} are the same, over {len(shared)} histories"
    return Finding("scores", f"top {k} in common", value, OVERLAP_LIMIT, value < OVERLAP_LIMIT, words, {})


@dataclass(frozen=True, eq=False)
class Answers:
    """How questions were answered: rank float64[n] of what the learner took up next (inf: not shown), learner int[n]."""

    rank: NDArray[np.float64]
    learner: NDArray[np.integer]

    def estimate(self, name: str, k: int) -> Estimate | Inconclusive:
        """`recall` or `ndcg` at k with its interval by learner."""
        gain = getattr(metrics, name)(self.rank, k)
        if not len(gain):
            return Inconclusive("nobody was asked")
        return bootstrap_ratio(gain, np.ones(len(gain)), self.learner, rng=np.random.default_rng(0))

    def by_position(self, k: int) -> list[float]:
        """The share of questions answered at each position from 1 to k."""
        return [float(np.mean((self.rank > place - 1) & (self.rank <= place))) for place in range(1, k + 1)]


def agreement(name: str, online: Answers, offline: Answers | Inconclusive, k: int) -> Finding:
    """A metric of the logged slates beside the offline estimate of the bundle that made them: the same question, twice.

    A slate that is seen draws learners to it, so online above offline is no surprise; online below it is one.
    """
    title = f"{name} at {k}, online against offline"
    if isinstance(offline, Inconclusive):
        return silent("agreement", title, offline.reason)
    if len(online.rank) < FEWEST:
        return silent("agreement", title, f"{len(online.rank)} logged slates with a take-up after them, {FEWEST} are needed")
    here, there = online.estimate(name, k), offline.estimate(name, k)
    for side, found in (("online", here), ("offline", there)):
        if isinstance(found, Inconclusive):
            return silent("agreement", title, f"{side}: {found.reason}")
    assert isinstance(here, Estimate)
    assert isinstance(there, Estimate)
    below = here.high < there.low
    words = f"online {_interval(here)}, offline {_interval(there)}: {_verdict(here, there)}"
    detail = {"online by position": online.by_position(k), "offline by rank": offline.by_position(k)}
    return Finding("agreement", title, here.value - there.value, 0.0, below, words, detail)


def _interval(found: Estimate) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}] ({found.n} learners)"


def _verdict(online: Estimate, offline: Estimate) -> str:
    if online.high < offline.low:
        return "online is below what was promised"
    return "online is above" if online.low > offline.high else "the intervals overlap"
