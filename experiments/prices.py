"""What an arm costs: messages to learners, and milliseconds of each ranking."""

from dataclasses import dataclass
from typing import Final

import ibis
from ibis.expr.types import Table

from experiments.assignment.phases import Phase
from experiments.metrics.exposures import Exposed, during
from experiments.metrics.source import Source

NO_BUNDLE: Final = "experiment_bundle_unavailable"
"""The fallback of a decision whose arm's bundle was not there: the champion ranked."""


@dataclass(frozen=True)
class Price:
    """Of an arm: `nudges` that said something to its learners from their first exposure to the end of the phase, for whatever.

    `ranking_ms_p50`, `ranking_ms_p95`: all stages of a ranking in the arm; None where nothing was ranked in it.
    """

    arm: str
    learners: int
    decisions: int
    nudges: int
    nudges_per_learner: float
    ranking_ms_p50: float | None
    ranking_ms_p95: float | None
    without_bundle: int


def prices(source: Source, exposed: Exposed, phase: Phase) -> list[Price]:
    """Of each arm with learners, by name."""
    made = exposed.decisions
    ms = ibis.ifelse(made.kind == "ranking", made.total_ms, ibis.null("float64"))
    cost = made.group_by("arm").agg(
        decisions=made.count(),
        p50=ms.quantile(0.5),
        p95=ms.quantile(0.95),
        without_bundle=(made.fallback == NO_BUNDLE).sum().fill_null(0),
    )
    assigned = source.backend.table("assigned")
    sizes = assigned.group_by(of="arm").agg(learners=assigned.count())
    all_ = cost.left_join(sizes, [("arm", "of")]).left_join(_nudges(source, assigned, phase), [("arm", "to")]).order_by("arm")
    return [_price(row) for row in source.backend.to_pyarrow(all_).to_pylist()]


def _nudges(source: Source, assigned: Table, phase: Phase) -> Table:
    people = assigned.select("assigned_at", learner="unit", to="arm")
    spoken = during(source.decisions.filter(source.decisions.spoke), phase).select("learner", "at")
    both = spoken.join(people, "learner")
    return both.filter(both["at"] >= both.assigned_at).group_by("to").agg(nudges=ibis._.count())


def _price(row: dict[str, object]) -> Price:
    number = {name: int(row[name] or 0) for name in ("learners", "decisions", "nudges", "without_bundle")}  # type: ignore[call-overload]
    each = number["nudges"] / number["learners"] if number["learners"] else 0.0
    p50, p95 = (None if row[name] is None else float(row[name]) for name in ("p50", "p95"))  # type: ignore[arg-type]
    return Price(arm=str(row["arm"]), nudges_per_learner=each, ranking_ms_p50=p50, ranking_ms_p95=p95, **number)
