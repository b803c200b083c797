"""Outcomes that are no events: what learners choose about nudges, and how often they are served."""

from ibis.expr.types import Table

from experiments.metrics.source import Source
from experiments.metrics.within import each, first, within


def stopped(source: Source, people: Table) -> Table:
    """1 at the first `stop`."""
    return first(within(source.choices.filter(source.choices.choice == "stop"), people), "learner")


def decided(source: Source, people: Table) -> Table:
    """1 for each decision."""
    return each(within(source.decisions, people))
