"""What a tenant's own past says of a metric: each learner as if an experiment had begun for them when they came."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis.expr.types import Table
from numpy.typing import NDArray

from experiments.assignment.units import unit_of
from experiments.design import Design, Goal
from experiments.inference.baselines import Baseline, of_clusters, of_units
from experiments.inference.estimates import Inconclusive
from experiments.inference.samples import Moments
from experiments.metrics.catalogue import MetricError, metric
from experiments.metrics.items import OWN
from experiments.metrics.rows import before, rows
from experiments.metrics.source import Source, open_source
from features import lake
from features.catalogue import Learner

SPAN: Final = timedelta(days=28)
"""Whoever came in so many days is taken, at the moment they first did."""
FEWEST: Final = 10
"""Units of which a deviation can be said at all."""


def baselines(folder: Path, tenant: str, design: Design) -> dict[str, Baseline | str]:
    """Metric -> its baseline, or why there is none. Raises LakeError where there is no lake."""
    connection = duckdb.connect(config={"preserve_insertion_order": False})
    connection.execute("set TimeZone = 'UTC'")
    try:
        source, learners = open_source(connection, folder, tenant), lake.learners(folder, tenant)
        goals = (design.primary, *design.goals, *design.guardrails)
        return {one.metric: _baseline(one, source, learners, design) for one in goals}
    finally:
        connection.close()


def _baseline(goal: Goal, source: Source, learners: dict[str, Learner], design: Design) -> Baseline | str:
    names = [name for name in (goal.metric, goal.denominator, goal.covariate) if name is not None]
    try:
        days = max(metric(name).window_days for name in names)
    except MetricError as error:
        return str(error)
    until = _newest(source) - timedelta(days=days)
    came = _came(source, learners, design, until - SPAN, until)
    if came["unit"].nunique() < FEWEST:
        many = came["unit"].nunique()
        return f"only {many} {design.unit}s came early enough for its {days} days to be over; give --baseline and --deviation"
    values = _values(goal, source, came)
    if not values[:, 0].any():
        return f"nothing of it happened in the past; it needs {metric(goal.metric).needs}"
    found = _moments(values, came, design)
    return found.reason if isinstance(found, Inconclusive) else found


def _newest(source: Source) -> datetime:
    """The time of the last thing in the lake: what was recorded long ago still tells."""
    times = [source.backend.to_pyarrow(table["at"].max()).as_py() for table in (source.events, source.decisions)]
    return min(max((time for time in times if time is not None), default=source.until), source.until)


def _came(source: Source, learners: dict[str, Learner], design: Design, since: datetime, until: datetime) -> pd.DataFrame:
    """learner, at, unit: of the audience, who did something or was decided for, when first."""
    events, made = source.events, source.decisions
    acted = events.filter(events.verb.isin([str(verb) for verb in OWN])).select("learner", "at")
    seen = acted.union(made.select("learner", "at"))
    first = seen.filter(seen["at"] >= since, seen["at"] < until).group_by("learner").agg(at=seen["at"].min())
    found: pd.DataFrame = source.backend.to_pyarrow(first.order_by("learner")).to_pandas()
    found["unit"] = [_unit(who, learners.get(who), design) for who in found["learner"]]
    return found.dropna(subset="unit").reset_index(drop=True)


def _unit(who: str, row: Learner | None, design: Design) -> str | None:
    if design.audience and (row is None or not set(design.audience).intersection(row.audiences)):
        return None
    return unit_of(design.unit, who, row)


def _values(goal: Goal, source: Source, came: pd.DataFrame) -> NDArray[np.float64]:
    """[n, 3] by learner of `came`: the metric, what it is divided by (1: by nothing), what was known before (0: nothing)."""
    given = pa.table({"unit": list(came["learner"]), "learner": list(came["learner"]), "at": pa.array(came["at"])})
    exposures = source.backend.create_table("came", given, temp=True, overwrite=True)

    def total(name: str, find: Callable[..., Table], **more: bool) -> NDArray[np.float64]:
        found = find(metric(name), source, exposures, **more)
        sums = source.backend.to_pyarrow(found.group_by("unit").agg(total=found.value.sum()))
        known = dict(zip(sums["unit"].to_pylist(), sums["total"].to_pylist(), strict=True))
        return np.array([known.get(who) or 0.0 for who in came["learner"]], dtype=np.float64)

    divided = np.ones(len(came)) if goal.denominator is None else total(goal.denominator, rows, backfill=True)
    return np.column_stack([total(goal.metric, rows, backfill=True), divided, total(goal.covariate or goal.metric, before)])


def _moments(values: NDArray[np.float64], came: pd.DataFrame, design: Design) -> Baseline | Inconclusive:
    learners = Moments.of(values)
    if design.unit == "learner":
        return of_units(learners)
    sums = pd.DataFrame(values).groupby(came["unit"].to_numpy()).sum().to_numpy()
    return of_clusters(Moments.of(sums), learners)
