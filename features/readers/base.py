"""What every reader of files gives back: catalogue rows and events with the line they stand on, refusals, and notes.

A refusal never raises: it comes out of the same iterator as the rows, so the caller decides whether to go on.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from features.catalogue import CatalogueRow
from features.events import MAX_CLOCK_SKEW, Event, Verb, to_utc

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Refusal:
    """One row that was not taken, and why. `line` counts from 1 (0: the file as a whole); `field` may be empty."""

    file: str
    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{where}: {self.field}: {self.reason}" if self.field else f"{where}: {self.reason}"


@dataclass(frozen=True)
class Located(Generic[T]):
    """A row and where it stands."""

    file: str
    line: int
    row: T

    def refuse(self, field: str, reason: str) -> Refusal:
        """The refusal of this row."""
        return Refusal(self.file, self.line, field, reason)


CatalogueRows = Iterator[Located[CatalogueRow] | Refusal]
EventRows = Iterator[Located[Event] | Refusal]


@dataclass
class Reading:
    """One pass over some files. `notes` tell what was derived or assumed; they are complete once `events` is exhausted.

    `files` are those that are read, whether they exist or not.
    """

    catalogue: CatalogueRows
    events: EventRows
    notes: list[str] = field(default_factory=list)
    files: Sequence[Path] = ()


@dataclass(frozen=True)
class Import:
    """What a file does not say itself: whose it is, the zone of its zone-less times, and the moment of the import.

    `known`: ids and aliases of the items in the tenant's catalogue, where the format asks for them.
    """

    tenant: str
    now: datetime
    timezone: ZoneInfo | None = None
    known: Set[str] = frozenset()


def zone(name: str | None) -> ZoneInfo | None:
    """The time zone of an IANA name such as Europe/Paris; ValueError for an unknown one."""
    try:
        return None if name is None else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; write an IANA name such as Europe/Paris or UTC") from None


class Occurrences:
    """Counts identical rows, so that each gets an id of its own (0 for the first, 1 for its first repeat ...)."""

    def __init__(self) -> None:
        self._seen: Counter[int] = Counter()

    def next(self, fields: tuple[Any, ...]) -> int:
        key = hash(fields)
        self._seen[key] += 1
        return self._seen[key] - 1


class LocalTimes:
    """Turns zone-less times into instants, and counts those that the zone knows twice or never (taken with fold 0)."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.doubtful = 0

    def instant(self, naive: datetime) -> datetime:
        """The UTC instant of a local time; in doubt (clocks put back or forward) the earlier offset.

        ValueError where UTC leaves the calendar.
        """
        local = naive.replace(tzinfo=self.zone, fold=0)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            self.doubtful += 1
        return to_utc(local)

    def notes(self) -> list[str]:
        if not self.doubtful:
            return []
        return [
            f"{self.doubtful} local times exist twice or never in {self.zone.key} (clock changes): the first offset was taken"
        ]


_NOT_UTF_8 = "the text is not UTF-8; save the file as UTF-8"

# -- CSV --


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Located[dict[str, str]] | Refusal]:
    """Rows of a CSV file with at least `columns`; a missing file, column or row, a broken line or bad UTF-8 is a refusal.

    A row stands on one line: else a quote left open would take all rows after it along.
    """
    if not path.is_file():
        yield Refusal(path.name, 0, "", "the file does not exist")
        return
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        header = _csv_header(path.name, next(lines, ""), columns)
        if isinstance(header, list):
            yield from _csv_body(path.name, lines, header)
        else:
            yield from header


def _csv_header(file: str, line: str, columns: Sequence[str]) -> list[str] | tuple[Refusal, ...]:
    try:
        header = _cells(line)
    except ValueError as error:
        return (Refusal(file, 1, "", str(error)),)
    if not header:
        return (Refusal(file, 0, "", "the file is empty"),)
    if not _utf_8(line):
        return (Refusal(file, 1, "", _NOT_UTF_8),)
    twice = [Refusal(file, 1, name, "the column stands twice") for name, count in Counter(header).items() if count > 1]
    known = f"the column is missing; the header has: {', '.join(header)}"
    missing = [Refusal(file, 1, column, known) for column in columns if column not in header]
    return (*missing, *twice) or header


def _csv_body(file: str, lines: Iterable[str], header: list[str]) -> Iterator[Located[dict[str, str]] | Refusal]:
    empty = True
    for number, line in enumerate(lines, start=2):
        if line.strip("\r\n"):
            empty = False
            yield _csv_row(file, number, line, header)
    if empty:
        yield Refusal(file, 0, "", "the file is empty: a header and no rows")


def _csv_row(file: str, number: int, line: str, header: list[str]) -> Located[dict[str, str]] | Refusal:
    try:
        cells = _cells(line)
    except ValueError as error:
        return Refusal(file, number, "", str(error))
    if len(cells) != len(header):
        return Refusal(file, number, "", f"broken CSV line: {len(cells)} cells under {len(header)} columns")
    row = dict(zip(header, cells, strict=True))
    bad = () if line.isascii() else [name for name, cell in row.items() if not _utf_8(cell)]
    return Refusal(file, number, bad[0], _NOT_UTF_8) if bad else Located(file, number, row)


def _cells(line: str) -> list[str]:
    """The cells of one line; ValueError for broken ones."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        open_quote = "unexpected end of data" in str(error)
        reason = "a quote is left open (a row must stand on one line)" if open_quote else str(error)
        raise ValueError(f"broken CSV line: {reason}") from None


def _utf_8(text: str) -> bool:
    # Opened with `surrogateescape`, a byte that is not UTF-8 is a lone surrogate.
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


# -- JSON lines --


def json_rows(path: Path, file: str | None = None) -> Iterator[Located[dict[str, Any]] | Refusal]:
    """Objects of a JSON-lines file, one a line; blank lines are skipped, a key that stands twice is a refusal."""
    name = file or path.name
    if not path.is_file():
        yield Refusal(name, 0, "", "the file does not exist")
        return
    empty = True
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                empty = False
                yield _json_row(name, number, line.removeprefix(b"\xef\xbb\xbf"))
    if empty:
        yield Refusal(name, 0, "", "the file is empty")


def _json_row(file: str, number: int, line: bytes) -> Located[dict[str, Any]] | Refusal:
    try:
        found = json.loads(line.decode(), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        return Refusal(file, number, "", f"the text is not UTF-8 (byte {error.start + 1}); save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        return Refusal(file, number, "", f"broken JSON line: {error}")
    if not isinstance(found, dict):
        return Refusal(file, number, "", f"broken JSON line: an object in braces is expected, not {type(found).__name__}")
    if b"\\ud" in line.lower():
        for name, value in found.items():
            if not _utf_8(json.dumps([name, value], ensure_ascii=False)):
                return Refusal(file, number, ascii(name)[1:-1], _LONE_SURROGATE)
    return Located(file, number, found)


_LONE_SURROGATE = "a text holds half of a character (a lone \\ud800 to \\udfff); write the character itself"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!a} stands twice in one object")
    return found


# -- from fields to rows --


def build(
    located: Located[Any], model: type[M], body: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> Located[M] | Refusal:
    """The row of `model` from these fields, or its refusal; `names` maps a model's field to the file's column."""
    try:
        return Located(located.file, located.line, model.model_validate(body))
    except ValidationError as error:
        field, reason = explain(error)
        return located.refuse((names or {}).get(field, field), reason)


def check_time(located: Located[Event], now: datetime, column: str = "recorded_at") -> Located[Event] | Refusal:
    """Refuses an event that was recorded after the moment of its import."""
    recorded = located.row.recorded_at
    if recorded > now + MAX_CLOCK_SKEW:
        return located.refuse(column, f"{recorded.isoformat()} is in the future (it is {now.isoformat(timespec='seconds')})")
    return located


def explain(error: ValidationError) -> tuple[str, str]:
    """(field, reason) in plain words of the first thing that a pydantic model found wrong."""
    found = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in found["loc"])
    reason = _reason(found)
    if not field and reason.startswith("occurred_at"):
        field, reason = "occurred_at", reason.removeprefix("occurred_at ")
    return field, reason


def _reason(found: ErrorDetails) -> str:
    words = _WORDS.get(found["type"])
    if found["type"] == "enum" and str(found["loc"][-1]) == "verb":
        return f"unknown verb {found['input']!r}; known verbs: {', '.join(Verb)}"
    return words(found) if words else f"{found['msg']} (given: {_short(found['input'])})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_WORDS: Mapping[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda _: "the field is missing",
    "extra_forbidden": lambda _: "the field is unknown",
    "value_error": lambda found: found["msg"].removeprefix("Value error, "),
    "timezone_aware": lambda found: (
        f"{_short(found['input'])} has no time zone: write one (2026-01-31T09:00:00Z) or give --timezone"
    ),
}


def failures(rows: Iterable[Located[T] | Refusal]) -> Iterator[Refusal]:
    """Only the refusals."""
    return (row for row in rows if isinstance(row, Refusal))
