"""The first line of a CSV file: what separates its columns, and what they are called."""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO, cast

SEPARATORS: Final = (",", ";", "\t")
_GZIP: Final = b"\x1f\x8b"


class FileError(ValueError):
    """A file that cannot be read as what it is given for: which, what is wrong, and what to do."""


@dataclass(frozen=True)
class Head:
    """`columns`: as an analysis calls them, those that it knows in lower case. `packed`: by gzip."""

    separator: str
    columns: Sequence[str]
    packed: bool


def head(path: Path, needed: Sequence[str], known: Sequence[str]) -> Head:
    """Of a file that may be packed; separated by commas, semicolons or tabs, whichever shows the columns that are needed.

    Raises FileError where it cannot be read, a needed column is absent, or two columns have one name.
    """
    line, packed = _line(path)
    found = [_columns(line, separator, known) for separator in SEPARATORS]
    place = next((place for place, columns in enumerate(found) if set(needed) <= set(columns)), 0)
    columns = found[place]
    absent = next((name for name in needed if name not in columns), None)
    if absent is not None:
        words = f"its first line must name {', '.join(needed)}, separated by commas, semicolons or tabs"
        raise FileError(f"{path}: no column {absent!r}; {words}")
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise FileError(f"{path}: two columns are called {twice!r}; leave one, or rename it")
    return Head(SEPARATORS[place], columns, packed)


def _line(path: Path) -> tuple[str, bool]:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        with cast(TextIO, (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig", newline="")) as text:
            return text.readline(100_000), packed
    except UnicodeDecodeError:
        raise FileError(f"{path}: not a readable CSV file (it is not UTF-8 text); save it as CSV in UTF-8") from None
    except (OSError, EOFError) as error:
        raise FileError(f"{path}: not a readable CSV file ({getattr(error, 'strerror', None) or error})") from None


def _columns(line: str, separator: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
    return [name.lower() if name.lower() in known else name for name in names]
