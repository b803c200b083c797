"""Reads a folder of JSON lines (or one file of events) whose fields are those of the models, one object a line."""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from features.catalogue import KINDS
from features.events import Event, row_event_id
from features.readers.base import (
    CatalogueRows,
    EventRows,
    Import,
    LocalTimes,
    Located,
    Reading,
    Refusal,
    build,
    check_time,
    json_rows,
)
from features.seen import Seen, key

EVENTS_FILE = "events.jsonl"
_ROWS = 2_000
_IDENTITY = ("learner_id", "verb", "object_id", "occurred_at", "decision_id", "result", "context")


def read(path: Path, given: Import) -> Reading:
    """`path` is a folder with events.jsonl and, if wanted, skills, items, roles, learners and assignments.jsonl, or one file.
    A folder of catalogue files alone is taken as that.

    A line without `recorded_at` counts as recorded at the import, and as a backfill unless it says otherwise; a line
    without `event_id` gets an id made of its fields; `tenant` may be left out.
    """
    folder = path if path.is_dir() else None
    notes: list[str] = []
    catalogue = _catalogue(folder) if folder else iter(())
    log = folder / EVENTS_FILE if folder else path
    if folder and not log.is_file() and any(file.is_file() for file in _files(folder).values()):
        notes.append(f"there is no {EVENTS_FILE}: only the catalogue was read")
        return Reading(catalogue, iter(()), notes, list(_files(folder).values()))
    return Reading(catalogue, _events(log, given, notes), notes, [log, *(_files(folder).values() if folder else ())])


def _files(folder: Path) -> dict[str, Path]:
    return {kind: folder / f"{kind}s.jsonl" for kind in KINDS}


def _catalogue(folder: Path) -> CatalogueRows:
    for kind, path in _files(folder).items():
        if path.is_file():
            for row in json_rows(path):
                yield row if isinstance(row, Refusal) else build(row, KINDS[kind], row.row)


def _events(path: Path, given: Import, notes: list[str]) -> EventRows:
    times = None if given.timezone is None else LocalTimes(given.timezone)
    lines = json_rows(path)
    with Seen() as seen:
        while rows := list(islice(lines, _ROWS)):
            _give_ids([row.row for row in rows if not isinstance(row, Refusal)], given.tenant, seen)
            yield from (row if isinstance(row, Refusal) else _event(row, given, times) for row in rows)
    notes.extend(times.notes() if times else [])


def _give_ids(bodies: list[dict[str, Any]], tenant: str, seen: Seen) -> None:
    """Gives rows that have no id one made of their fields and of how many equal rows came before."""
    without = [body for body in bodies if body.setdefault("tenant", tenant) == tenant and "event_id" not in body]
    said = [tuple(_identity(body)) for body in without]
    times = seen.occurrences([key(row_event_id(fields, 0)) for fields in said])
    for body, fields, time in zip(without, said, times, strict=True):
        body["event_id"] = row_event_id(fields, time)


def _event(located: Located[dict[str, Any]], given: Import, times: LocalTimes | None) -> Any:
    body = located.row
    if body["tenant"] != given.tenant:
        return located.refuse("tenant", f"the line belongs to {body['tenant']!r}, this import to {given.tenant!r}")
    for name in ("occurred_at", "recorded_at"):
        try:
            body.update(_localised(name, body.get(name), times))
        except ValueError as error:
            return located.refuse(name, str(error))
    if "recorded_at" not in body:
        body["recorded_at"] = given.now
        body.setdefault("backfill", True)
    body.setdefault("source", "events")
    found = build(located, Event, body)
    return found if isinstance(found, Refusal) else check_time(found, given.now)


def _identity(body: dict[str, Any]) -> Iterator[str]:
    for name in _IDENTITY:
        value = body.get(name)
        yield value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _localised(name: str, value: Any, times: LocalTimes | None) -> dict[str, datetime]:
    # Only zone-less text is touched; anything unreadable is left for the model to refuse.
    if times is not None and isinstance(value, str):
        try:
            naive = datetime.fromisoformat(value)
        except ValueError:
            return {}
        if naive.tzinfo is None:
            return {name: times.instant(naive)}
    return {}
