"""What stands in one cell of a CSV file: a time, a number, a duration, yes or no. ValueError says in words what is wrong."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from pydantic_core import to_json

from features.events import to_utc
from features.readers.base import LocalTimes, zone
from features.readers.csv_map import CsvMap

Time = tuple[int, str]
"""Microseconds since 1970, and the same instant as an event's JSON writes it."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 (UTC without saying so: half the time)
_REMEMBERED: Final = 16_384
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_HMS: Final = re.compile(r"(?:([0-9]+):)?([0-9]+):([0-9]{1,2}(?:\.[0-9]+)?)")
_ISO_DURATION: Final = re.compile(r"P(?:([0-9.]+)D)?(?:T(?:([0-9.]+)H)?(?:([0-9.]+)M)?(?:([0-9.]+)S)?)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_TRUE: Final = frozenset({"true", "yes", "y", "t", "1", "x"})
_FALSE: Final = frozenset({"false", "no", "n", "f", "0"})


class Times:
    """Reads times in the format and zone of a map; `notes` tell of local times that were in doubt."""

    def __init__(self, csv_map: CsvMap) -> None:
        given = zone(csv_map.timezone)
        self._local = None if given is None else LocalTimes(given)
        self._format = csv_map.time_format
        self._parse = _parser(csv_map.time_format)
        self._hour = lru_cache(_REMEMBERED)(self._read_hour)
        self._iso = csv_map.time_format == "iso"

    def __call__(self, cell: str) -> Time:
        """The instant of a cell."""
        if self._iso and 19 <= len(cell) <= 20 and cell[13] == ":":
            # 2026-01-31 09:12:34, with a Z or without: the hour is known from other rows, minutes and seconds by heart.
            hour, past = self._hour(cell[:13], cell[19:]), _IN_HOUR.get(cell[14:19])
            if hour and past is not None:
                return hour[0] + past, f"{hour[1]}:{cell[14:19]}Z"
        return self._read(cell)

    def _read_hour(self, hour: str, zone: str) -> Time | None:
        """The instant at which this hour begins; None where it is not plain: unreadable, or with a change of the clock."""
        doubtful = self._local.doubtful if self._local else 0
        try:
            (first, text), (last, _) = self._read(f"{hour}:00:00{zone}"), self._read(f"{hour}:59:59{zone}")
        except ValueError:
            return None
        if self._local and self._local.doubtful > doubtful:
            self._local.doubtful = doubtful
            return None
        return (first, text[:13]) if last - first == 3599_000_000 and text[13:] == ":00:00Z" else None

    def _read(self, cell: str) -> Time:
        try:
            at = self._parse(cell)
        except (ValueError, OverflowError):
            raise ValueError(f"{cell!r} is not a time {_LIKE.get(self._format, f'of the form {self._format}')}") from None
        naive = (at if at.tzinfo is UTC else self._instant(cell, at)).replace(tzinfo=None)
        past = naive - _EPOCH
        return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds, naive.isoformat() + "Z"

    def _instant(self, cell: str, at: datetime) -> datetime:
        if at.tzinfo is None and self._local is None:
            raise ValueError(f"{cell!r} has no time zone: give --timezone, for example Europe/Paris")
        return self._local.instant(at) if self._local and at.tzinfo is None else to_utc(at)

    def notes(self) -> list[str]:
        """What was assumed, complete after the last cell."""
        return self._local.notes() if self._local else []


_IN_HOUR: Final = {
    f"{minute:02}:{second:02}": (minute * 60 + second) * 1_000_000 for minute in range(60) for second in range(60)
}
_LIKE: Final = {
    "iso": "like 2026-01-31T09:00:00Z; if it is written otherwise, give --time-format",
    "epoch-s": "in seconds since 1970",
    "epoch-ms": "in milliseconds since 1970",
}


def _parser(form: str) -> Callable[[str], datetime]:
    if form == "iso":
        return datetime.fromisoformat
    if form in ("epoch-s", "epoch-ms"):
        factor = 1_000_000 if form == "epoch-s" else 1_000
        return lambda cell: _EPOCH_UTC + timedelta(microseconds=round(_plain(cell) * factor))
    return lru_cache(_REMEMBERED)(lambda cell: _aware(datetime.strptime(cell, form)))  # noqa: DTZ007 (the zone comes later)


_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is None else at.astimezone(UTC)


def _plain(cell: str) -> float:
    if not _NUMBER.fullmatch(cell):
        hint = "; if it has a decimal comma, give --decimal comma" if "," in cell else ""
        raise ValueError(f"{cell!r} is not a number{hint}")
    return float(cell)


def numbers(csv_map: CsvMap) -> Callable[[str], float]:
    """How a number is read; it raises ValueError for what is none."""
    return _decimal_comma if csv_map.decimal == "comma" else _plain


Fragment = Callable[[str], str]
"""From a cell to the JSON of its value, `null` for an empty one."""


def fragments(csv_map: CsvMap) -> dict[str, Fragment]:
    """How the cells of an event's result are read, by the result's field. Each remembers some thousand cells."""
    number = numbers(csv_map)
    return {
        "completion": _remembering(_yes_or_no),
        "success": _remembering(_yes_or_no),
        "score": _remembering(lambda cell: _share(cell, number, csv_map.score_scale, "--score-scale")),
        "duration_s": _remembering(lambda cell: _duration(cell, number, csv_map.duration_unit)),
        "progress": _remembering(lambda cell: _share(cell, number, csv_map.progress_scale, "--progress-scale")),
    }


def _remembering(read: Callable[[str], object]) -> Fragment:
    @lru_cache(_REMEMBERED)
    def fragment(cell: str) -> str:
        cell = cell.strip()
        return to_json(read(cell)).decode() if cell else "null"

    return fragment


def _yes_or_no(cell: str) -> bool:
    word = cell.lower()
    if word not in _TRUE and word not in _FALSE:
        raise ValueError(f"{cell!r} is neither yes nor no; write true or false, yes or no, 1 or 0")
    return word in _TRUE


def _decimal_comma(cell: str) -> float:
    if "." in cell:
        raise ValueError(f"{cell!r} has a point where --decimal comma expects a comma")
    try:
        return _plain(cell.replace(",", ".", 1))
    except ValueError:
        raise ValueError(f"{cell!r} is not a number") from None


def _share(cell: str, number: Callable[[str], float], scale: tuple[float, float], option: str) -> float:
    """The cell's place between the ends of its scale, 0 to 1. `80%` is 0.8 on any scale."""
    low, high = (0.0, 100.0) if cell.endswith("%") else scale
    value = number(cell.removesuffix("%").rstrip())
    if not low <= value <= high:
        raise ValueError(f"{cell!r} lies outside the scale from {low:g} to {high:g}; give {option}, for example {option} 100")
    return (value - low) / (high - low)


def _duration(cell: str, number: Callable[[str], float], unit: str) -> float:
    """Seconds. An ISO 8601 duration (PT1H30M) is read whatever the unit."""
    found = _ISO_DURATION.fullmatch(cell) if cell.startswith("P") else _HMS.fullmatch(cell) if unit == "hms" else None
    if found:
        return sum(float(part or 0) * size for part, size in zip(found.groups(), _PARTS[len(found.groups())], strict=True))
    if unit == "hms":
        raise ValueError(f"{cell!r} is not a duration like 1:30:00")
    value = number(cell) * _SECONDS[unit]
    if not 0 <= value < 1e12:
        raise ValueError(f"{cell!r} is no duration: it must be 0 or more")
    return value


_PARTS: Final = {3: (3600.0, 60.0, 1.0), 4: (86_400.0, 3600.0, 60.0, 1.0)}
