"""The figures of a report as rows: one model a row, metrics with their intervals. What tables, plots and MLflow show."""

from dataclasses import dataclass

import numpy as np

from training.config import BLEND, RANKER
from training.estimates import Estimate, Inconclusive, bootstrap_ratio
from training.evaluate import ORGANIC, Evaluation, paired_difference
from training.fit import Report

METRICS = ("recall", "ndcg", "debiased_ndcg")
CONTRASTS = tuple((name, f"{name}, {use}") for name in (RANKER, BLEND) for use in ("organic", "all"))
"""What serves, and the row that `training.fit` adds where interactions were recommended: see `training.fit.contrast`."""
Difference = Estimate | Inconclusive


@dataclass(frozen=True)
class Row:
    """One model under one protocol. `metrics` hold value, low and high (NaN where no interval can be given)."""

    protocol: str
    model: str
    targets: int
    metrics: dict[str, tuple[float, float, float]]
    coverage: float
    score_ms: float
    by_cut: tuple[float, ...]

    def flat(self) -> dict[str, str | int | float]:
        """One level of columns, as tables want it."""
        found: dict[str, str | int | float] = {"protocol": self.protocol, "model": self.model, "slice": "all"}
        found |= {"targets": self.targets}
        for name, (value, low, high) in self.metrics.items():
            found |= {name: value, f"{name}_low": low, f"{name}_high": high}
        return found | {"coverage": self.coverage, "score_ms": self.score_ms}


def rows(report: Report, *, resamples: int, seed: int) -> list[Row]:
    """The rows of a report, best NDCG first. Every model is resampled with the same draws."""
    pooled = report.pooled()
    found = [_row(report, name, evaluation, resamples, seed) for name, evaluation in pooled.items()]
    return sorted(found, key=lambda row: (-row.metrics["ndcg"][0], row.model))


def slices(report: Report) -> list[dict[str, str | int | float]]:
    """Every model within every slice that has targets, named as in `Row.flat`, without intervals.

    Those are on the card, for what serves. Audiences go by their number there too: `audience 0` is the first in order of name.
    """
    found: list[dict[str, str | int | float]] = []
    for model, evaluation in report.pooled().items():
        for name in (name for name, mask in evaluation.slices.items() if mask.any()):
            part = evaluation.within(name)
            found.append({"protocol": report.protocol, "model": model, "slice": name, "targets": len(part)})
            found[-1] |= {metric: part.metric(metric) for metric in METRICS}
    return found


@dataclass(frozen=True)
class Loop:
    """NDCG of `model` learned from all take-ups minus of that learned from organic ones, by which targets are asked.

    Above 0 on every target and below on the organic ones: the system feeds on itself.
    """

    every: Difference
    organic: Difference
    model: str = BLEND


def loop(report: Report, *, resamples: int, seed: int) -> Loop | None:
    """What recommended take-ups do to what the recipe serves; None where nothing was recommended."""
    pooled = report.pooled()
    found = next((pair for pair in CONTRASTS if pair[1] in pooled), None)
    if found is None:
        return None
    model, other = found
    a, b = (pooled[name] for name in ((model, other) if other.endswith("organic") else (other, model)))
    organic = _minus(a.within(ORGANIC), b.within(ORGANIC), resamples, seed)
    return Loop(_minus(a, b, resamples, seed), organic, model)


def _minus(a: Evaluation, b: Evaluation, resamples: int, seed: int) -> Difference:
    if np.array_equal(a.rank, b.rank):
        return Inconclusive("both rank every target alike")
    return paired_difference(a, b, rng=np.random.default_rng(seed), resamples=resamples)


def _row(report: Report, name: str, evaluation: Evaluation, resamples: int, seed: int) -> Row:
    return Row(
        report.protocol,
        name,
        len(evaluation),
        {metric: interval(evaluation, metric, resamples=resamples, seed=seed) for metric in METRICS},
        evaluation.metric("coverage"),
        report.costs.get(name, float("nan")),
        tuple(fold.metric("ndcg") for fold in report.folds[name]),
    )


def interval(evaluation: Evaluation, metric: str, *, resamples: int, seed: int) -> tuple[float, float, float]:
    """(value, low, high) of a metric; low and high are NaN where an interval cannot be given."""
    share = evaluation.share(metric)
    found: Estimate | Inconclusive = bootstrap_ratio(
        share * evaluation.gain(metric), share, evaluation.learner, rng=np.random.default_rng(seed), resamples=resamples
    )
    if isinstance(found, Estimate):
        return found.value, found.low, found.high
    return evaluation.metric(metric), float("nan"), float("nan")
