"""From a metric and exposures to what is known of each unit: the one way by which reports and power read outcomes."""

import ibis
from ibis.expr.types import Table

from experiments.metrics.catalogue import Metric
from experiments.metrics.source import Source


def rows(metric: Metric, source: Source, exposures: Table, *, backfill: bool = False) -> Table:
    """(unit, value, at): what a metric finds of each exposure, as an expression that DuckDB has not run yet.

    `exposures(unit, learner, at)`: one row a learner, `at` the first exposure (timestamp, UTC without a zone), real or, to
    learn from past traffic, any moment that is supposed to be one; `unit` is passed through. Values of a unit are summed:
    a unit without a row is a zero, or where the metric knows only whole windows (`metric.whole_window`) it is not known yet, as
    its window ends after `source.until`. `at` lies in [exposure, exposure + window).

    `source.decisions` are the decisions to which outcomes belong: all of the tenant (past traffic), or those of an experiment
    (`dataclasses.replace`). `backfill`: read what an import marked so as well; it tells how somebody was before, and is never
    an outcome, so a report leaves it False but for the time before the exposure.

    For a power computation at day D: `exposures` = every learner active before D with `at = D`, `source.until` at least
    D + window, `backfill=True`; join left to all exposures and take 0 where nothing is found.
    """
    seen = source if backfill else source.without_backfill()
    people = exposures.select("learner", since=exposures["at"], until=exposures["at"] + ibis.interval(days=metric.window_days))
    if metric.whole_window:
        people = people.filter(people.until <= ibis.literal(source.until, "timestamp"))
    found = metric.find(seen, people)
    owners = exposures.select("unit", "learner")
    return owners.join(found, "learner").select("unit", value=found.value.cast("float64"), at=found["at"].cast("timestamp(6)"))


def before(metric: Metric, source: Source, exposures: Table) -> Table:
    """(unit, value, at): the same of the equally long time before each exposure, for CUPED. Any decision counts then."""
    earlier = exposures.mutate(at=exposures["at"] - ibis.interval(days=metric.window_days))
    return rows(metric, source, earlier, backfill=True)
