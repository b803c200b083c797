"""Reads MARS, a real corporate e-learning log: four CSV files of items, users, views and watched shares.

Hafsa, Wattebled, Jacques, Jourdan: E-learning recommender system dataset, Data in Brief 47 (2023) 108942, CC0 1.0.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.catalogue import CatalogueRow, Item, ItemType, Learner, Role, Skill
from features.events import Event, Result, Verb, row_event_id
from features.interactions import Histories
from features.readers.base import (
    CatalogueRows,
    EventRows,
    Import,
    LocalTimes,
    Located,
    Occurrences,
    Reading,
    Refusal,
    build,
    check_time,
    csv_rows,
)
from features.vocabulary import Vocabulary

ITEMS_FILE, USERS_FILE = "items_en.csv", "users_en.csv"
IMPLICIT_FILE, EXPLICIT_FILE = "implicit_ratings_en.csv", "explicit_ratings_en.csv"
ITEM_COLUMNS = ("item_id", "language", "name", "description", "Difficulty", "Job", "Software", "Theme", "duration", "type")
USER_COLUMNS = ("user_id", "job")
IMPLICIT_COLUMNS = ("item_id", "user_id", "created_at")
EXPLICIT_COLUMNS = ("user_id", "item_id", "watch_percentage", "created_at")

_TYPES = {"tutorial": ItemType.VIDEO, "use_case": ItemType.PRACTICE, "webcast": ItemType.VIDEO}
_LEVELS = {None: 2.0, "beginner": 1.5, "intermediate": 3.0, "advanced": 4.0}
_NOT_GIVEN = ("", "N/A")
_ITEM_NAMES = {
    "id": "item_id",
    "title": "name",
    "difficulty": "Difficulty",
    "duration_s": "duration",
    "languages.0": "language",
}
_EVENT_NAMES = {
    "learner_id": "user_id",
    "object_id": "item_id",
    "occurred_at": "created_at",
    "result.progress": "watch_percentage",
}

_NOTES = (
    "only the English files are read: the French ones have no item texts",
    "item skills are derived: one skill per Software tag, its level from the difficulty (1.5, 3, 4; 2 where none is given)",
    "a role per job, without expected skills; users have no audience",
    "rating derives from watch_percentage and is not an event of its own",
)


def read(folder: Path, given: Import) -> Reading:
    """Items, users, skills and roles; a view is `started`, a watched share `progressed`, or `completed` at 100 %."""
    notes = list(_NOTES)
    files = [folder / name for name in (ITEMS_FILE, USERS_FILE, IMPLICIT_FILE, EXPLICIT_FILE)]
    return Reading(_catalogue(folder), _events(folder, given, notes), notes, files)


def read_histories(folder: Path) -> tuple[Vocabulary, Vocabulary, Histories, dict[str, Item]]:
    """(learners, all items of the catalogue, histories of views, items by id), for benchmarks without a store.

    Times are taken as UTC: only their order matters here. Views are sorted by (time, file order); ValueError at the first
    row that is refused.
    """
    catalogue = [_kept(row) for row in _items(folder)]
    items = {row.id: row for row in catalogue if isinstance(row, Item)}
    vocabulary = Vocabulary.of(items)
    views: dict[str, list[tuple[np.datetime64, int]]] = {}
    for row in csv_rows(folder / IMPLICIT_FILE, IMPLICIT_COLUMNS):
        cells = _kept(row)
        if cells["item_id"] in vocabulary:
            view = np.datetime64(cells["created_at"], "us"), vocabulary.index(cells["item_id"])
            views.setdefault(cells["user_id"], []).append(view)
    learners = Vocabulary.of(views)
    rows = [sorted(views[learner], key=lambda view: view[0]) for learner in learners.ids]
    indices, times = ([[view[part] for view in row] for row in rows] for part in (1, 0))
    return learners, vocabulary, Histories.of(indices, len(vocabulary), at=times), items  # type: ignore[arg-type]


def _kept(row: Located[Any] | Refusal) -> Any:
    if isinstance(row, Refusal):
        raise ValueError(str(row))
    return row.row


# -- catalogue --


def _catalogue(folder: Path) -> CatalogueRows:
    yield from _items(folder)
    yield from _learners(folder)


def _items(folder: Path) -> CatalogueRows:
    known: set[str] = set()
    for position, row in enumerate(csv_rows(folder / ITEMS_FILE, ITEM_COLUMNS)):
        if isinstance(row, Refusal):
            yield row
            continue
        try:
            tags = {name: _tags(row.row[name]) for name in ("Software", "Theme", "Job")}
        except ValueError as error:
            yield row.refuse("Software, Theme, Job", str(error))
            continue
        yield from _fresh(row, known, {skill_id(name): Skill(id=skill_id(name), name=name) for name in tags["Software"]})
        yield build(row, Item, _item(row.row, tags, position), _ITEM_NAMES)


def _item(cells: Mapping[str, str], tags: Mapping[str, tuple[str, ...]], position: int) -> dict[str, Any]:
    difficulty = _given(cells["Difficulty"].lower() if cells["Difficulty"] != "N/A" else "")
    return {
        "id": cells["item_id"],
        "title": cells["name"],
        "description": _given(cells["description"]) or "",
        "type": _TYPES.get(cells["type"], cells["type"]),
        "duration_s": _given(cells["duration"]),
        "difficulty": difficulty,
        "languages": (cells["language"],),
        "skills": {skill_id(name): _LEVELS.get(difficulty, 2.0) for name in tags["Software"]},
        "position": position,
        "attributes": {name.lower(): found for name, found in tags.items() if found},
    }


def _learners(folder: Path) -> CatalogueRows:
    known: set[str] = set()
    for row in csv_rows(folder / USERS_FILE, USER_COLUMNS):
        if isinstance(row, Refusal):
            yield row
            continue
        job = _given(row.row["job"])
        role = None if job is None else f"job:{_slug(job)}"
        if role is not None and job is not None:
            yield from _fresh(row, known, {role: Role(id=role, name=job)})
        yield build(row, Learner, {"id": row.row["user_id"], "role_id": role}, {"id": "user_id"})


def _fresh(row: Located[Any], known: set[str], found: Mapping[str, CatalogueRow]) -> Iterator[Located[CatalogueRow]]:
    for key, derived in found.items():
        if key not in known:
            known.add(key)
            yield Located(row.file, row.line, derived)


def skill_id(software: str) -> str:
    """The id of the skill that a Software tag stands for: `Microsoft Teams` is `software:microsoft-teams`."""
    return f"software:{_slug(software)}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _given(cell: str) -> str | None:
    return None if cell in _NOT_GIVEN else cell


def _tags(cell: str) -> tuple[str, ...]:
    """The words of a cell like `['Excel', 'Word']`, each once, in order."""
    if cell in _NOT_GIVEN:
        return ()
    try:
        found = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise ValueError(f"a list like ['Excel'] is expected, not {cell[:80]!r}")
    return tuple(dict.fromkeys(word for word in found if _slug(word)))


# -- events --


def _events(folder: Path, given: Import, notes: list[str]) -> EventRows:
    times = None if given.timezone is None else LocalTimes(given.timezone)
    occurrences = Occurrences()
    for name, columns in ((IMPLICIT_FILE, IMPLICIT_COLUMNS), (EXPLICIT_FILE, EXPLICIT_COLUMNS)):
        for row in csv_rows(folder / name, columns):
            yield row if isinstance(row, Refusal) else _event(row, columns, given, times, occurrences)
    notes.extend(times.notes() if times else [])


def _event(
    row: Located[dict[str, str]], columns: tuple[str, ...], given: Import, times: LocalTimes | None, occurrences: Occurrences
) -> Located[Event] | Refusal:
    cells = row.row
    fields = (row.file, *(cells[column] for column in columns))
    try:
        at = _time(cells["created_at"], times)
    except ValueError as error:
        return row.refuse("created_at", str(error))
    verb, result = Verb.STARTED, None
    if "watch_percentage" in columns:
        try:
            verb, result = _watched(cells["watch_percentage"])
        except ValueError:
            return row.refuse("watch_percentage", f"{cells['watch_percentage']!r} is not a number from 0 to 100")
    body = {
        "tenant": given.tenant,
        "event_id": row_event_id(fields, occurrences.next(fields)),
        "learner_id": cells["user_id"],
        "verb": verb,
        "object_id": cells["item_id"],
        "occurred_at": at,
        "recorded_at": given.now,
        "result": result,
        "source": "mars",
        "backfill": True,
    }
    found = build(row, Event, body, _EVENT_NAMES)
    return found if isinstance(found, Refusal) else check_time(found, given.now)


def _time(cell: str, times: LocalTimes | None) -> datetime:
    """The time of a cell, in the given zone if it names none; ValueError in words."""
    try:
        at = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"{cell!r} is not a time like 2018-09-28 16:18:29") from None
    if at.tzinfo is None and times is None:
        raise ValueError(f"{cell!r} has no time zone: give --timezone, for example Europe/Paris")
    return at if times is None or at.tzinfo else times.instant(at)


def _watched(percentage: str) -> tuple[Verb, Result]:
    """What a watched share says; ValueError unless it is a number from 0 to 100."""
    share = float(percentage) / 100
    if share == 1:
        return Verb.COMPLETED, Result(progress=1, completion=True)
    return Verb.PROGRESSED, Result(progress=share)
