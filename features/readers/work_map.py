"""Which rows of a work system show which skill: a TOML file of columns and rules, checked before any row is read."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from features.catalogue import Level
from features.events import Id
from features.readers.csv_map import CsvMap, MapError

TEXT: Final = ("separator", "encoding", "timezone", "time_format", "decimal")
"""How the file is written: as in a map of a CSV file."""
_WORDS: Final = {"missing": "is missing", "extra_forbidden": "is unknown"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Bounds(_Part):
    """Between which numbers a cell must lie."""

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("say at_least, at_most, above or below")
        return self

    def hold(self, number: float) -> bool:
        """Whether a number lies between them."""
        return (
            (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )


def _kind(said: object) -> str:
    return "words" if isinstance(said, tuple) else "bounds"


Condition = Annotated[Annotated[tuple[str, ...], Tag("words")] | Annotated[Bounds, Tag("bounds")], Discriminator(_kind)]


class Rule(_Part):
    """A row that meets every condition of `when` shows the skill, at `level` where one is given.

    A condition is by column: one word or several of which the cell must be one (in any case), or bounds of a number.
    """

    skill: Id
    level: Level | None = None
    when: Mapping[str, Condition] = Field(min_length=1)

    @field_validator("when", mode="before")
    @classmethod
    def _conditions(cls, given: Any) -> Any:
        return {column: _condition(column, said) for column, said in given.items()} if isinstance(given, dict) else given


def _condition(column: str, said: Any) -> Any:
    words = [said] if isinstance(said, str) else said
    if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
        return tuple(word.strip().casefold() for word in words)
    if not isinstance(said, dict):
        raise ValueError(f'{column}: write "Word", ["One", "Other"], or bounds such as {{ at_least = 3 }}, not {said!r}')
    return said


class Columns(_Part):
    """Which column says who did it, which row it is, and when it was done."""

    learner: str = Field(min_length=1)
    row: str = Field(min_length=1)
    time: str = Field(min_length=1)


class WorkMap(_Part):
    """`system` names where rows come from; with a row's id and the skill it names the evidence, which so comes once only.

    `learner_is`: whether the column holds ids (or aliases as they stand), or mailboxes, known as the alias `mailto:NAME@HOST`.
    `text`: how the file is written.
    """

    system: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]
    learner_is: Literal["id", "mailbox"] = "id"
    columns: Columns
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]
    text: CsvMap = Field(default_factory=CsvMap)

    def read_columns(self) -> Iterator[str]:
        """Every column that is looked at, each once."""
        named = [*self.columns.model_dump().values(), *(column for rule in self.rules for column in rule.when)]
        yield from dict.fromkeys(named)


def read_work_map(file: Path, flags: Mapping[str, Any] | None = None) -> WorkMap:
    """The map of a TOML file; a flag of `TEXT` that is given wins. MapError says what is wrong, and where."""
    try:
        body = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MapError(f"{file}: cannot be read as TOML: {error}") from None
    if "text" in body:
        raise MapError(f"{file}: text: is unknown; write {', '.join(TEXT)} without a section")
    text: dict[str, Any] = {name: body.pop(name) for name in TEXT if name in body}
    text |= {name: value for name, value in (flags or {}).items() if name in TEXT and value}
    try:
        return WorkMap.model_validate(body | {"text": CsvMap.model_validate(text)})
    except ValidationError as error:
        raise MapError(f"{file}: {_said(error, body)}") from None


def _said(error: ValidationError, body: Mapping[str, Any]) -> str:
    """The first thing that is wrong: `rule 2 (negotiation): level: ...`."""
    found = error.errors(include_url=False)[0]
    loc, words = [*map(str, found["loc"])], found["msg"].removeprefix("Value error, ")
    words = _WORDS.get(found["type"], words)
    if len(loc) > 1 and loc[0] == "rules":
        rule = body["rules"][int(loc[1])]
        skill = f" ({rule['skill']})" if isinstance(rule, dict) and "skill" in rule else ""
        loc = [f"rule {int(loc[1]) + 1}{skill}", *loc[2:4], *loc[5:]]  # the fifth is the kind of a condition
    return ": ".join([*loc, words])
