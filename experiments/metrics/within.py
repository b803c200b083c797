"""What happened to people in their windows, as expressions."""

import ibis
from ibis.expr.types import Table


def within(table: Table, people: Table) -> Table:
    """The rows of `table(learner, at, ...)` in the window of their learner, with `since` and `until`."""
    found = table.join(people, "learner")
    return found.filter(found["at"] >= found.since, found["at"] < found.until)


def each(table: Table) -> Table:
    """(learner, value, at): 1 for each row."""
    return table.select("learner", value=ibis.literal(1.0), at=table["at"])


def first(table: Table, *by: str) -> Table:
    """(learner, value, at): 1 for each group, at its first row. `by` names the learner."""
    return table.group_by(*by).agg(at=table["at"].min()).select("learner", value=ibis.literal(1.0), at=ibis._["at"])


def at_the_end(people: Table, value: Table) -> Table:
    """(learner, value, at): of each person `value(learner, value)`, else what `people.otherwise` says, when the window ends."""
    found = people.left_join(value, "learner")
    known = ibis.coalesce(found.value, found.otherwise)
    return found.select("learner", value=known, at=found.until - ibis.interval(microseconds=1))
