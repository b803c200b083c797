"""The same by days since a unit was assigned: whether an effect wears off."""

from typing import Final

from experiments.inference.samples import Sample
from experiments.outcomes.measures import Measure
from experiments.outcomes.tables import Tables

_LAST: Final = "(select max(happened_at) from facts)"


def days_followed(tables: Tables, share: float = 0.5) -> int:
    """The whole days that at least this share of units was followed from its assignment to the last time in the data."""
    found = tables.one(f"select quantile_disc(epoch({_LAST} - assigned_at) / 86400, {1 - share}) from units")
    return 0 if found is None else max(int(found), 0)


def follow(tables: Tables, one: Measure, days: int) -> None:
    """Table `followed(arm, key, since, v)`: what units that were followed for all of `days` days added on each of them.

    All days then tell of the same units, so that a change is one of effect and not of who is left.
    """
    enough = f"epoch({_LAST} - assigned_at) >= {days} * 86400"
    tables.run(f"create or replace temp table enough as select key, arm from measured where known and {enough}")
    tables.run(
        "create or replace temp table followed as select e.arm, key, since, sum(value) as v "
        f"from facts join enough e using (key) where metric = ? and after and since < {days} group by all",
        [one.name],
    )


def by_day_since(tables: Tables, days: int) -> dict[int, dict[str, Sample]]:
    """Day since assignment (0 first) -> arm -> the mean a unit adds that day, over those that `follow` keeps."""
    sizes = _sizes(tables)
    found: dict[int, dict[str, Sample]] = {day: {arm: Sample(n, 0.0, 0.0) for arm, n in sizes.items()} for day in range(days)}
    for day, arm, total, squares in tables.rows("select since, arm, sum(v), sum(v * v) from followed group by all"):
        found[int(day)][arm] = _sample(sizes[arm], total, squares)
    return found


def late_less_early(tables: Tables, days: int) -> dict[str, Sample]:
    """Arm -> how much more a followed unit adds a day in the later half of its `days` than in the earlier."""
    half, sizes = days // 2, _sizes(tables)
    change = f"sum(case when since >= {days - half} then v when since < {half} then -v else 0 end) / {half}"
    rows = tables.rows(
        f"select arm, sum(c), sum(c * c) from (select arm, {change} as c from followed group by arm, key) group by arm"
    )
    return {arm: _sample(sizes[arm], total, squares) for arm, total, squares in rows}


def _sizes(tables: Tables) -> dict[str, int]:
    return dict(tables.rows("select arm, count(*) from enough group by arm"))


def _sample(n: int, total: float, squares: float) -> Sample:
    return Sample(n, total / n, max(squares - total * total / n, 0.0) / max(n - 1, 1))
