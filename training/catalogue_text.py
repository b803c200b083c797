"""The catalogue as a bundle's file: one JSON object of three lists, read a row at a time."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from features.catalogue import Catalogue, Item, Role, Skill, canonical_json
from features.pieces import in_pieces

_DECODER: Final = json.JSONDecoder()
_MARK: Final = re.compile(r"[ \t\n\r]*([^ \t\n\r])[ \t\n\r]*")
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
    at, mark = _after(text, 0, "{"), ","
    while mark == ",":
        name, at = _DECODER.raw_decode(text, at)
        yield name, None
        at = _after(text, _after(text, at, ":"), "[")
        mark, after = _mark(text, at)
        if mark == "]":
            at = after
        else:
            mark = ","
        while mark == ",":
            row, at = _DECODER.raw_decode(text, at)
            yield name, row
            mark, at = _mark(text, at)
        _expect("]", mark, at)
        mark, at = _mark(text, at)
    _expect("}", mark, at)
    if at < len(text):
        raise ValueError(f"more text after the catalogue, at character {at}")


def _mark(text: str, at: int) -> tuple[str, int]:
    """The next character that is no gap, "" at the end; and where what follows begins."""
    found = _MARK.match(text, at)
    return ("", at) if found is None else (found[1], found.end())


def _after(text: str, at: int, wanted: str) -> int:
    mark, at = _mark(text, at)
    _expect(wanted, mark, at)
    return at


def _expect(wanted: str, mark: str, at: int) -> None:
    if mark != wanted:
        raise ValueError(f"{mark!r} before character {at}, where {wanted!r} is to be")
