"""The tables that an analysis reads, in DuckDB, wherever they came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from experiments.design import Design
from experiments.outcomes.given import literal
from experiments.outcomes.measures import metrics_of


@dataclass(frozen=True)
class Faults:
    """What was wrong with the ids, which are gone after the join.

    `repeated`: assignments beyond the first of a unit. `in_several_arms`: units, or clusters, with more than one arm.
    `exposed_first`: units that met the experiment before they were assigned. `strangers`: units with outcomes, but no arm.
    `alike`: of those, how many differ from an assigned unit without outcomes in zeros before, case, spaces or the like only;
    `alike_ids`: two such ids.
    """

    repeated: int
    in_several_arms: int
    exposed_first: int
    strangers: int
    alike: int = 0
    alike_ids: tuple[str, str] | None = None


@dataclass(frozen=True)
class Tables:
    """`units(key, arm, cluster, assigned_at, segment_0, ...)` and `facts(key, arm, cluster, metric, value, happened_at, day,
    since, after)`: one row an assignment, and one an outcome of those units.

    Keys and clusters are numbers; the cluster is the key where units were randomised one by one. Times are UTC without a zone,
    NULL where none is known. `day`: of the outcome, else of the assignment; `since`: whole days from assignment to outcome;
    `after`: it is not from before the assignment. `began_at`, `until`: when the experiment began and until when all is known,
    where that is known better than by the first and last times in the data.
    """

    connection: duckdb.DuckDBPyConnection
    clustered: bool
    faults: "Faults"
    began_at: datetime | None = None
    until: datetime | None = None

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.connection.execute(query, list(values)).fetchall()

    def one(self, query: str, values: Sequence[object] = ()) -> Any:
        """The only value of a query."""
        return self.rows(query, values)[0][0]

    def run(self, query: str, values: Sequence[object] = ()) -> None:
        self.connection.execute(query, list(values))

    def began(self) -> datetime | None:
        """The first assignment; None where no assignment has a time."""
        found: datetime | None = self.began_at or self.one("select min(assigned_at) from units")
        return found

    def ends(self) -> datetime | None:
        """The last time in the data; None where outcomes have no times, for then they may be of any day."""
        if self.until is not None:
            return self.until
        last = "greatest(max(happened_at), (select max(assigned_at) from units))"
        found: datetime | None = self.one(f"select case when count(happened_at) > 0 then {last} end from facts")
        return found


def empty(memory: str = "3GB") -> duckdb.DuckDBPyConnection:
    """A database in memory that reads times as UTC, spills to disk beyond `memory` and keeps no order of rows."""
    connection = duckdb.connect(config={"memory_limit": memory, "preserve_insertion_order": False})
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    return connection


def joined(connection: duckdb.DuckDBPyConnection, design: Design, *, clustered: bool) -> Tables:
    """The tables of `assigned(unit, arm, cluster, assigned_at, exposed_at, segment_0, ...)` and `outcomes(unit, metric, value,
    happened_at)`, which are used up. Arms and metrics must be those of the design.

    `cluster` is not read where units were randomised one by one. Ids are compared once, here; from then on numbers are.
    """
    connection.execute(f"create type arm_name as enum ({_names(design.allocation)})")
    connection.execute(f"create type metric_name as enum ({_names(sorted(metrics_of(design)))})")
    _units(connection, len(design.segments), clustered=clustered)
    _facts(connection, clustered=clustered)
    faults = _faults(connection, clustered=clustered)
    connection.execute("drop table assigned")
    connection.execute("drop table outcomes")
    return Tables(connection, clustered, faults)


def _units(connection: duckdb.DuckDBPyConnection, segments: int, *, clustered: bool) -> None:
    cluster, join = "a.rowid", ""
    if clustered:
        numbers = "select cluster, row_number() over () as place from (select distinct cluster from assigned)"
        cluster, join = "c.place", f"join ({numbers}) c using (cluster)"
    connection.execute(
        f"create table units as select a.rowid as key, a.arm::arm_name as arm, {cluster} as cluster, a.assigned_at"
        f"{''.join(f', segment_{place}' for place in range(segments))} from assigned a {join}"
    )


def _facts(connection: duckdb.DuckDBPyConnection, *, clustered: bool) -> None:
    cluster, join = ("u.cluster", "join units u on u.key = a.rowid") if clustered else ("a.rowid", "")
    connection.execute(
        f"create table facts as select a.rowid as key, a.arm::arm_name as arm, {cluster} as cluster, "
        "o.metric::metric_name as metric, o.value, o.happened_at, coalesce(o.happened_at, a.assigned_at)::date as day, "
        "floor(epoch(o.happened_at - a.assigned_at) / 86400)::integer as since, "
        f"coalesce(o.happened_at >= a.assigned_at, true) as after from outcomes o join assigned a using (unit) {join}"
    )


def _faults(connection: duckdb.DuckDBPyConnection, *, clustered: bool) -> Faults:
    ids = "select {0}, count(*) as n, min(arm) <> max(arm) as several from assigned group by {0}"
    found = "select coalesce(sum(n) - count(*), 0), count(*) filter (several) from ({0})"
    repeated, crossing = connection.execute(found.format(ids.format("unit"))).fetchall()[0]
    if clustered:
        crossing = connection.execute(found.format(ids.format("cluster"))).fetchall()[0][1]
    lost = repeated or _count(connection, "select count(*) from facts") < _count(connection, "select count(*) from outcomes")
    strangers = _count(connection, "select count(distinct unit) from outcomes anti join assigned using (unit)") if lost else 0
    alike, two = _alike(connection) if strangers else (0, None)
    return Faults(
        repeated=int(repeated),
        in_several_arms=crossing,
        exposed_first=_count(connection, "select count(*) from assigned where exposed_at < assigned_at"),
        strangers=strangers,
        alike=alike,
        alike_ids=two,
    )


def _alike(connection: duckdb.DuckDBPyConnection) -> tuple[int, tuple[str, str] | None]:
    """How many units with outcomes are no assigned unit, but nearly one that has no outcome, and the first two such ids."""
    plain = "ltrim(nfc_normalize(lower(trim(regexp_replace(unit, '[.]0+$', '')))), '0') as plain"
    strange = f"select distinct unit, {plain} from outcomes anti join assigned using (unit)"
    silent = f"select distinct unit, {plain} from assigned anti join outcomes using (unit)"
    found = (
        f"select count(distinct s.unit), min(s.unit), min_by(a.unit, s.unit) from ({strange}) s join ({silent}) a using (plain)"
    )
    count, one, other = connection.execute(found).fetchall()[0]
    return int(count), (one, other) if count else None


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])


def _names(names: Iterable[str]) -> str:
    return ", ".join(literal(name) for name in names)
