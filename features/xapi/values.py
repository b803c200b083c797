"""The values that statements are made of: IRIs, language maps, times, durations, ids, by the rules of xAPI 1.0.3 and 2.0.

Sources: ADL, xAPI-Data.md 1.0.3, sections 2 and 4; IEEE 9274.1.1-2023; RFC 3987 (IRI), RFC 5646 (language tags), ISO 8601.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, JsonValue, WrapValidator
from pydantic_core import core_schema

_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x1f\x7f]+")
_MAILTO = re.compile(r"mailto:[^\s@<>]+@[^\s@<>]+")
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_LANGUAGE = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4}|[a-z]{5,8})"  # language, extended language
    r"(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"  # script, region
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"  # variants
    r"(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"  # extensions, private use
    r"|x(?:-[a-z0-9]{1,8})+|i-[a-z]{2,8}|art-lojban|zh-(?:guoyu|hakka|min|min-nan|xiang)",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?P<zone>[Zz]|[+-]\d{2}(?::?\d{2})?)?"
    r"|\d{8}T\d{6}(?:[.,]\d+)?(?P<zone_basic>Z|[+-]\d{2}(?:\d{2})?)?"
)
_MIDNIGHT = re.compile(r"(.{8}|.{10})([Tt ])24(:00(?::00(?:[.,]0+)?)?|0000(?:[.,]0+)?)(?=[Zz+-]|$)")
"""The end of a day as ISO 8601 allows it: 24 hours and nothing more."""
_LEAP = re.compile(r"(.{10}[Tt ]\d{2}:\d{2}:|\d{8}T\d{4})60(?=[.,Zz+-]|$)")
"""The 60th second, which RFC 3339 allows where a leap second was put in."""
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+(?:[.,]\d+)?)W"
    r"|(?=\d|T\d)(?:(?P<years>\d+(?:[.,]\d+)?)Y)?(?:(?P<months>\d+(?:[.,]\d+)?)M)?(?:(?P<days>\d+(?:[.,]\d+)?)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+(?:[.,]\d+)?)H)?(?:(?P<minutes>\d+(?:[.,]\d+)?)M)?(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?)"
)
_SECONDS = {
    **{"years": 365.25 * 86_400, "months": 365.25 / 12 * 86_400, "weeks": 7 * 86_400, "days": 86_400},
    **{"hours": 3_600, "minutes": 60, "seconds": 1},
}
MOST_CHARACTERS = 2_048
"""Of an IRI: longer ones are refused, for no activity needs them and every index would hold them."""


class Strict(BaseModel):
    """An object that may hold its own fields and no other; null stands for nothing and is refused, as the standard says."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True, populate_by_name=True)


def _matching(pattern: re.Pattern[str], what: str) -> Any:
    def check(value: str) -> str:
        if len(value) > MOST_CHARACTERS:
            raise ValueError(f"{value[:60]!r}... has {len(value):,} characters; the most are {MOST_CHARACTERS:,}")
        if pattern.fullmatch(value) is None:
            raise ValueError(f"{value[:60]!r} is {what}")
        return value

    return AfterValidator(check)


def _not_null(value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
    if value is None:
        raise ValueError("null is no value: leave the field out")
    return handler(value)


Given = WrapValidator(_not_null)
"""A field that may be left out and may not be null."""


def _array(value: Any) -> Any:
    if isinstance(value, list):  # what JSON gives, where a choice of types has read it already
        return tuple(value)
    if isinstance(value, tuple):
        return value
    raise ValueError("an array is expected here")


Array = BeforeValidator(_array)
"""A tuple, given as an array of JSON."""

Iri = Annotated[str, _matching(_IRI, "no absolute IRI (a scheme, a colon, and no spaces)")]
Mailto = Annotated[str, _matching(_MAILTO, "no mailto IRI (mailto:NAME@HOST)")]
Sha1 = Annotated[str, _matching(_SHA1, "no SHA-1 in hexadecimal (40 digits)")]
Uuid = Annotated[str, _matching(_UUID, "no UUID"), AfterValidator(str.lower)]
Language = Annotated[str, _matching(_LANGUAGE, "no language tag of RFC 5646 (such as en or en-GB)")]
LanguageMap = dict[Language, str]
Extensions = dict[Iri, JsonValue]


def is_language(text: str) -> bool:
    """Whether a text is a language tag of RFC 5646."""
    return _LANGUAGE.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID, in either case."""
    return _UUID.fullmatch(text) is not None


def moment(text: str) -> datetime:
    """The instant of an ISO 8601 time, in UTC; without a zone it is taken for UTC. Errors: ValueError.

    A zone of -00:00 says that the zone is not known, which both versions refuse. 24:00:00 is the day's end (ISO 8601), and a
    leap second (RFC 3339) counts as the one after it.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:60]!r} is no time of ISO 8601 (such as 2026-01-31T09:30:00Z)")
    zone = (found["zone"] or found["zone_basic"] or "").replace(":", "")
    if zone in ("-00", "-0000"):
        raise ValueError(f"{text[:60]!r} has the zone -00:00, which names none")
    midnight, leap = _MIDNIGHT.match(text), _LEAP.match(text)
    ordinary = _MIDNIGHT.sub(r"\1\g<2>00\3", text) if midnight else _LEAP.sub(r"\g<1>59", text) if leap else text
    value = datetime.fromisoformat(ordinary.replace(",", ".").upper().replace(" ", "T"))
    value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if leap and not _ends_half_a_year(value):
        raise ValueError(f"{text[:60]!r} is no leap second: those end 30 June or 31 December (UTC)")
    return value + timedelta(days=1) if midnight else value + timedelta(seconds=1) if leap else value


def _ends_half_a_year(value: datetime) -> bool:
    return (value.month, value.day, value.hour, value.minute) in ((6, 30, 23, 59), (12, 31, 23, 59))


def _is_moment(text: str) -> str:
    try:
        moment(text)
    except OverflowError as error:
        raise ValueError(f"{text[:60]!r} lies outside the years 1 to 9999") from error
    return text


Time = Annotated[str, AfterValidator(_is_moment)]


def seconds(duration: str) -> float:
    """Seconds of an ISO 8601 duration, a year as 365.25 days and a month as its twelfth. Errors: ValueError."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration[:60]!r} is no duration of ISO 8601 (such as PT1H30M)")
    return sum(float(value.replace(",", ".")) * _SECONDS[name] for name, value in found.groupdict().items() if value)


def _is_duration(text: str) -> str:
    seconds(text)
    return text


Duration = Annotated[str, AfterValidator(_is_duration)]
