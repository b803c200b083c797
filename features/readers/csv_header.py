"""Which cell of a CSV row holds which field: the header of a file brought together with what is said of its columns."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from features.readers.csv_map import FIELDS, REQUIRED, CsvMap
from features.readers.csv_text import SEPARATORS, Broken, FileError, Lines, is_text, row_from, sniff


@dataclass(frozen=True)
class Header:
    """`places` maps a field to the index of its cell, `columns` to the name that the file gives it; a row has `width` cells."""

    csv_map: CsvMap
    separator: str
    width: int
    places: Mapping[str, int]
    notes: Sequence[str] = ()

    @property
    def columns(self) -> Mapping[str, str]:
        return self.csv_map.columns


def read_header(lines: Lines, csv_map: CsvMap) -> Header:
    """Takes the first line that is not blank. FileError where a column is missing, or the line is no header."""
    separator, names = column_names(lines, csv_map, [*csv_map.columns.values(), *FIELDS])
    completed = csv_map.completed(names)
    _check(names, completed, lines.number)
    places = {field: names.index(column) for field, column in completed.columns.items()}
    return Header(completed, separator, len(names), places, tuple(_notes(csv_map, completed, separator)))


def column_names(lines: Lines, csv_map: CsvMap, wanted: Sequence[str]) -> tuple[str, list[str]]:
    """The separator, and the columns of the first line that is not blank. `wanted`: what to know a separator by."""
    first = _first_line(lines)
    separator = csv_map.separator or sniff(first or "", wanted)
    names = row_from(lines, first, separator)
    if isinstance(names, Broken):
        raise FileError(names.reason, lines.number)
    names = [name.strip() for name in names]
    if not is_text("".join(names)):
        raise FileError(f"the text is not {csv_map.encoding}; {OTHER_ENCODING}", lines.number)
    return separator, names


def require(names: Sequence[str], columns: Sequence[str], line: int) -> None:
    """FileError where one of these columns is missing or stands twice."""
    missing = [column for column in columns if column not in names]
    if missing:
        near = "".join(_near(column, names) for column in missing)
        raise FileError(f"the column is missing; {_has(names)}{near}", line, ", ".join(missing))
    twice = [column for column in columns if names.count(column) > 1]
    if twice:
        raise FileError("the column stands twice in the header", line, twice[0])


OTHER_ENCODING: Final = "give the encoding of the file, for example --encoding cp1252"


def _first_line(lines: Lines) -> str | None:
    while taken := lines.take(1):
        if taken[0] is None or taken[0].strip():
            return taken[0]
    raise FileError("the file is empty")


def _check(names: Sequence[str], csv_map: CsvMap, line: int) -> None:
    require(names, list(csv_map.columns.values()), line)
    for field in (*REQUIRED, "verb"):
        if field not in csv_map.columns and not (field == "verb" and csv_map.constant):
            or_constant = ", or --verb completed for all rows" if field == "verb" else ""
            raise FileError(f"no column is named for it; give --map '{field}=COLUMN'{or_constant}; {_has(names)}", line, field)


def _has(names: Sequence[str]) -> str:
    return f"the header has: {', '.join(names)}"


def _near(column: str, names: Sequence[str]) -> str:
    folded = {name.casefold(): name for name in reversed(names)}
    found = difflib.get_close_matches(column.casefold(), folded, n=1)
    return f"; nearest to {column!r}: {folded[found[0]]!r}" if found else ""


def _notes(given: CsvMap, completed: CsvMap, separator: str) -> list[str]:
    notes = []
    if given.separator is None:
        notes.append(f"the header is separated by {SEPARATORS[separator]}; --separator says it for sure")
    own = [field for field in completed.columns if field not in given.columns]
    if own:
        notes.append(f"columns taken by their own names: {', '.join(own)}")
    return notes
