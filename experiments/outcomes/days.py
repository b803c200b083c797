"""The same as the experiment went on: what was known at the end of each day."""

from datetime import date
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from experiments.inference.samples import Moments
from experiments.outcomes.measures import Measure
from experiments.outcomes.tables import Tables

_OUTCOMES: Final = "from facts where metric = ? and after and day is not null"
_KNOWN: Final = "from measured where known and first is not null"


def as_it_went(tables: Tables, one: Measure) -> dict[date, dict[str, Moments]]:
    """Day -> arm -> moments of all that was known at its end, of what was measured last; empty where nothing has a time.

    One pass: what a unit (or cluster) adds on a day changes its own sums, and the change of their products is what that day
    adds to the arm's.
    """
    if tables.clustered or one.denominator is not None:
        metrics = [one.name] if one.denominator is None else [one.name, one.denominator]
        return _cumulated(tables.rows(_changes(one), metrics))
    once = tables.one(f"select count(*) {_OUTCOMES}", [one.name]) == tables.one("select count(*) from total_after")
    daily, by = ("value", "") if once else ("sum(value)", "group by all")
    tables.run(f"create or replace temp table daily as select arm, key, day, {daily} as y {_OUTCOMES} {by}", [one.name])
    return _cumulated(tables.rows(_plain(once=once)))


def _plain(*, once: bool) -> str:
    """Day, arm, and what it adds to number, y, d, x, yy, yd, yx, dd, dx, xx, where the denominator is 1 from the start.

    `once`: no unit has more than one outcome, so that what it has reached is what it adds.
    """
    begun = (
        "select first as day, arm, count(*), 0.0, count(*), sum(x), 0.0, 0.0, 0.0, count(*), sum(x), sum(x * x) "
        f"{_KNOWN} group by first, arm"
    )
    reached = "y" if once else "sum(y) over (partition by key order by day)"
    running = f"select *, {reached} as to_y from daily"
    squares = "sum(to_y * to_y - (to_y - r.y) * (to_y - r.y))"
    added = (
        f"select day, r.arm, 0, sum(r.y), 0, 0.0, {squares}, sum(r.y), sum(r.y * m.x), 0, 0.0, 0.0 "
        f"from ({running}) r join measured m using (key) group by day, r.arm"
    )
    return f"{begun} union all {added} order by day"


def _changes(one: Measure) -> str:
    """The same where denominators and clusters grow: all three running sums of a cluster."""
    alone = "1.0" if one.denominator is None else "0.0"
    steps = [
        f"select arm, cluster, first as day, 0.0 as y, {alone} as d, x {_KNOWN}",
        f"select arm, cluster, day, value, 0.0, 0.0 {_OUTCOMES}",
    ]
    if one.denominator is not None:
        steps.append(f"select arm, cluster, day, 0.0, value, 0.0 {_OUTCOMES}")
    daily = f"select arm, cluster, day, sum(y) as y, sum(d) as d, sum(x) as x from ({' union all '.join(steps)}) group by all"
    reached = ", ".join(f"sum({name}) over w as to_{name}" for name in "ydx")
    begins = "row_number() over w = 1 as new"
    running = f"select *, {reached}, {begins} from ({daily}) window w as (partition by cluster order by day)"
    sums = ", ".join(_change(name) for name in ("y", "d", "x", "y*y", "y*d", "y*x", "d*d", "d*x", "x*x"))
    return f"select day, arm, count(*) filter (new), {sums} from ({running}) group by day, arm order by day"


def _change(name: str) -> str:
    """Of a sum, or of a product: what it is now less what it was."""
    if "*" not in name:
        return f"sum({name})"
    left, right = name.split("*")
    return f"sum(to_{left} * to_{right} - (to_{left} - {left}) * (to_{right} - {right}))"


def _cumulated(rows: list[tuple[Any, ...]]) -> dict[date, dict[str, Moments]]:
    """Rows in order of their days."""
    found: dict[date, dict[str, Moments]] = {}
    reached: dict[str, NDArray[np.float64]] = {}
    for day, added in groupby(rows, key=lambda row: row[0]):
        for _, arm, *sums in added:
            reached[arm] = reached.get(arm, np.zeros(10)) + np.array(sums, dtype=np.float64)
        found[day] = {name: _moments(sums) for name, sums in reached.items()}
    return found


def _moments(sums: NDArray[np.float64]) -> Moments:
    """Of number, three sums and six sums of products."""
    n, means = int(sums[0]), sums[1:4] / sums[0]
    products = np.zeros((3, 3))
    products[np.triu_indices(3)] = sums[4:]
    products = products + np.triu(products, 1).T
    return Moments(n, means, (products - n * np.outer(means, means)) / max(n - 1, 1))
