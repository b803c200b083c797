"""One row a unit of a metric."""

from experiments.outcomes.measures import Measure
from experiments.outcomes.tables import Tables


def measure(tables: Tables, one: Measure) -> None:
    """Table `measured(key, arm, cluster, assigned_at, segment_..., y, d, x, known, first)`, replacing the last one.

    `y`: the sum of a unit's values from the assignment on, `d` what it is divided by, `x` what is known from before, all 0
    where not known; `first`: the day from which it counts. `known`: whether there is an outcome.
    """
    _total(tables, "total_after", one.name, "after")
    _before(tables, one)
    divided, join, there = "1.0", "", "a.total"
    if one.denominator is not None:
        _total(tables, "total_below", one.denominator, "after")
        divided, join, there = "coalesce(b.total, 0.0)", "left join total_below b using (key)", "coalesce(a.total, b.total)"
    known = "true" if one.missing_is_zero else f"{there} is not null"
    first = "u.assigned_at::date" if one.missing_is_zero else "coalesce(a.first, u.assigned_at::date)"
    elsewhere = "0.0" if one.covariate is None else "(select avg(total) from total_before)"
    tables.run(
        f"create or replace temp table measured as select u.*, coalesce(a.total, 0.0) as y, {divided} as d, "
        f"coalesce(x.total, {elsewhere}, 0.0) as x, {known} as known, {first} as first "
        f"from units u left join total_after a using (key) left join total_before x using (key) {join}"
    )


def _before(tables: Tables, one: Measure) -> None:
    """Of the covariate's rows without a time or from before, or the metric's own rows from before."""
    when = "not after" if one.covariate is None else "happened_at is null or not after"
    _total(tables, "total_before", one.covariate or one.name, when)


def _total(tables: Tables, table: str, metric: str, when: str) -> None:
    tables.run(
        f"create or replace temp table {table} as select key, sum(value) as total, min(day) as first from facts "
        f"where metric = ? and ({when}) group by key",
        [metric],
    )
