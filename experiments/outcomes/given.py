"""One CSV file as it was given: texts in a table, and plain refusals of what is not as it should be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb


class FileError(ValueError):
    """A file that cannot be read as what it is given for: which, what is wrong, and what to do."""


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
        """The expression of a column of times as UTC, NULL where there is no such column; raises FileError for what is none."""
        if name not in self.columns:
            return "null::timestamp"
        example = "write for example 2026-03-02T09:30:00Z (without a zone: UTC)"
        self.refuse(
            f'try_cast("{name}" as timestamptz) is null',
            f"{{}} rows whose {name} is no time, {{!r}} for one; {example}",
            f'"{name}"',
        )
        return f"(\"{name}\"::timestamptz at time zone 'UTC')"


def given(connection: duckdb.DuckDBPyConnection, table: str, path: Path, needed: Sequence[str]) -> Given:
    """The file as a new table. Raises FileError where it is no CSV file with the columns that are needed, or has no rows."""
    try:
        read = connection.read_csv(str(path), header=True, all_varchar=True, sep=",", quotechar='"', escapechar='"')
        found = Given(connection, path, table, read.columns)
        found.need(needed, f"its first line must name {', '.join(needed)}, separated by commas")
        read.create(table)
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise FileError(f"{path}: not a readable CSV file ({str(error).splitlines()[0]})") from None
    if connection.execute(f"select count(*) from {table}").fetchall() == [(0,)]:
        raise FileError(f"{path}: there is no row below the first line")
    return found


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def column(name: str) -> str:
    """A column in SQL."""
    return '"' + name.replace('"', '""') + '"'
