"""The JSON-lines reader: what may be left out, and what is filled in."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.catalogue import Assignment, Item, Learner, Role, Skill
from features.readers import read
from features.readers.base import Refusal

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LINE = {"learner_id": "ann", "verb": "started", "object_id": "excel", "occurred_at": "2026-01-31T09:00:00Z"}


def events(path: Path, *lines: dict[str, Any], timezone: str | None = None, now: datetime = NOW) -> list[Any]:
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    reading = read("events", path, tenant="acme", timezone=timezone, now=now)
    return [row if isinstance(row, Refusal) else row.row for row in reading.events]


def test_what_a_line_leaves_out_is_filled_in(tmp_path: Path) -> None:
    (found,) = events(tmp_path / "log.jsonl", LINE)
    assert (found.tenant, found.recorded_at, found.backfill, found.source) == ("acme", NOW, True, "events")


def test_what_a_line_says_stands(tmp_path: Path) -> None:
    said = {**LINE, "tenant": "acme", "event_id": "e1", "recorded_at": "2026-01-31T10:00:00+01:00", "source": "lms"}
    (found,) = events(tmp_path / "log.jsonl", said)
    assert (found.event_id, found.backfill, found.source) == ("e1", False, "lms")
    assert found.recorded_at == datetime(2026, 1, 31, 9, tzinfo=UTC)


def test_ids_are_made_of_the_fields_and_stay_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    other = {**LINE, "context": {"b": 1, "a": 2}}
    first = [e.event_id for e in events(path, LINE, LINE, other)]
    assert len(set(first)) == 3
    reordered = {**LINE, "context": {"a": 2, "b": 1}}
    assert [e.event_id for e in events(path, LINE, LINE, reordered, now=datetime(2027, 1, 1, tzinfo=UTC))] == first


def test_equal_rows_far_apart_are_counted(tmp_path: Path) -> None:
    lines = [LINE if n % 3_000 == 0 else {**LINE, "object_id": str(n)} for n in range(6_001)]
    found = [event.event_id for event in events(tmp_path / "log.jsonl", *lines)]
    assert len(set(found)) == 6_001
    three = [event.event_id for event in events(tmp_path / "log.jsonl", LINE, LINE, LINE)]
    assert [found[0], found[3_000], found[6_000]] == three


def test_zone_less_times_take_the_given_zone_and_others_keep_theirs(tmp_path: Path) -> None:
    local = {**LINE, "occurred_at": "2026-01-31T09:00:00"}
    zoned, utc = events(tmp_path / "log.jsonl", local, LINE, timezone="Europe/Paris")
    assert (zoned.occurred_at.hour, utc.occurred_at.hour) == (8, 9)


def test_a_folder_brings_its_catalogue(tmp_path: Path) -> None:
    rows = [
        Skill(id="s", name="S"),
        Item(id="i", title="I", skills={"s": 2}),
        Learner(id="l"),
        Role(id="r", name="R"),
        Assignment(id="a", item_id="i", learner_id="l"),
    ]
    for row in rows:
        (tmp_path / f"{type(row).__name__.lower()}s.jsonl").write_text(row.model_dump_json())
    (tmp_path / "events.jsonl").write_text(json.dumps(LINE))
    reading = read("events", tmp_path, tenant="acme", timezone=None, now=NOW)
    assert [row if isinstance(row, Refusal) else row.row for row in reading.catalogue] == rows
    assert len(list(reading.events)) == 1
