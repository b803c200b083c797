"""Calibrated probabilities: fitted on what learners took up in windows that are past, measured in the window after them.

A window is kept as counts by share and temperature, which add up, and as the best items of each question, which are measured.
Each window is predicted by the map of those before it; the map that is shipped knows all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from training.estimates import FEWEST_LEARNERS, Estimate, Inconclusive, bootstrap_ratio
from training.metrics import unseen
from training.models.base import Fitted
from training.models.probability import Calibration, Floats, log_shares
from training.splits import Task

TEMPERATURES: NDArray[np.float64] = 0.1 * 2 ** (np.arange(12) / 2)
FEWEST = 50
"""Take-ups below which no map is fitted."""
_FINE, _LOWEST = 0.05, -30.0  # width of a bin of log shares, and where they begin
_BINS = int(-_LOWEST / _FINE)
_TOGETHER = 10  # take-ups that a step of the map stands on, at least
_MOST, _CELLS = 4_000, 2 * 10**7  # questions looked at in a window, and scores
_BATCH = 256
_GROUPS = 10
_NONE = Inconclusive("no window after another in which a map was fitted")


class Window(NamedTuple):
    """What scores said of n questions. t temperatures, b bins of log shares, k best items.

    pairs, hits: float64[t, b], how many (question, item) pairs had this share, and how many of them were taken up next.
    value: float32[n, k] standardised scores of the k best (NaN: fewer); log_total: float64[n, t] (`Shares`); taken: bool[n, k];
    learners: int32[n].
    """

    pairs: NDArray[np.float64]
    hits: NDArray[np.float64]
    value: Floats
    log_total: NDArray[np.float64]
    taken: NDArray[np.bool_]
    learners: NDArray[np.int32]


@dataclass(frozen=True)
class Bin:
    """Pairs of about one predicted probability: their mean prediction, and the share that was taken up with its interval."""

    predicted: float
    observed: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Reliability:
    """How probabilities did in windows that their map had not seen, over the k best items of each question.

    `error`: expected calibration error over `bins` (its resamples scatter upwards of it, so the interval leans to the high
    side). `brier`: mean squared error. `better`: how much less that is than with one probability for all, the past's mean;
    above 0 the probabilities tell items apart.
    """

    bins: tuple[Bin, ...]
    error: Estimate | Inconclusive
    brier: Estimate | Inconclusive
    better: Estimate | Inconclusive
    questions: int


def ask(fitted: Fitted, task: Task, *, rng: np.random.Generator, k: int = 10, most: int = _MOST) -> Window:
    """Score the questions of a task, at most `most` of them (fewer over many items), drawn by `rng`."""
    size = min(len(task), most, max(1, _CELLS // task.histories.n_items))
    rows = np.sort(rng.choice(len(task), size=size, replace=False))
    histories, targets = task.histories.take(rows), task.targets[rows]
    pairs, hits = np.zeros((2, len(TEMPERATURES), _BINS))
    best = [_Best.none(k)]
    for start, batch in histories.batches(_BATCH):
        wanted = targets[start : start + len(batch)]
        shares = log_shares(unseen(fitted.score(batch), batch, wanted), TEMPERATURES)
        for at, temperature in enumerate(TEMPERATURES):
            share = shares.value / np.float32(temperature) - shares.log_total[:, at, None].astype(np.float32)
            pairs[at] += _counted(share)
            hits[at] += _counted(share[np.arange(len(wanted)), wanted])
        best.append(_Best.of(shares.value, shares.log_total, wanted, k))
    value, log_total, taken = (np.concatenate(parts) for parts in zip(*best, strict=True))
    return Window(pairs, hits, value, log_total, taken, task.learners[rows])


def calibrate(windows: Sequence[Window]) -> Calibration | Inconclusive:
    """The map of these windows: the temperature of the largest likelihood, then isotonic regression by share.

    Shares are put together until each step stands on ten take-ups (Zadrozny, Elkan, KDD 2002, for the isotonic map).
    """
    pairs = sum((window.pairs for window in windows), np.zeros((len(TEMPERATURES), _BINS)))
    hits = sum((window.hits for window in windows), np.zeros((len(TEMPERATURES), _BINS)))
    if hits[0].sum() < FEWEST:
        return Inconclusive(f"{hits[0].sum():.0f} take-ups to learn from, a map needs at least {FEWEST}")
    centres = _LOWEST + _FINE * (np.arange(_BINS) + 0.5)
    best = int(np.argmax(hits @ centres))
    step = _steps(hits[best])
    n, taken, place = (np.bincount(step, each)[::-1] for each in (pairs[best], hits[best], pairs[best] * centres))
    fitted = isotonic_regression(taken / n, weights=n)
    steps = np.add.reduceat(np.stack([place, n, taken]), fitted.blocks[:-1], axis=1)
    knots = np.stack([steps[0] / steps[1], np.log(steps[2] / steps[1])], axis=1)
    return Calibration(float(TEMPERATURES[best]), knots.astype(np.float32))


def reliability(windows: Sequence[Window], *, seed: int = 0, resamples: int = 1000) -> Reliability:
    """Each window but the first predicted by the map of those before it; intervals by learner."""
    said = [_Said.of(calibrate(windows[:at]), windows[:at], windows[at]) for at in range(1, len(windows))]
    able = [one for one in said if one is not None]
    if not able:
        return Reliability((), _NONE, _NONE, _NONE, 0)
    found = _Said(*(np.concatenate(parts) for parts in zip(*able, strict=True)))
    rng = np.random.default_rng(seed)
    group = _groups(found.predicted)
    bins = tuple(_bin(found.at(group == one), rng, resamples) for one in range(group.max(initial=-1) + 1))
    square, flat = (found.predicted - found.taken) ** 2, (found.base - found.taken) ** 2
    every = np.ones(len(square))
    brier = bootstrap_ratio(square, every, found.learners, rng=rng, resamples=resamples)
    better = bootstrap_ratio(flat - square, every, found.learners, rng=rng, resamples=resamples)
    return Reliability(bins, _error(found, group, rng, resamples), brier, better, sum(len(w.learners) for w in windows[1:]))


class _Best(NamedTuple):
    """The k best items of each question: their scores, the log totals, and whether they were taken up."""

    value: Floats
    log_total: NDArray[np.float64]
    taken: NDArray[np.bool_]

    @classmethod
    def none(cls, k: int) -> "_Best":
        return cls(np.zeros((0, k), np.float32), np.zeros((0, len(TEMPERATURES))), np.zeros((0, k), bool))

    @classmethod
    def of(cls, value: Floats, log_total: NDArray[np.float64], wanted: NDArray[np.int32], k: int) -> "_Best":
        found = np.full((len(value), k), np.nan, dtype=np.float32)
        taken = np.zeros(found.shape, dtype=bool)
        order = np.argsort(np.where(np.isnan(value), np.inf, -value), axis=1, kind="stable")[:, :k]
        found[:, : order.shape[1]] = np.take_along_axis(value, order, axis=1)
        taken[:, : order.shape[1]] = order == wanted[:, None]
        return cls(found, log_total, taken & ~np.isnan(found))


class _Said(NamedTuple):
    """Pairs: predicted and base float64[p], taken bool[p], learners int32[p]. base: the mean probability of the past."""

    predicted: NDArray[np.float64]
    base: NDArray[np.float64]
    taken: NDArray[np.bool_]
    learners: NDArray[np.int32]

    @classmethod
    def of(cls, fitted: Calibration | Inconclusive, past: Sequence[Window], window: Window) -> "_Said | None":
        if isinstance(fitted, Inconclusive):
            return None
        at = int(np.argmin(np.abs(TEMPERATURES - fitted.temperature)))
        share = window.value / fitted.temperature - window.log_total[:, at, None]
        asked = np.isfinite(share)
        before = np.concatenate([one.taken[np.isfinite(one.value)] for one in past])
        learners = np.repeat(window.learners, asked.sum(axis=1))
        return cls(fitted.of(share[asked]), np.full(len(learners), before.mean()), window.taken[asked], learners)

    def at(self, chosen: NDArray[np.bool_]) -> "_Said":
        return _Said(self.predicted[chosen], self.base[chosen], self.taken[chosen], self.learners[chosen])


def _counted(share: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64[b]: how many of these log shares lie in each bin; NaN in none."""
    place = (share[np.isfinite(share)] - _LOWEST) / _FINE
    return np.bincount(np.clip(place, 0, _BINS - 1).astype(np.int64), minlength=_BINS).astype(np.float64)


def _steps(hits: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64[b], falling: neighbouring bins put together, from the largest share down, until they have ten hits."""
    found = np.empty(len(hits), dtype=np.int64)
    step, held = 0, 0.0
    for at in range(len(hits) - 1, -1, -1):
        found[at] = step
        held += hits[at]
        if held >= _TOGETHER:
            step, held = step + 1, 0.0
    return np.minimum(found, max(step - 1, 0))  # what is left over joins the last


def _groups(predicted: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64[p]: ten groups of about equal size by prediction, equal predictions together; fewer where there are few."""
    edges = np.unique(np.quantile(predicted, np.arange(1, _GROUPS) / _GROUPS))
    _, group = np.unique(np.searchsorted(edges, predicted, side="left"), return_inverse=True)
    return group.astype(np.int64)


def _bin(found: _Said, rng: np.random.Generator, resamples: int) -> Bin:
    observed = float(found.taken.mean())
    taken = found.taken.astype(np.float64)
    interval = bootstrap_ratio(taken, np.ones(len(taken)), found.learners, rng=rng, resamples=resamples)
    low, high = (interval.low, interval.high) if isinstance(interval, Estimate) else (observed, observed)
    return Bin(float(found.predicted.mean()), observed, low, high, len(taken))


def _error(found: _Said, group: NDArray[np.int64], rng: np.random.Generator, resamples: int) -> Estimate | Inconclusive:
    """Expected calibration error (Naeini, Cooper, Hauskrecht, AAAI 2015): mean over pairs of |predicted - observed| by bin."""
    names, learner = np.unique(found.learners, return_inverse=True)
    if len(names) < FEWEST_LEARNERS:
        return Inconclusive(f"{len(names)} learners, an interval needs at least {FEWEST_LEARNERS}")
    gaps = np.zeros((len(names), group.max() + 1))
    np.add.at(gaps, (learner, group), found.predicted - found.taken)
    counts = np.bincount(learner, minlength=len(names))
    drawn = []
    for _ in range(resamples):
        rows = rng.integers(len(names), size=len(names))
        drawn.append(np.abs(gaps[rows].sum(axis=0)).sum() / counts[rows].sum())
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(np.abs(gaps.sum(axis=0)).sum() / counts.sum()), float(low), float(high), len(names))
