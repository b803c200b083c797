"""The figures of a report as rows: one model a row, metrics with their intervals. What tables, plots and MLflow show."""

from dataclasses import dataclass

import numpy as np

from training.estimates import Estimate, Inconclusive, bootstrap_ratio
from training.evaluate import Evaluation
from training.fit import Report

METRICS = ("recall", "ndcg", "debiased_ndcg")


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
        found: dict[str, str | int | float] = {"protocol": self.protocol, "model": self.model, "targets": self.targets}
        for name, (value, low, high) in self.metrics.items():
            found |= {name: value, f"{name}_low": low, f"{name}_high": high}
        return found | {"coverage": self.coverage, "score_ms": self.score_ms}


def rows(report: Report, *, resamples: int, seed: int) -> list[Row]:
    """The rows of a report, best NDCG first. Every model is resampled with the same draws."""
    pooled = report.pooled()
    found = [_row(report, name, evaluation, resamples, seed) for name, evaluation in pooled.items()]
    return sorted(found, key=lambda row: (-row.metrics["ndcg"][0], row.model))


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
