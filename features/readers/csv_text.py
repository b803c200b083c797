"""From the bytes of a CSV file to the cells of its rows, whatever wrote it: encodings, separators, broken lines.

A row may span several lines where a quoted cell holds line breaks. A quote that is left open costs the one line it stands
on and not all that follow: reading goes on with the next line.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

ENCODINGS: Final = {
    "utf-8": "utf-8-sig",
    "utf-8-sig": "utf-8-sig",
    "cp1252": "cp1252",
    "latin-1": "latin-1",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
}
"""Encodings by the name a user gives, and the codec that reads each; a byte order mark is never part of the text."""

SEPARATORS: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
LONGEST_LINE: Final = 1_000_000
"""Characters of a line, and of a row over several lines. A longer one is refused, and read past without keeping it."""
MOST_LINES: Final = 100
"""Lines of one row: a quote that is not closed by then was left open."""

_SAMPLE: Final = 1 << 20
_LINES: Final = 4_000
_CHARACTERS: Final = 8_000_000
"""Of the lines that are in memory at once; lines of 2,000 characters and more are read fewer at a time."""

Cells = list[str]


@dataclass
class Broken:
    """A line that gives no row, and why."""

    reason: str


Record = tuple[int, Cells | Broken]
"""The number of the line on which a row begins, and its cells."""


class FileError(ValueError):
    """The file as a whole cannot be read: why, and `line` (0: none in particular) and `column` if one is to blame."""

    def __init__(self, reason: str, line: int = 0, column: str = "") -> None:
        super().__init__(reason)
        self.line = line
        self.column = column


def check_file(path: Path, encoding: str) -> None:
    """Raises FileError where `path` is no file, is empty, or is seen at once to be in another encoding."""
    if path.is_dir():
        raise FileError("this is a folder; name one CSV file")
    if not path.is_file():
        raise FileError("the file does not exist")
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    if not sample.strip():
        raise FileError("the file is empty")
    wrong = _wrong_encoding(sample, encoding)
    if wrong:
        raise FileError(wrong, 1)


def _wrong_encoding(sample: bytes, encoding: str) -> str:
    packed = next((name for magic, name in _PACKED.items() if sample.startswith(magic)), "")
    if packed:
        return f"this is {packed} and not a text: unpack it, or save the table as CSV"
    marked = sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    order = _order_of_utf_16(sample)
    if encoding.startswith("utf-16"):
        if not marked and b"\0" not in sample:
            return "the text is not UTF-16; try --encoding utf-8 or --encoding cp1252"
        no_mark = encoding == "utf-16" and not marked
        return f"the text has no mark that says which UTF-16 it is; try --encoding {order or 'utf-16-le'}" if no_mark else ""
    if marked:
        return f"the file begins with the mark of UTF-16, so it is not {encoding}; give --encoding utf-16"
    if order:
        return f"every other byte is 0, so it is not {encoding}; give --encoding {order}"
    if encoding in ("cp1252", "latin-1") and not sample.isascii() and _is_utf_8(sample):
        line = next(number for number, text in enumerate(sample.split(b"\n"), 1) if not text.isascii())
        return f"the text reads as UTF-8 (see line {line}), so it is not {encoding}; give --encoding utf-8"
    return ""


_PACKED: Final = {b"\x1f\x8b": "a packed file (gzip)", b"PK\x03\x04": "a spreadsheet or a zip file"}


def _order_of_utf_16(sample: bytes) -> str:
    """Which UTF-16 a text without a mark is, by where the zeros of its first letters are; empty: none."""
    start = sample[:40]
    even, odd = start[::2].count(0), start[1::2].count(0)
    return "utf-16-le" if odd > 10 > even else "utf-16-be" if even > 10 > odd else ""


def _is_utf_8(sample: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()  # a letter cut in half by the end of the sample is no error
    try:
        decoder.decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def is_text(text: str) -> bool:
    """Whether no byte of it was left that is not of the file's encoding (see `opened`)."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def sniff(header: str, wanted: Sequence[str]) -> str:
    """The separator under which most of the wanted columns, then most columns, stand in the header line."""

    def score(separator: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([header], delimiter=separator, strict=True), [])
        except csv.Error:
            return -1, 0
        return len({cell.strip() for cell in cells}.intersection(wanted)), len(cells)

    return max(SEPARATORS, key=score)


@contextmanager
def opened(path: Path, encoding: str) -> Iterator["Lines"]:
    """The lines of a file from its first on. Bytes that are not of the encoding become lone surrogates, but for UTF-16."""
    errors = "strict" if encoding.startswith("utf-16") else "surrogateescape"
    with path.open(encoding=ENCODINGS[encoding], errors=errors) as file:
        lines = Lines(file)
        if encoding in ("utf-16-le", "utf-16-be"):
            lines.skip_mark()
        yield lines


class Lines:
    """The lines of a file without their ends, numbered from 1; one at a time is in memory. None: longer than LONGEST_LINE."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._returned: deque[str | None] = deque()
        self.number = 0
        """The line that was taken last."""

    def skip_mark(self) -> None:
        """Leaves out a byte order mark at the file's beginning, which these codecs take for text."""
        first = self.take(1)
        self.back([line and line.removeprefix("\ufeff") for line in first])

    def take(self, count: int) -> list[str | None]:
        """The next `count` lines, fewer at the end of the file or where they are long (so that their memory is bounded).

        FileError where they cannot be decoded.
        """
        found = [self._returned.popleft() for _ in range(min(count, len(self._returned)))]
        readline, whole, room = self._file.readline, LONGEST_LINE + 1, _CHARACTERS - sum(len(line or "") for line in found)
        try:
            while len(found) < count and room > 0 and (line := readline(whole)):
                found.append(self._whole(line))
                room -= len(line)
        except UnicodeError as error:
            raise FileError(f"the text is not {self._file.encoding}: {error}", self.number + len(found) + 1) from None
        self.number += len(found)
        return found

    @property
    def offset(self) -> int:
        """Bytes of the file that were read, those read ahead included."""
        buffer = getattr(self._file, "buffer", None)
        return 0 if buffer is None else int(buffer.tell())

    def back(self, lines: Sequence[str | None]) -> None:
        """Gives lines back that were taken last."""
        self._returned.extendleft(reversed(lines))
        self.number -= len(lines)

    def _whole(self, line: str) -> str | None:
        if line[-1] == "\n" or len(line) <= LONGEST_LINE:
            return line.rstrip("\n")
        while line and line[-1] != "\n":
            line = self._file.readline(LONGEST_LINE)
        return None


def records(lines: Lines, separator: str) -> Iterator[list[Record]]:
    """The rows from here on, some thousand at a time; blank lines are left out.

    Most of the time each line is a row; then the csv module reads many at once. Where it finds fewer rows than lines, or an
    error, they are read one by one.
    """
    while taken := lines.take(_LINES):
        first = lines.number - len(taken) + 1
        try:
            rows = list(csv.reader(taken, delimiter=separator, strict=True))  # type: ignore[arg-type]
        except csv.Error:
            rows = []
        if len(rows) == len(taken):
            yield [(number, row) for number, row in enumerate(rows, first) if row]
        else:
            lines.back(taken)
            yield [found for found in _one_by_one(lines, separator, lines.number + len(taken)) if found[1]]


def _one_by_one(lines: Lines, separator: str, until: int) -> Iterator[Record]:
    while lines.number < until and (taken := lines.take(1)):
        number = lines.number
        yield number, row_from(lines, taken[0], separator)


def row_from(lines: Lines, text: str | None, separator: str) -> Cells | Broken:
    """The row that begins with this line, taking further lines while a quote is open; they go back if it stays open."""
    if text is None:
        return Broken(f"the line is longer than {LONGEST_LINE:,} characters")
    more: list[str | None] = []
    while True:
        try:
            return next(csv.reader([text], delimiter=separator, strict=True), [])
        except csv.Error as error:
            still_open = "unexpected end of data" in str(error)
            reason = "a quote is left open" if still_open else str(error)
        taken = lines.take(1) if still_open and len(more) < MOST_LINES - 1 else []
        more += taken
        if not taken or taken[0] is None or len(text) > LONGEST_LINE:
            lines.back(more)
            return Broken(f"broken CSV line: {reason}")
        text += "\n" + taken[0]
