"""The catalogue as a bundle's file: one JSON object of three lists, read a row at a time."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from features.catalogue import Catalogue, Item, Role, Skill, canonical_json
from features.pieces import in_pieces

_DECODER: Final = json.JSONDecoder()
_GAP: Final = re.compile(r"[ \t\n\r]*")
_KINDS: Final[dict[str, type[Item] | type[Role] | type[Skill]]] = {"items": Item, "roles": Role, "skills": Skill}


def catalogue_text(catalogue: Catalogue) -> str:
    """The rows as canonical JSON, in the order they have: equal catalogues give equal bytes."""
    body = {
        "items": [json.loads(canonical_json(row)) for row in catalogue.items.values()],
        "skills": [json.loads(canonical_json(row)) for row in catalogue.skills.values()],
        "roles": [json.loads(canonical_json(row)) for row in catalogue.roles.values()],
    }
    return json.dumps(body, ensure_ascii=False, sort_keys=True)


def catalogue_of(text: str) -> Catalogue:
    """The catalogue of a text. Reading it whole would hold the interpreter's lock for as long as that takes.

    Errors: ValueError (one of pydantic as well), TypeError, KeyError, AttributeError, RecursionError where it is none.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind, row in in_pieces(_rows(text), every=20):
        rows = found.setdefault(kind, {})
        if row is not None:
            rows[row["id"]] = _KINDS[kind].model_validate(row)
    return Catalogue(items=found["items"], skills=found["skills"], roles=found["roles"])


def _rows(text: str) -> Iterator[tuple[str, Any]]:
    """Each row of an object of lists, with the list's name; before those of a list, None."""
    at, more = _after(text, 0, "{"), True
    while more:
        name, at = _value(text, at)
        yield name, None
        at = _after(text, _after(text, at, ":"), "[")
        if not (rows := _peek(text, at) != "]"):
            at = _after(text, at, "]")
        while rows:
            row, at = _value(text, at)
            yield name, row
            rows, at = _goes_on(text, at, "]")
        more, at = _goes_on(text, at, "}")
    if _peek(text, at):
        raise ValueError(f"more text after the catalogue, at character {at}")


def _value(text: str, at: int) -> tuple[Any, int]:
    return _DECODER.raw_decode(text, _begins(text, at))


def _peek(text: str, at: int) -> str:
    at = _begins(text, at)
    return text[at : at + 1]


def _begins(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return at if gap is None else gap.end()


def _after(text: str, at: int, mark: str) -> int:
    if (found := _peek(text, at)) != mark:
        raise ValueError(f"{found!r} at character {at} where {mark!r} is to be")
    return _begins(text, at) + 1


def _goes_on(text: str, at: int, end: str) -> tuple[bool, int]:
    """Whether a comma comes next, else `end` must; and where what follows begins."""
    goes_on = _peek(text, at) == ","
    return goes_on, _after(text, at, "," if goes_on else end)
