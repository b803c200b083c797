"""Exported statements in every shape, and what is left out."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.readers import read
from features.readers.base import Located, Refusal

NOW = datetime(2026, 2, 1, tzinfo=UTC)
IDS = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(6)]


def statement(number: int, verb: str = "completed", **fields: Any) -> dict[str, Any]:
    actor, thing = {"account": {"homePage": "https://lms.example.com", "name": "42"}}, {"id": "https://lms.example.com/course"}
    return {
        **{"id": IDS[number], "actor": actor, "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}"}, "object": thing},
        **{"timestamp": "2026-01-01T09:00:00Z", **fields},
    }


def found(path: Path, text: str) -> tuple[list[Any], list[str]]:
    (path / "statements.json").write_text(text, "utf-8")
    reading = read("xapi", path / "statements.json", tenant="t", timezone=None, now=NOW)
    assert not list(reading.catalogue)
    rows = list(reading.events)
    return rows, reading.notes


ROWS = [statement(0), statement(1, "passed")]


@pytest.mark.parametrize(
    "text",
    [
        "\n\n".join(map(json.dumps, ROWS)),
        json.dumps(ROWS),
        json.dumps(ROWS, indent=1),
        json.dumps({"more": "", "statements": ROWS}),
        json.dumps({"statements": ROWS}, indent=1),
        "\ufeff" + json.dumps(ROWS),
    ],
)
def test_lines_arrays_and_answers_of_an_lrs(tmp_path: Path, text: str) -> None:
    rows, notes = found(tmp_path, text)
    assert [(row.row.event_id, row.row.verb, row.row.backfill) for row in rows] == [
        (IDS[0], "completed", True),
        (IDS[1], "passed", True),
    ]
    assert not notes


def test_one_statement_over_many_lines_is_refused_with_what_to_do(tmp_path: Path) -> None:
    rows, _ = found(tmp_path, json.dumps(statement(0), indent=1))
    assert rows == [Refusal("statements.json", 0, "statements", "an array of statements is expected")]


def test_voided_statements_wherever_they_stand_never_happened(tmp_path: Path) -> None:
    voiding = statement(2, "voided", object={"objectType": "StatementRef", "id": IDS[0].upper()})
    for order in ([statement(0), voiding, statement(1)], [voiding, statement(0), statement(1)]):
        rows, notes = found(tmp_path, json.dumps(order))
        assert [row.row.event_id for row in rows] == [IDS[1]]
        assert sorted(notes) == ["left out, 1 times: they are voided", "left out, 1 times: they void others"]


def test_bad_statements_say_line_and_field_and_unknown_verbs_are_counted(tmp_path: Path) -> None:
    bad = {**statement(0), "timestamp": "soon"}
    without = {name: value for name, value in statement(1).items() if name != "id"}
    future = statement(2, timestamp="2027-01-01T00:00:00Z")
    lines = [json.dumps(row) for row in (bad, without, future, statement(3, "flown"), statement(4, "flown"))]
    rows, notes = found(tmp_path, "\n".join([*lines, "{"]))
    assert [(row.line, row.field) for row in rows] == [(1, "timestamp"), (2, "id"), (3, "occurred_at"), (6, "")]
    assert notes == ["left out, 2 times: unknown verb: http://adlnet.gov/expapi/verbs/flown"]


def test_a_file_that_is_none(tmp_path: Path) -> None:
    for text in ("", "[", "[1]", '{"statements": 1}', "null"):
        rows, _ = found(tmp_path, text)
        assert len(rows) == 1
        assert isinstance(rows[0], Refusal)
    reading = read("xapi", tmp_path / "none.json", tenant="t", timezone=None, now=NOW)
    assert [str(row) for row in reading.events if not isinstance(row, Located)] == ["none.json: the file does not exist"]
