"""An organisation as a folder of JSON lines, which `python -m features ingest --format events FOLDER` reads."""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from features.catalogue import canonical_json
from features.events import Event
from features.synthetic.organisation import Organisation

_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))  # as canonical_json


def write_organisation(organisation: Organisation, folder: Path) -> None:
    """Write `skills, items, roles, learners, assignments, events .jsonl` and `truth.json`. Creates the folder.

    Defaults are omitted, and so is an event's tenant: it comes from whoever ingests. The same organisation gives the
    same bytes. Raises OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, Iterable[BaseModel]] = {
        "skills": organisation.skills,
        "items": organisation.items,
        "roles": organisation.roles,
        "learners": organisation.learners,
        "assignments": organisation.assignments,
    }
    for name, rows in tables.items():
        _write(folder / f"{name}.jsonl", map(canonical_json, rows))
    _write(folder / "events.jsonl", map(_event_line, organisation.events))
    _write(folder / "truth.json", [json.dumps(organisation.truth, sort_keys=True)])


def _event_line(event: Event) -> str:
    body = event.model_dump(mode="json", exclude={"tenant"}, exclude_defaults=True)
    return _ENCODER.encode(body)


def _write(file: Path, lines: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(line + "\n" for line in lines)
