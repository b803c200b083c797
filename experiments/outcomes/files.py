"""An experiment that ran elsewhere: `unit,arm[,assigned_at][,exposed_at][,cluster]` and `unit,metric,value[,at]` as CSV."""

from pathlib import Path
from typing import Final

from experiments.design import Design
from experiments.outcomes.given import Given, column, given, literal
from experiments.outcomes.measures import metrics_of
from experiments.outcomes.tables import Tables, empty, joined

_UNITS: Final = ("unit", "arm", "assigned_at", "exposed_at", "cluster")
_OUTCOMES: Final = ("unit", "metric", "value", "at")
_NUMBER: Final = "coalesce(try_cast(value as double), case lower(value) when 'true' then 1.0 when 'false' then 0.0 end)"
_LARGEST: Final = 1e100
"""Beyond this, squares and their sums are no numbers any more."""


def read_files(assignments: Path, outcomes: Path, design: Design) -> Tables:
    """The tables of two CSV files with a header; outcomes of metrics that the design does not name are left out.

    Raises FileError. Faults of the experiment (a unit in two arms, no outcomes) are for the health checks.
    """
    connection = empty()
    units = given(connection, "given_units", assignments, ("unit", "arm"), _UNITS)
    rows = given(connection, "given_outcomes", outcomes, ("unit", "metric", "value"), _OUTCOMES)
    _assigned(units, design)
    _outcomes(rows, design)
    return joined(connection, design, clustered="cluster" in units.columns)


def _assigned(units: Given, design: Design) -> None:
    units.refuse("unit is null or arm is null", "{} rows without unit or arm; each row needs both")
    units.need(design.segments, "the design names it as a segment")
    arms = ", ".join(design.allocation)
    known = ", ".join(literal(arm) for arm in design.allocation)
    units.refuse(f"arm not in ({known})", f"{{}} rows of arm {{!r}}, which [allocation] does not have; it has {arms}", "arm")
    cluster = "null::text"
    if "cluster" in units.columns:
        cluster = "cluster"
        units.refuse("cluster is null", "{} rows without a cluster; name one for each unit, or leave the column out")
    parts = [f"coalesce({column(name)}, '(none)') as segment_{place}" for place, name in enumerate(design.segments)]
    times = [f"{units.time(name)} as {name}" for name in ("assigned_at", "exposed_at")]
    if "exposed_at" in units.columns:
        units.refuse_times("exposed_at", filled=False)
    _replace(units, "assigned", ["unit", "arm", f"{cluster} as cluster", *times, *parts], "true", "assigned_at", "assigned_at")


def _outcomes(rows: Given, design: Design) -> None:
    rows.refuse("unit is null or metric is null", "{} rows without unit or metric; each row needs both")
    rows.refuse(
        f"value is not null and (not coalesce(abs({_NUMBER}) <= {_LARGEST}, false) or contains(value, '_'))",
        "{} values are not numbers, {!r} for one; write decimals with a point, yes and no as 1 and 0 (or true and false), and "
        "leave empty what is not known",
        "value",
    )
    if "at" not in rows.columns:
        words = "{} times a unit has several rows of one metric, {!r} for one; sum them, or say in a column `at` when each was"
        rows.refuse_repeats("unit, metric", words)
    metrics = ", ".join(literal(name) for name in sorted(metrics_of(design)))
    columns = ["unit", "metric", f"{_NUMBER} as value", f"{rows.time('at')} as happened_at"]
    _replace(rows, "outcomes", columns, f"value is not null and metric in ({metrics})", "at", "happened_at")


def _replace(one: Given, table: str, columns: list[str], where: str, written: str, time: str) -> None:
    """The table that is analysed in place of the one that was given; its `time` comes from the column that is `written`.

    What is no time is looked for in what became of it, which is quicker than to read all texts once more.
    """
    one.connection.execute(f"create table {table} as select {', '.join(columns)} from {one.table} where {where}")
    wrong = f"select count(*) from {table} where not coalesce(isfinite({time}), false)"
    if written in one.columns and one.connection.execute(wrong).fetchall() != [(0,)]:
        one.refuse_times(written)
    one.connection.execute(f"drop table {one.table}")
