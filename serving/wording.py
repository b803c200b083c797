"""Titles of rows and reasons of items, in the learner's language: a table of sentences for each language that there is."""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = ("en", "de", "fr", "es")
"""What there are tables for; the first stands in for every other language."""
_TABLES: Final = Path(__file__).parent / "languages"


class Wording:
    """The sentences of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._table = table(language)

    def row(self, name: str, /, **values: str) -> str:
        """The title of a row."""
        return self._said("row", name, values)

    def reason(self, name: str, /, **values: str) -> str:
        """A reason of an item."""
        return self._said("reason", name, values)

    def about(self, name: str) -> str:
        """What a feature of an item is about, within a reason."""
        return self._said("about", name, {})

    def number(self, value: float, digits: int) -> str:
        """A number of so many digits, with this language's decimal sign."""
        return f"{value:.{digits}g}".replace(".", self._table["decimal"])

    def _said(self, part: str, name: str, values: Mapping[str, str]) -> str:
        found = str(self._table[part][name])
        return found.format(**values) if values else found


@cache
def wording(language: str) -> Wording:
    """The sentences of a language that there is a table for."""
    return Wording(language)


def spoken(wanted: Iterable[str]) -> Wording:
    """The sentences of the first of the wanted languages (`fr`, `pt-BR`) that there is a table for, else the English ones."""
    found = (one.partition("-")[0].lower() for one in wanted)
    return wording(next((one for one in found if one in LANGUAGES), LANGUAGES[0]))


@cache
def table(language: str) -> Mapping[str, Any]:
    """All of a language, by part and name."""
    return tomllib.loads((_TABLES / f"{language}.toml").read_text("utf-8"))


ENGLISH: Final = wording("en")
