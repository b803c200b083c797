"""What the columns of a CSV file mean: which field each one is, and how its times, numbers and words are written.

Said by flags, by a TOML file, or by both, where the flags win.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from features.events import Verb
from features.readers.base import zone
from features.readers.csv_text import ENCODINGS, SEPARATORS

CONTEXT: Final = "context."
"""`context.NAME` is a field too: the column's text stands in the event's context under NAME."""
REQUIRED: Final = ("learner_id", "object_id", "occurred_at")
FIELDS: Final = (
    *REQUIRED,
    "verb",
    "event_id",
    "recorded_at",
    "decision_id",
    "score",
    "progress",
    "duration",
    "completion",
    "success",
)
NAMED_TIMES: Final = ("iso", "epoch-s", "epoch-ms")
_SEPARATOR_NAMES: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|"}

Unit = Literal["ms", "s", "min", "h", "hms"]
"""Units of a duration; `hms` is h:mm:ss or mm:ss."""


class MapError(ValueError):
    """The map itself is wrong, whatever the file holds."""


class CsvMap(BaseModel):
    """`columns` maps a field to the file's column. `constant` is a verb for every row, `verbs` maps the file's words.

    `score_scale` and `progress_scale` are the lowest and highest value in the file. `separator` None: found in the header.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Mapping[str, str] = Field(default_factory=dict)
    constant: Verb | None = Field(default=None, alias="verb")
    verbs: Mapping[str, Verb] = Field(default_factory=dict)
    separator: str | None = None
    encoding: str = "utf-8"
    timezone: str | None = None
    time_format: str = "iso"
    decimal: Literal["point", "comma"] = "point"
    score_scale: tuple[float, float] = (0, 1)
    progress_scale: tuple[float, float] = (0, 1)
    duration_unit: Unit = "s"
    source: str = Field(default="csv", min_length=1, max_length=64, pattern=r"^[ -~]+$")

    @field_validator("columns")
    @classmethod
    def _known_fields(cls, columns: Mapping[str, str]) -> Mapping[str, str]:
        unknown = [name for name in columns if name not in FIELDS and not re.fullmatch(r"context\.\S+", name)]
        if unknown:
            raise ValueError(f"unknown field {unknown[0]!r}; fields: {', '.join(FIELDS)}, context.NAME")
        if sum(name.startswith(CONTEXT) for name in columns) > 32:
            raise ValueError("more than 32 context columns")
        return {name: column.strip() for name, column in columns.items()}

    @field_validator("separator")
    @classmethod
    def _one_character(cls, separator: str | None) -> str | None:
        found = None if separator is None else _SEPARATOR_NAMES.get(separator, separator)
        if found is not None and (len(found) != 1 or found in '"\r\n\0'):
            raise ValueError(f"{separator!r} is no separator; write one character, or {', '.join(SEPARATORS.values())[2:]}")
        return found

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        name = encoding.lower().replace("_", "-")
        if name not in ENCODINGS:
            raise ValueError(f"unknown encoding {encoding!r}; known: {', '.join(ENCODINGS)}")
        return name

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        zone(name)
        return name

    @field_validator("time_format")
    @classmethod
    def _known_times(cls, pattern: str) -> str:
        if pattern not in NAMED_TIMES and "%" not in pattern:
            raise ValueError(f"{pattern!r}: write {', '.join(NAMED_TIMES)} or a pattern such as '%d/%m/%Y %H:%M'")
        return pattern

    @field_validator("score_scale", "progress_scale", mode="before")
    @classmethod
    def _from_text(cls, scale: Any) -> Any:
        """`100` is 0-100; `1-5` is from 1 to 5."""
        if not isinstance(scale, str):
            return scale if isinstance(scale, list | tuple) else (0, scale)
        found = re.fullmatch(r"(?:(-?[\d.]+)-)?([\d.]+)", scale.strip())
        if not found:
            raise ValueError(f"{scale!r} is no scale; write its highest value (100), or both ends (1-5)")
        return (found[1] or 0, found[2])

    @model_validator(mode="after")
    def _sensible(self) -> "CsvMap":
        for low, high in (self.score_scale, self.progress_scale):
            if not low < high < float("inf"):
                raise ValueError(f"a scale from {low:g} to {high:g} is no scale: the second must be higher")
        if self.constant and "verb" in self.columns:
            raise ValueError("the verb is given twice: as a column and as a constant")
        return self

    def completed(self, header: Sequence[str]) -> "CsvMap":
        """The map with each field that has no column yet on the column of its own name, where the header has one."""
        own = {name: name for name in FIELDS if name in header and not (name == "verb" and self.constant)}
        return self.model_copy(update={"columns": {**own, **self.columns}})


def read_map(file: Path | None, flags: Mapping[str, Any]) -> CsvMap:
    """The map of a TOML file and of flags; a flag that is None or empty says nothing. MapError says what is wrong."""
    given = _toml(file) if file else {}
    for name, value in flags.items():
        if isinstance(value, Mapping):
            given[name] = {**given.get(name, {}), **value}
        elif value is not None:
            given[name] = value
    try:
        return CsvMap.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(map(str, found["loc"]))
        words = found["msg"].removeprefix("Value error, ")
        where = f"{file}: " if file else ""
        raise MapError(f"{where}{place}: {words}" if place else f"{where}{words}") from None


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """`a=b` texts as a dictionary; MapError for another shape and for a name given twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise MapError(f"{option} {text!r}: write NAME=VALUE, for example {option} {_EXAMPLES[option]}")
        if name.strip() in found:
            raise MapError(f"{option} {text!r}: {name.strip()!r} is given twice")
        found[name.strip()] = value.strip()
    return found


_EXAMPLES: Final = {"--map": "'learner_id=User ID'", "--verb-map": "finished=completed"}


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MapError(f"{file}: cannot be read as TOML: {error}") from None
