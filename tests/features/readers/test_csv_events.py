"""From CSV rows to rows of the store: the quick way agrees with the model of an event, and every bad cell is named."""

import csv
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.events import Event
from features.readers.csv_events import Batch, CsvFile, batches
from features.readers.csv_map import MapError, pairs, read_map
from features.readers.csv_process import read_apart
from features.readers.csv_text import FileError
from features.seen import Seen
from features.store import STORED, EventStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = ("learner_id", "verb", "object_id", "occurred_at")
ROW = ("ann", "completed", "excel", "2026-01-31T09:00:00Z")


def table(path: Path, *rows: Sequence[str], **said: Any) -> CsvFile:
    """A file of these rows, the first of them the header, and what is said of it."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows(rows)
    return CsvFile(path, read_map(None, said), "acme", NOW)


def read(given: CsvFile, *, ids: bool = True) -> Batch:
    """All of a file as one batch."""
    whole = Batch(0, 0)
    with Seen() as seen:
        for batch in batches(given, seen.occurrences if ids else None):
            whole.good += batch.good
            for name in ("lines", "rows", "refused", "notes"):
                getattr(whole, name).extend(getattr(batch, name))
    return whole


def stored(given: CsvFile) -> list[dict[str, Any]]:
    return [dict(zip(STORED, row, strict=True)) for row in read(given).rows]


def test_columns_of_their_own_names_need_no_map(tmp_path: Path) -> None:
    (row,) = stored(table(tmp_path / "a.csv", OWN, ROW))
    assert [row[name] for name in ("tenant", "learner_id", "verb", "object_id")] == ["acme", "ann", "completed", "excel"]
    assert (row["backfill"], row["source"], row["known_at"]) == (1, "csv", row["occurred_at"])
    assert row["recorded_at"] == NOW.timestamp() * 1e6


def test_a_mapped_table_with_all_its_fields(tmp_path: Path) -> None:
    columns = {
        "learner_id": "Who", "object_id": "What", "verb": "Status", "occurred_at": "When", "score": "Points",
        "duration": "Time", "success": "OK", "context.site": "Site", "event_id": "Nr", "recorded_at": "Known",
        "decision_id": "Slate",
    }  # fmt: skip
    given = table(
        tmp_path / "a.csv",
        ["Nr", "Who", "What", "Status", "When", "Points", "Time", "OK", "Site", "Known", "Slate", "unused"],
        ["7", " ann ", "excel", "Finished", "31.01.2026 10:00", "75,5", "1:30:00", "Yes", "Köln", "01.02.2026 10:00", "d1", ""],
        columns=columns, verbs={"Finished": "completed"}, time_format="%d.%m.%Y %H:%M", timezone="Europe/Berlin",
        decimal="comma", score_scale="100", duration_unit="hms", source="lms",
    )  # fmt: skip
    (row,) = stored(given)
    assert (row["event_id"], row["learner_id"], row["verb"], row["decision_id"]) == ("7", "ann", "completed", "d1")
    assert row["occurred_at"] == datetime(2026, 1, 31, 9, tzinfo=UTC).timestamp() * 1e6
    assert row["recorded_at"] == row["known_at"] == datetime(2026, 2, 1, 9, tzinfo=UTC).timestamp() * 1e6
    assert row["result"] == '{"success":true,"score":0.755,"duration_s":5400.0}'
    assert (row["context"], row["source"], row["backfill"]) == ('{"site": "Köln"}', "lms", 0)


TEXTS = ("ann", "Zoë", 'say "hi"', "back\\slash", "a,b", "x" * 256, "no\u00a0break", "\u200bzero", "\x7f", "😀", "a/b%s{}")
BAD_TEXTS = ("", "x" * 257, "line\nbreak", "\x00", "\x1f", "\udc80")
TIMES = (
    "2026-01-31T09:00:00Z",
    "2026-01-31 09:00:00.25+02:00",
    "2025-10-26T02:30:00",
    "1990-01-01T00:00:00Z",
    "1968-05-01T07:00:00Z",
    "20260131T090000Z",
)
BAD_TIMES = (
    "",
    "soon",
    "1900-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "2027-01-01T00:00:00Z",
    "9999-12-31T23:59:59",
    "2026-02-30T00:00:00Z",
)
SCORES = ("", "0", "1", "0.1", "1e-7", "0.30000000000000004", "-0.0")
BAD_SCORES = ("1.5", "-1", "nan", "0,5", "1_0")


def any_of(rng: random.Random, good: Sequence[str], bad: Sequence[str]) -> str:
    return rng.choice(bad if rng.random() < 0.04 else good)


def test_the_quick_way_and_the_model_agree(tmp_path: Path) -> None:
    """Rows of all sorts: what is taken is what `Event` and `TenantSession.prepare` make of the same fields, byte by byte."""
    rng = random.Random(5)
    header = [
        "event_id",
        *OWN,
        "recorded_at",
        "decision_id",
        "score",
        "duration",
        "progress",
        "completion",
        "context.b",
        "context.a",
    ]
    rows = [
        [
            f"e{number}", any_of(rng, TEXTS, BAD_TEXTS), rng.choice(["passed", "Started"]), any_of(rng, TEXTS, BAD_TEXTS),
            any_of(rng, TIMES, BAD_TIMES), rng.choice(["", "2026-02-01T00:00:00Z", "2026-03-01T12:04:00Z"]),
            any_of(rng, ["", *TEXTS], BAD_TEXTS[1:]), any_of(rng, SCORES, BAD_SCORES), rng.choice(["", "90", "0.5", "1e9"]),
            any_of(rng, SCORES, BAD_SCORES), rng.choice(["", "yes", "FALSE"]), any_of(rng, ["", *TEXTS], ["\udc80"]),
            rng.choice(TEXTS),
        ]
        for number in range(3_000)
    ]  # fmt: skip
    columns = {"context.a": "context.a", "context.b": "context.b"}
    given = table(tmp_path / "a.csv", header, *rows, columns=columns, timezone="Europe/Paris")
    found = {row["event_id"]: row for row in stored(given)}
    refused = {line for line, _, _ in read(given).refused}
    session = EventStore.open("sqlite://").tenant("acme")
    expected, bad = {}, 0
    for row in rows:
        try:
            event = model(dict(zip(header, row, strict=True)))
            expected[event.event_id] = session.prepare(event)
        except ValueError:
            bad += 1
    assert 500 < bad < 2_000
    assert found.keys() == expected.keys()
    assert all(found[name] == expected[name] for name in expected)
    assert len(refused) == bad


def model(cells: dict[str, str]) -> Event:
    """The same fields by the model alone."""
    said = {name: cell.strip() for name, cell in cells.items()}
    at = datetime.fromisoformat(said["occurred_at"])
    if at.tzinfo is None:
        at = (at - timedelta(hours=2 if at.year == 2025 else 1)).replace(tzinfo=UTC)  # Paris, the first 02:30 of that night
    yes = {"yes": True, "FALSE": False, "": None}
    result = {
        "score": None if not said["score"] else share(said["score"]),
        "progress": None if not said["progress"] else share(said["progress"]),
        "duration_s": None if not said["duration"] else float(said["duration"]),
        "completion": yes[said["completion"]],
    }
    body = {
        "tenant": "acme",
        **{name: said[name] for name in ("event_id", "learner_id", "object_id")},
        "verb": said["verb"].lower(),
        "occurred_at": at,
        "recorded_at": said["recorded_at"] or NOW,
        "decision_id": said["decision_id"] or None,
        "result": None if all(value is None for value in result.values()) else result,
        "context": {name: said[f"context.{name}"] for name in ("a", "b") if said[f"context.{name}"]},
        "source": "csv",
        "backfill": not said["recorded_at"],
    }
    return Event.model_validate(body)


def share(cell: str) -> float:
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def test_equal_rows_get_ids_of_their_own_that_stay(tmp_path: Path) -> None:
    first = [row["event_id"] for row in stored(table(tmp_path / "a.csv", OWN, ROW, ROW, ("bob", *ROW[1:])))]
    assert len(set(first)) == 3
    written_otherwise = ("2026-01-31 10:00:00+01:00", "excel", "ann", "COMPLETED", "more")
    other = table(tmp_path / "b.csv", ("occurred_at", "object_id", "learner_id", "verb", "x"), written_otherwise)
    assert [row["event_id"] for row in stored(other)] == first[:1]


def test_a_check_counts_and_makes_no_ids(tmp_path: Path) -> None:
    found = read(table(tmp_path / "a.csv", OWN, ROW, ROW, ("", *ROW[1:])), ids=False)
    assert (found.good, found.rows, found.refused) == (2, [], [(4, "learner_id", "the cell is empty")])


def test_of_rows_stored_already_only_the_occurrences_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.readers.csv_text._LINES", 2)
    given = table(tmp_path / "a.csv", OWN, *[ROW] * 6)
    with Seen() as seen:
        whole = [row for batch in batches(given, seen.occurrences) for row in batch.rows]
    with Seen() as seen:
        later = [row for batch in batches(given, seen.occurrences, after=5) for row in batch.rows]
    assert later == whole[4:]


def test_another_process_reads_the_same(tmp_path: Path) -> None:
    given = table(tmp_path / "a.csv", OWN, ROW, ("bob", *ROW[1:]), ("", *ROW[1:]))
    with Seen() as seen:
        here = list(batches(given, seen.occurrences))
    assert list(read_apart(given, ids=True)) == here
    with pytest.raises(FileError, match="the file is empty"):
        list(read_apart(table(tmp_path / "b.csv", OWN), ids=True))


BAD = {
    "an unknown verb": (("ann", "watched", "excel", ROW[3]), "verb", "unknown verb 'watched'; give --verb-map 'watched=VERB'"),
    "no verb": (("ann", "", "excel", ROW[3]), "verb", "the cell is empty"),
    "no learner": (("", "passed", "excel", ROW[3]), "learner_id", "the cell is empty"),
    "no time": (("ann", "passed", "excel", ""), "occurred_at", "the cell is empty"),
    "a zone-less time": (("ann", "passed", "excel", "2026-01-31 09:00:00"), "occurred_at", "has no time zone: give --timezone"),
    "another format": (("ann", "passed", "excel", "31/01/2026"), "occurred_at", "give --time-format"),
    "the future": (("ann", "passed", "excel", "2027-01-31T09:00:00Z"), "occurred_at", "is in the future"),
    "before 1901": (("ann", "passed", "excel", "1900-01-01T00:00:00Z"), "occurred_at", "is before 1901"),
    "unset": (("ann", "passed", "excel", "1970-01-01T00:00:00Z"), "occurred_at", "an unset field or a wrong unit"),
    "NUL": (("a\0nn", "passed", "excel", ROW[3]), "learner_id", "control character"),
    "a line break": (("ann", "passed", "ex\ncel", ROW[3]), "object_id", "control character"),
    "a long id": (("a" * 257, "passed", "excel", ROW[3]), "learner_id", "at most 256 characters"),
    "not utf-8": (("ann", "passed", "caf\udce9", ROW[3]), "object_id", "the text is not utf-8; give the encoding of the file"),
    "not utf-8 in a verb": (("ann", "caf\udce9", "excel", ROW[3]), "verb", "the text is not utf-8"),
    "too few cells": (("ann", "passed", "excel"), "", "broken CSV line: 3 cells under 4 columns"),
    "too many cells": ((*ROW, "x"), "", "broken CSV line: 5 cells under 4 columns"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_cell_is_named(tmp_path: Path, what: str) -> None:
    row, column, words = BAD[what]
    found = read(table(tmp_path / "a.csv", OWN, ROW, row))
    ((line, where, reason),) = found.refused
    assert (line, where, found.good) == (3, column, 1)
    assert words in reason


def test_empty_cells_beyond_the_last_column_and_rows_of_them_are_no_fault(tmp_path: Path) -> None:
    found = read(table(tmp_path / "a.csv", OWN, (*ROW, "", ""), ("", "", "", ""), (" ", "", "", "", "", "")))
    assert (found.good, found.refused) == (1, [])


BAD_HEADERS: dict[str, tuple[tuple[str, ...], dict[str, Any], str, str]] = {
    "a missing column": (
        OWN,
        {"learner_id": "Learner ID"},
        "Learner ID",
        "the column is missing; the header has: learner_id, verb",
    ),
    "the nearest name": (OWN, {"learner_id": "Learner_Id"}, "Learner_Id", "nearest to 'Learner_Id': 'learner_id'"),
    "a field without a column": (OWN[1:], {}, "learner_id", "give --map 'learner_id=COLUMN'"),
    "no verb": (("learner_id", "object_id", "occurred_at"), {}, "verb", "or --verb completed for all rows"),
    "a column twice": ((*OWN, "verb"), {}, "verb", "the column stands twice in the header"),
    "not utf-8": ((*OWN, "caf\udce9"), {}, "", "the text is not utf-8"),
}


@pytest.mark.parametrize("what", BAD_HEADERS)
def test_a_bad_header_is_explained(tmp_path: Path, what: str) -> None:
    header, columns, column, words = BAD_HEADERS[what]
    with pytest.raises(FileError) as refused:
        read(table(tmp_path / "a.csv", header, ROW, columns=columns))
    assert words in str(refused.value)
    assert (refused.value.line, refused.value.column) == (1, column)


def test_a_header_and_no_rows(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="a header and no rows"):
        read(table(tmp_path / "a.csv", OWN))


def test_a_column_twice_that_nobody_asked_for_is_no_fault(tmp_path: Path) -> None:
    assert read(table(tmp_path / "a.csv", (*OWN, "x", "x"), (*ROW, "1", "2"))).good == 1


def test_clock_changes_are_counted(tmp_path: Path) -> None:
    rows = [
        ("ann", "passed", "excel", at)
        for at in ("2025-10-26 02:30:00", "2025-10-26 02:40:00", "2025-10-26 02:50:00", "2025-10-26 05:00:00")
    ]
    found = read(table(tmp_path / "a.csv", OWN, *rows, timezone="Europe/Paris", separator=","))
    assert found.notes[1:] == [
        "3 local times exist twice or never in Europe/Paris (clock changes): the first offset was taken"
    ]  # fmt: skip


BAD_MAPS: dict[str, tuple[dict[str, Any], str]] = {
    "field": ({"columns": {"learner": "x"}}, "columns: unknown field 'learner'; fields: learner_id, object_id"),
    "verb": ({"verbs": {"x": "watched"}}, "verbs.x: "),
    "two verbs": ({"columns": {"verb": "x"}, "verb": "passed"}, "the verb is given twice"),
    "separator": ({"separator": "::"}, "separator: '::' is no separator"),
    "encoding": ({"encoding": "ebcdic"}, "encoding: unknown encoding 'ebcdic'; known: utf-8"),
    "zone": ({"timezone": "Mars/Base"}, "timezone: unknown time zone 'Mars/Base'"),
    "time format": ({"time_format": "dd/mm"}, "time_format: 'dd/mm': write iso"),
    "scale": ({"score_scale": "high"}, "score_scale: 'high' is no scale"),
    "empty scale": ({"score_scale": "5-5"}, "a scale from 5 to 5 is no scale"),
    "unknown": ({"colour": "red"}, "colour: "),
}


@pytest.mark.parametrize("what", BAD_MAPS)
def test_a_wrong_map_is_explained(what: str) -> None:
    flags, words = BAD_MAPS[what]
    with pytest.raises(MapError) as wrong:
        read_map(None, flags)
    assert words in str(wrong.value)


@pytest.mark.parametrize("text", ["learner_id", "=x", "a="])
def test_a_pair_needs_both_sides(text: str) -> None:
    with pytest.raises(MapError, match="write NAME=VALUE"):
        pairs([text], "--map")
    with pytest.raises(MapError, match="given twice"):
        pairs(["a=b", "a=c"], "--map")


def test_flags_win_over_the_file_and_add_to_it(tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    file.write_text('separator = "tab"\nscore_scale = "1-5"\n[columns]\nlearner_id = "A"\nverb = "B"\n', encoding="utf-8")
    found = read_map(file, {"separator": ";", "encoding": None, "columns": {"verb": "C"}})
    assert (found.separator, found.score_scale) == (";", (1, 5))
    assert found.columns == {"learner_id": "A", "verb": "C"}
    file.write_text("separator =", encoding="utf-8")
    with pytest.raises(MapError, match=r"map\.toml: cannot be read as TOML"):
        read_map(file, {})
