"""Repairs of statements as known emitters send them, for keys in compat mode; each repair is named, so that it can be counted.

What is repaired is what LMS plugins were seen to send and the standard refuses: Moodle's (empty values, account names as
numbers, languages such as en_us), Open edX's (activities called GroupActivity, scores of 0 out of 0, bare UUIDs as openid),
H5P's (interactions called compound), and those of authoring tools (spaces in an activity's IRI, points beyond the maximum,
actors of version 0.9, durations of SCORM, ids in braces, outcomes as texts, names without their language).
"""

import json
import operator
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from features.xapi.activities import INTERACTIONS
from features.xapi.repair_agents import in_one, one_identifier
from features.xapi.values import is_language

Body = dict[str, Any]
ACTIVITY_TYPES: Final = frozenset({"activity", "groupactivity"})
_TYPES: Final = {name.lower(): name for name in ("Activity", "Agent", "Group", "StatementRef", "SubStatement")}
_LISTED: Final = ("parent", "grouping", "category", "other")
_NAMED: Final = ("name", "description", "display")  # language maps
_OUTCOMES: Final = frozenset({"success", "completion", "response"})
_LISTS: Final = frozenset(name for lists in INTERACTIONS.values() for name in lists)
_DESCRIBED: Final = frozenset({"verb", "definition", "attachments", *_LISTS})
_ANSWERS: Final = ("correctResponsesPattern", *sorted(_LISTS))
_IRIS: Final = frozenset({"id", "type", "moreInfo", "homePage"})
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NOT_IN_IRI: Final = re.compile(r"[\s<>\"{}|\\^`\x00-\x1f\x7f]")
_MAILTO: Final = re.compile(r"(?:mailto:)?\s*([^\s@<>:]+@[^\s@<>]+)", re.IGNORECASE)
_PRESERVED: Final = "extensions"  # whatever stands there is the emitter's own
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)?")
_TIMESPAN: Final = re.compile(r"(\d{1,4}):(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_BARE: Final = re.compile(_UUID)
_DRESSED: Final = re.compile(rf"\{{({_UUID})\}}|urn:uuid:({_UUID})", re.IGNORECASE)
DRESSED_ID: Final = "statement id in braces or with urn:uuid:"


def repaired(statement: Body) -> tuple[Body, list[str]]:
    """The statement as the standard wants it, and the name of each repair that it took (none: it is what was given)."""
    done: list[str] = []
    found = _object(statement, done, within="")
    return (found, done) if done else (statement, [])


def _object(given: Mapping[str, Any], done: list[str], *, within: str) -> Body:
    found: Body = {}
    for name, value in in_one(given, done).items():
        if name == _PRESERVED:
            if value:
                found[name] = value
            else:
                done.append("empty value left out")
            continue
        own = None if value in (None, "", [], {}) else _value(name, value, done, within)
        if own is None or own == {}:
            done.append("empty value left out")
            continue
        found[name] = own
    _of_place(found, done, within)
    return found


def _value(name: str, value: Any, done: list[str], within: str) -> Any:
    if name in _OUTCOMES and within == "result":
        return _outcome(name, value, done)
    if isinstance(value, str) and name in _NAMED and within in _DESCRIBED:
        done.append("text without its language")
        return {"und": value}
    if isinstance(value, Mapping):
        if name in _NAMED:
            return _languages(value, done)
        if within == "contextActivities" and name in _LISTED:
            return [_object(value, done, within=name)]
        return _object(value, done, within=name)
    if isinstance(value, list):
        given = [one for one in value if one is not None]
        done.extend(["empty value left out"] * (len(value) - len(given)))
        return [_object(one, done, within=name) if isinstance(one, Mapping) else one for one in given]
    if name == "objectType" and isinstance(value, str):
        return _object_type(value, done)
    if name == "language" and isinstance(value, str):
        return _language(value, done)
    if name == "mbox" and isinstance(value, str):
        return _mailbox(value, done)
    if name in _IRIS and within not in _LISTS and isinstance(value, str):
        return _iri(value, done)
    if name == "openid" and isinstance(value, str) and _BARE.fullmatch(value):
        done.append("openid that is no IRI")
        return f"urn:uuid:{value.lower()}"
    if name == "duration" and within == "result":
        return _duration(value, done)
    return value


def _of_place(found: Body, done: list[str], within: str) -> None:
    """What can be told only from several fields of an object."""
    one_identifier(found, done)
    if within == "" or found.get("objectType") == "StatementRef":
        _bare_id(found, "id", done)
    if within == "context":
        _bare_id(found, "registration", done)
    if within == "account" and isinstance(found.get("name"), int) and not isinstance(found["name"], bool):
        found["name"] = str(found["name"])
        done.append("account name as a number")
    if within == "score":
        _score(found, done)
    if within == "definition":
        _interaction(found, done)
    if within == "" and isinstance(found.get("version"), str) and not re.fullmatch(r"[12]\.0(?:\.\d+)?", found["version"]):
        del found["version"]
        done.append("version that is not spoken left out")


def _interaction(definition: Body, done: list[str]) -> None:
    """Answers that do not fit their interaction: neither they nor its kind say what the learner did."""
    kind = definition.get("interactionType")
    wrong = [name for name in _ANSWERS if name in definition]
    if isinstance(kind, str) and kind in INTERACTIONS:
        wrong = [name for name in wrong if name in _LISTS and name not in INTERACTIONS[kind]]
    elif kind is not None:
        wrong.append("interactionType")
    for name in wrong:
        del definition[name]
    if wrong:
        done.append("interaction of another kind left out")


def _outcome(name: str, value: Any, done: list[str]) -> Any:
    """`success` and `completion` as the words true and false; a response that is no text, as JSON writes it."""
    if name == "response" and not isinstance(value, str):
        done.append("response that is no text")
        return json.dumps(value, ensure_ascii=False)
    if name != "response" and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        done.append("true or false as a text")
        return value.strip().lower() == "true"
    return value


def _duration(value: Any, done: list[str]) -> Any:
    """Seconds alone, and what SCORM 1.2 calls a timespan (`0000:12:34.5`), as ISO 8601 writes them."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    text = f"{value:f}".rstrip("0").rstrip(".") if number and isinstance(value, float) else str(value).strip()
    if (number or isinstance(value, str)) and _NUMBER.fullmatch(text):
        done.append("duration as a number of seconds")
        return f"PT{text}S"
    if isinstance(value, str) and (span := _TIMESPAN.fullmatch(text)):
        done.append("duration as SCORM writes it")
        return f"PT{int(span[1])}H{int(span[2])}M{span[3]}S"
    return value


def _bare_id(found: Body, name: str, done: list[str]) -> None:
    value = found.get(name)
    if isinstance(value, str) and (plain := plain_uuid(value)) != value:
        found[name] = plain
        done.append(DRESSED_ID)


def plain_uuid(text: str) -> str:
    """The UUID of `{UUID}` or `urn:uuid:UUID`; any other text as it is."""
    dressed = _DRESSED.fullmatch(text.strip())
    return text if dressed is None else dressed[1] or dressed[2]


def _mailbox(value: str, done: list[str]) -> str:
    found = _MAILTO.fullmatch(value.strip())
    wanted = value if found is None else f"mailto:{found[1]}"
    if wanted != value:
        done.append("mbox written otherwise" if ":" in value else "mbox without mailto:")
    return wanted


def _iri(value: str, done: list[str]) -> str:
    wanted = value.strip()
    if _SCHEME.match(wanted):
        wanted = _NOT_IN_IRI.sub(lambda found: quote(found[0]), wanted)
    if wanted != value:
        done.append("IRI with spaces or the like")
    return wanted


def _score(score: Body, done: list[str]) -> None:
    for name in ("scaled", "raw", "min", "max"):
        if isinstance(score.get(name), str) and re.fullmatch(r"-?\d+(?:\.\d+)?", score[name]):
            score[name] = float(score[name])
            done.append("score as a text")
    low, high, scaled = score.get("min"), score.get("max"), score.get("scaled")
    if _both(low, high) and low >= high:  # type: ignore[operator]
        score.clear()
        done.append("score out of nothing left out")
    elif _both(scaled, scaled) and not -1 <= scaled <= 1:  # type: ignore[operator]
        del score["scaled"]
        done.append("scaled score beyond 1 left out")
    raw = score.get("raw")
    for end, beyond in (("min", operator.lt), ("max", operator.gt)):
        if _both(raw, score.get(end)) and beyond(raw, score[end]):  # type: ignore[arg-type]
            score["raw"] = score[end]
            done.append("raw score beyond its ends capped")


def _both(one: Any, other: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))


def _object_type(value: str, done: list[str]) -> str:
    lower = value.lower()
    wanted = "Activity" if lower in ACTIVITY_TYPES else _TYPES.get(lower, value)
    if wanted != value:
        done.append("objectType GroupActivity" if lower == "groupactivity" else "objectType in other letters")
    return wanted


def _language(value: str, done: list[str]) -> str:
    """The longest beginning that is a tag: `en-us` of `en_us_k12`; `und` (undetermined) where none is."""
    if is_language(value):
        return value
    done.append("language with an underscore" if "_" in value else "language that is no tag")
    parts = value.replace("_", "-").split("-")
    while parts and not is_language("-".join(parts)):
        parts.pop()
    return "-".join(parts) or "und"


def _languages(value: Mapping[str, Any], done: list[str]) -> Body:
    found: Body = {}
    for name, text in value.items():
        if text is None:
            done.append("empty value left out")
            continue
        found[_language(name, done)] = text
    return found
