"""To whom people belonged at a moment: their role, manager and unit of the organisation."""

import ibis
from ibis.expr.types import Table

from experiments.metrics.source import Source


def belonged(source: Source, people: Table, column: str) -> Table:
    """`people(learner, since, ...)` with a column of `source.memberships` as it was at `since`, else as it was known next.

    Who never had one is left out.
    """
    of = source.memberships.filter(source.memberships[column].notnull())
    both = people.join(of.select("learner", column, "valid_from", "valid_to"), "learner")
    held = both.filter(both.valid_to.isnull() | (both.valid_to > both.since))
    place = ibis.row_number().over(group_by=[held.learner, held.since], order_by=held.valid_from)
    return held.mutate(place=place).filter(ibis._.place == 0).select(*people.columns, column)
