"""Reads exported xAPI statements: JSON lines with one statement each, an array of them, or an LRS's answer (`statements`).

A statement that a later one of the same file voids is left out, as is the voiding one: what was taken back never happened.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from features.events import Event
from features.readers.base import EventRows, Import, Located, Reading, Refusal, explain, json_rows
from features.xapi.meaning import NotUnderstood, event
from features.xapi.statement import Statement

_FEW = 10


def read(path: Path, given: Import) -> Reading:
    """All statements of a file as backfilled events; notes count what was valid and is no event, by reason."""
    notes: list[str] = []
    return Reading(iter(()), _events(path, given, notes), notes, [path])


def _events(path: Path, given: Import, notes: list[str]) -> EventRows:
    left: Counter[str] = Counter()
    voided = _voided(_statements(path))
    for located in _statements(path):
        if isinstance(located, Refusal):
            yield located
            continue
        read = _event(located, given, voided, left)
        if read is not None:
            yield read
    notes.extend(f"left out, {count:,} times: {why}" for why, count in left.most_common(_FEW))
    if len(left) > _FEW:
        notes.append(f"{sum(left.values()) - sum(count for _, count in left.most_common(_FEW)):,} more for other reasons")


def _event(
    located: Located[dict[str, Any]], given: Import, voided: set[str], left: Counter[str]
) -> Located[Event] | Refusal | None:
    try:
        statement = Statement.model_validate_json(json.dumps(located.row))
        if statement.id is None:
            return located.refuse("id", "the statement has no id: an exported one has")
        if statement.voids is not None or statement.id in voided:
            left["they void others" if statement.voids is not None else "they are voided"] += 1
            return None
        found = event(statement, tenant=given.tenant, recorded_at=given.now, known=given.known.__contains__, backfill=True)
    except ValidationError as error:
        return located.refuse(*explain(error))
    if isinstance(found, NotUnderstood):
        left[f"{found.what}{': ' if found.which else ''}{found.which}"] += 1
        return None
    return Located(located.file, located.line, found)


def _voided(rows: Iterable[Located[dict[str, Any]] | Refusal]) -> set[str]:
    """Ids of the statements that valid ones of these void."""
    found = set()
    for row in rows:
        if isinstance(row, Located) and isinstance(row.row.get("verb"), dict) and "voided" in str(row.row["verb"].get("id")):
            try:
                found.add(Statement.model_validate_json(json.dumps(row.row)).voids)
            except ValidationError:
                continue  # refused, with its reason, where the rows are read
    return {one for one in found if one is not None}


def _statements(path: Path) -> Iterator[Located[dict[str, Any]] | Refusal]:
    if not path.is_file() or _is_lines(path):
        yield from json_rows(path)
        return
    try:
        found = json.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode())
    except (ValueError, RecursionError) as error:
        yield Refusal(path.name, 0, "", f"broken JSON: {error}")
        return
    rows = found.get("statements") if isinstance(found, dict) else found
    if not isinstance(rows, list):
        yield Refusal(path.name, 0, "statements", "an array of statements is expected")
        return
    for number, row in enumerate(rows, start=1):
        if isinstance(row, dict):
            yield Located(path.name, number, row)
        else:
            yield Refusal(path.name, number, "", f"a statement in braces is expected, not {type(row).__name__}")


def _is_lines(path: Path) -> bool:
    """Whether each line is an object of its own: the first that is not blank can be read alone, and is no answer of an LRS."""
    with path.open("rb") as lines:
        first = next((line for line in lines if line.strip()), b"")
    try:
        found = json.loads(first.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "statements" not in found
