"""The two tables that an analysis reads, in DuckDB, wherever they came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb


@dataclass(frozen=True)
class Tables:
    """`assigned(unit, arm, cluster, assigned_at, exposed_at, segment_0, ...)` and `outcomes(unit, metric, value, happened_at)`.

    Times are UTC without a zone, NULL where none is known; `cluster` is the unit itself where units were randomised one by
    one. Segments stand in the order of the design.
    """

    connection: duckdb.DuckDBPyConnection
    clustered: bool

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
        found: datetime | None = self.one("select min(assigned_at) from assigned")
        return found

    def ends(self) -> datetime | None:
        """The last time in the data; None where outcomes have no times, for then they may be of any day."""
        last = "greatest(max(happened_at), (select max(assigned_at) from assigned))"
        found: datetime | None = self.one(f"select case when count(happened_at) > 0 then {last} end from outcomes")
        return found


def empty(memory: str = "3GB") -> duckdb.DuckDBPyConnection:
    """A database in memory that reads times as UTC, spills to disk beyond `memory` and keeps no order of rows."""
    connection = duckdb.connect(config={"memory_limit": memory, "preserve_insertion_order": False})
    connection.execute("set TimeZone = 'UTC'")
    return connection
