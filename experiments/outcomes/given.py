"""One CSV file as it was given: texts in a table, and plain refusals of what is not as it should be."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from experiments.outcomes.head import FileError, head


@dataclass(frozen=True)
class Given:
    """A file as `table`, all columns texts, empty fields NULL."""

    connection: duckdb.DuckDBPyConnection
    path: Path
    table: str
    columns: Sequence[str]

    def need(self, columns: Sequence[str], words: str) -> None:
        """Raises FileError where a column is absent."""
        absent = next((name for name in columns if name not in self.columns), None)
        if absent is not None:
            raise FileError(f"{self.path}: no column {absent!r}; {words}")

    def refuse(self, where: str, words: str, example: str = "null") -> None:
        """Raises FileError where rows fulfil a condition. `words` take their number and an example."""
        query = f"select count(*), min({example}) from {self.table} where {where}"
        count, one = self.connection.execute(query).fetchall()[0]
        if count:
            raise FileError(f"{self.path}: {words.format(f'{count:,}', one)}")

    def refuse_repeats(self, columns: str, words: str) -> None:
        """Raises FileError where rows share all of `columns`. `words` take the number of such groups and a unit."""
        twice = f"select unit from {self.table} group by {columns} having count(*) > 1"
        count, one = self.connection.execute(f"select count(*), min(unit) from ({twice})").fetchall()[0]
        if count:
            raise FileError(f"{self.path}: {words.format(f'{count:,}', one)}")

    def time(self, name: str) -> str:
        """The expression of a column of times as UTC, NULL where there is no such column, or no time in it."""
        return f"(try_cast({column(name)} as timestamptz) at time zone 'UTC')" if name in self.columns else "null::timestamp"

    def refuse_times(self, name: str, *, filled: bool = True) -> None:
        """Raises FileError where rows have something else in a column of times, or nothing though it must be `filled`."""
        quoted, example = column(name), "write for example 2026-03-02T09:30:00Z (without a zone: UTC)"
        self.refuse(
            f"not coalesce(isfinite(try_cast({quoted} as timestamptz)), {'false' if filled else f'{quoted} is null'})",
            f"{{}} rows whose {name} is no time, {{!r}} for one; {example}",
            f"coalesce({quoted}, '')",
        )


def given(connection: duckdb.DuckDBPyConnection, table: str, path: Path, needed: Sequence[str], known: Sequence[str]) -> Given:
    """The file as a new table. Raises FileError where it is no CSV file with the columns that are needed, or has no rows.

    `known`: names of columns that may be written in any case.
    """
    first = head(path, needed, known)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in first.columns)
    options = (
        f"auto_detect=false, header=true, columns={{{columns}}}, delim={literal(first.separator)}, quote='\"', escape='\"'"
    )
    packed = "gzip" if first.packed else "none"
    query = f"create table {table} as select * from read_csv({literal(str(path))}, {options}, compression='{packed}')"
    try:
        connection.execute(query)
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise FileError(f"{path}: not a readable CSV file ({_cause(str(error))})") from None
    if connection.execute(f"select count(*) from {table}").fetchall() == [(0,)]:
        raise FileError(f"{path}: there is no row below the first line")
    return Given(connection, path, table, first.columns)


def _cause(told: str) -> str:
    """What DuckDB says, in our words."""
    line = re.search(r"CSV Error on Line: (\d+)", told)
    if line is None:
        return told.splitlines()[0]
    fields = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", told)
    if fields is not None:
        return f"line {line[1]} has {fields[2]} fields, and the first line has {fields[1]}"
    if "unicode" in told:
        return f"line {line[1]} is not UTF-8 text; save the file as CSV in UTF-8"
    return f"line {line[1]} opens a quote that does not close" if "unterminated quote" in told else f"line {line[1]}"


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def column(name: str) -> str:
    """A column in SQL."""
    return '"' + name.replace('"', '""') + '"'
