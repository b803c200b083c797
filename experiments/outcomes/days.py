"""The same by day: as the experiment went on, and by days since a unit was assigned."""

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.inference.samples import Moments, Sample
from experiments.outcomes.measures import Measure
from experiments.outcomes.tables import Tables

_SUMS = ("y", "d", "x", "y*y", "y*d", "y*x", "d*d", "d*x", "x*x")


def as_it_went(tables: Tables, one: Measure) -> dict[date, dict[str, Moments]]:
    """Day -> arm -> moments of all that was known at its end, of what was measured last; empty where nothing has a time.

    One pass: what a unit (or cluster) adds on a day changes its own sums, and the change of their products is what that day
    adds to the arm's.
    """
    rows = tables.rows(_changes(one), [one.name] if one.denominator is None else [one.name, one.denominator])
    return _cumulated(rows)


def _changes(one: Measure) -> str:
    when = "coalesce(o.happened_at, m.first)::date as day"
    after = "m.known and coalesce(o.happened_at >= m.assigned_at, true)"
    alone = "1.0" if one.denominator is None else "0.0"
    steps = [
        f"select arm, cluster, first::date as day, 0.0 as y, {alone} as d, x from measured where known and first is not null",
        f"select m.arm, m.cluster, {when}, o.value, 0.0, 0.0 from outcomes o join measured m using (unit) "
        f"where o.metric = ? and {after} and m.first is not null",
    ]
    if one.denominator is not None:
        steps.append(
            f"select m.arm, m.cluster, {when}, 0.0, o.value, 0.0 from outcomes o join measured m using (unit) "
            f"where o.metric = ? and {after} and m.first is not null"
        )
    daily = f"select arm, cluster, day, sum(y) as y, sum(d) as d, sum(x) as x from ({' union all '.join(steps)}) group by all"
    reached = ", ".join(f"sum({name}) over w as to_{name}" for name in "ydx")
    running = (
        f"select *, {reached}, row_number() over w = 1 as new from ({daily}) window w as (partition by cluster order by day)"
    )
    sums = ", ".join(_change(name) for name in _SUMS)
    return f"select day, arm, count(*) filter (new), {sums} from ({running}) group by day, arm order by day"


def _change(name: str) -> str:
    """Of a sum, or of a product: what it is now less what it was."""
    if "*" not in name:
        return f"sum({name})"
    left, right = name.split("*")
    return f"sum(to_{left} * to_{right} - (to_{left} - {left}) * (to_{right} - {right}))"


def _cumulated(rows: list[tuple[Any, ...]]) -> dict[date, dict[str, Moments]]:
    found: dict[date, dict[str, Moments]] = {}
    reached: dict[str, NDArray[np.float64]] = {}
    for day, arm, *sums in rows:
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


def days_followed(tables: Tables, share: float = 0.5) -> int:
    """The whole days that at least this share of units was followed from its assignment to the last time in the data."""
    last = "(select max(happened_at) from outcomes)"
    found = tables.one(f"select quantile_disc(epoch({last} - assigned_at) / 86400, {1 - share}) from assigned")
    return 0 if found is None else max(int(found), 0)


def by_day_since(tables: Tables, one: Measure, days: int) -> dict[int, dict[str, Sample]]:
    """Day since assignment (0 first) -> arm -> the mean a unit adds that day, over units followed for `days` days.

    All days tell of the same units, so that a change is one of effect and not of who is left.
    """
    tables.run(f"create or replace temp table followed as {_followed(days)}")
    sizes = dict(tables.rows("select arm, count(*) from followed group by arm"))
    daily = f"select f.arm, {_day('f')} as day, sum(o.value) as v from {_joined(days)} group by f.arm, f.unit, day"
    found: dict[int, dict[str, Sample]] = {day: {arm: Sample(n, 0.0, 0.0) for arm, n in sizes.items()} for day in range(days)}
    for day, arm, total, squares in tables.rows(f"select day, arm, sum(v), sum(v * v) from ({daily}) group by all", [one.name]):
        found[int(day)][arm] = _sample(sizes[arm], total, squares)
    return found


def late_less_early(tables: Tables, one: Measure, days: int) -> dict[str, Sample]:
    """Arm -> how much more a followed unit adds a day in the later half of its `days` than in the earlier."""
    half = days // 2
    change = (
        f"sum(case when {_day('f')} >= {days - half} then o.value when {_day('f')} < {half} then -o.value else 0 end) / {half}"
    )
    each = f"select f.arm, {change} as v from {_joined(days)} group by f.arm, f.unit"
    sizes = dict(tables.rows("select arm, count(*) from followed group by arm"))
    rows = tables.rows(f"select arm, sum(v), sum(v * v) from ({each}) group by arm", [one.name])
    return {arm: _sample(sizes[arm], total, squares) for arm, total, squares in rows}


def _followed(days: int) -> str:
    last = "(select max(happened_at) from outcomes)"
    return f"select unit, arm, assigned_at from measured where known and epoch({last} - assigned_at) >= {days} * 86400"


def _joined(days: int) -> str:
    since = f"o.happened_at >= f.assigned_at and {_day('f')} < {days}"
    return f"outcomes o join followed f using (unit) where o.metric = ? and {since}"


def _day(table: str) -> str:
    return f"floor(epoch(o.happened_at - {table}.assigned_at) / 86400)"


def _sample(n: int, total: float, squares: float) -> Sample:
    return Sample(n, total / n, max(squares - total * total / n, 0.0) / max(n - 1, 1))
