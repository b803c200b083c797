"""What is said to learners, in their language: sentences from a table for each language, with dates and numbers in its form."""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Final

from serving.cards.text import clean, shorten

LANGUAGES: Final = ("en", "de", "fr", "es")
"""What there are tables for; the first stands in for every other language."""
MAX_NAME: Final = 100
"""Length of a title or name within a sentence."""
_TABLES: Final = Path(__file__).parent / "languages"

Value = str | float | date


class Words:
    """The sentences of one language. `zone`: in which moments are told."""

    def __init__(self, language: str, zone: tzinfo = UTC) -> None:
        self.language, self._zone = language, zone
        self._table = table(language)

    def say(self, part: str, name: str, **values: Value) -> str:
        """The sentence `name` of a part (`why`), with the values in it; texts are cleaned and shortened."""
        return str(self._table[part][name]).format(**{key: self._told(value) for key, value in values.items()})

    def _told(self, value: Value) -> str:
        if isinstance(value, str):
            return shorten(clean(value), MAX_NAME)
        if isinstance(value, datetime):
            there, form = value.astimezone(self._zone), self._table["form"]
            return str(form["moment"]).format(date=self._day(there), hour=f"{there:%H}", minute=f"{there:%M}")
        return self._day(value) if isinstance(value, date) else f"{value:.3g}".replace(".", self._table["form"]["decimal"])

    def _day(self, day: date) -> str:
        form = self._table["form"]
        return str(form["day"]).format(
            weekday=form["weekdays"][day.weekday()],
            day=form["first"] if day.day == 1 else day.day,
            month=form["months"][day.month - 1],
            year=day.year,
        )


def language_of(wanted: Iterable[str]) -> str:
    """The first of the wanted languages (`fr`, `pt-BR`) that there is a table for."""
    return next((found for one in wanted if (found := one.partition("-")[0].lower()) in LANGUAGES), LANGUAGES[0])


@cache
def table(language: str) -> Mapping[str, Any]:
    """All of a language, by part and name."""
    return tomllib.loads((_TABLES / f"{language}.toml").read_text("utf-8"))
