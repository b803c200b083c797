"""Files as other tools write them: each gives the same answer, or is refused in plain words."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from experiments.cli import app

DESIGN = """
name = "outside"
unit = "learner"
[allocation]
control = 0.5
treatment = 0.5
[primary]
metric = "value"
relative = false
"""
UNITS = "unit,arm\n" + "".join(f"u{n},{'control' if n % 2 else 'treatment'}\n" for n in range(40))
OUTCOMES = "unit,metric,value\n" + "".join(f"u{n},value,{n % 7 + 3 * (n % 2 == 0)}.5\n" for n in range(40))
ANSWER = 3.05
"""By hand: 58 / 20 + 3 of the even units less 57 / 20 of the odd ones; each has .5 more."""
Read = Callable[[str | bytes, str | bytes], tuple[int, str, Any]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Exit code, what is said, and the JSON, of the two files."""

    def one(units: str | bytes, outcomes: str | bytes) -> tuple[int, str, Any]:
        for name, given in {"a.csv": units, "o.csv": outcomes, "d.toml": DESIGN}.items():
            (tmp_path / name).write_bytes(given.encode() if isinstance(given, str) else given)
        names = {"assignments": "a.csv", "outcomes": "o.csv", "design": "d.toml", "out": "r.html", "json": "r.json"}
        result = CliRunner().invoke(app, ["analyze", *(p for k, v in names.items() for p in (f"--{k}", str(tmp_path / v)))])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        written = tmp_path / "r.json"
        return result.exit_code, result.output, json.loads(written.read_text("utf-8")) if written.exists() else None

    return one


def both(change: Callable[[str], str | bytes]) -> tuple[str | bytes, str | bytes]:
    return change(UNITS), change(OUTCOMES)


def quoted(line: str) -> str:
    unit, *rest = line.split(",")
    return ",".join([f'"Doe, ""J"" {unit}"', *rest]) if rest else line


SAME = {
    "as it is": both(str),
    "semicolons": both(lambda text: text.replace(",", ";")),
    "tabs": both(lambda text: text.replace(",", "\t")),
    "lines of Windows": both(lambda text: text.replace("\n", "\r\n")),
    "lines of old Macs": both(lambda text: text.replace("\n", "\r")),
    "no last line end": both(str.rstrip),
    "empty lines": both(lambda text: text.replace("u7", "\n\nu7") + "\n\n"),
    "a byte order mark": both(lambda text: b"\xef\xbb\xbf" + text.encode()),
    "packed": both(lambda text: gzip.compress(text.encode())),
    "ids of all scripts": both(lambda text: text.replace("\nu", "\n学習者ü ")),
    "commas in quotes": both(lambda text: "\n".join([text.split("\n")[0], *map(quoted, text.split("\n")[1:])])),
    "a head in capitals": (UNITS.replace("unit,arm", "Unit,ARM"), OUTCOMES.replace("unit,metric,value", "UNIT, Metric ,Value")),
    "one file of each kind": (UNITS.replace(",", ";"), gzip.compress(OUTCOMES.encode())),
    "more columns": (UNITS.replace("\n", ",a\n").replace("arm,a", "arm,key"), OUTCOMES),
    "strangers": (UNITS, OUTCOMES + "x1,value,900\n"),
    "other metrics": (UNITS, OUTCOMES + "u1,Value,900\nu1,other,yes\n".replace("yes", "5")),
    "an empty value": (UNITS + "u40,treatment\nu41,control\n", OUTCOMES + "u40,value,\n"),
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_answer_from_files_of_every_kind(read: Read, kind: str) -> None:
    code, said, found = read(*SAME[kind])
    assert code == 0, said
    assert found["metrics"][0]["estimate"] == pytest.approx(ANSWER)
    assert found["verdict"] == "ship"


@pytest.mark.parametrize("words", [("true", "false"), ("TRUE", "FALSE"), ("True", "False"), ("1", "0")])
def test_true_and_false_are_one_and_zero(read: Read, words: tuple[str, str]) -> None:
    rows = "".join(f"u{n},value,{words[0] if n % 3 or n % 2 == 0 else words[1]}\n" for n in range(40))
    _, said, found = read(UNITS, "unit,metric,value\n" + rows)
    assert found["metrics"][0]["estimate"] == pytest.approx(7 / 20), said


def timed(assigned: str, happened: str) -> tuple[str, str]:
    return UNITS.replace("\n", f",{assigned}\n").replace(f"arm,{assigned}", "arm,assigned_at"), OUTCOMES.replace(
        "\n", f",{happened}\n"
    ).replace(f"value,{happened}", "value,at", 1)


def test_times_of_all_zones_are_the_same_moments(read: Read) -> None:
    """Assigned an hour after midnight in Paris's summer: the day before by UTC; half an hour later the outcomes."""
    _, said, found = read(*timed("2026-07-01T01:00:00+02:00", "2026-06-30T23:30:00Z"))
    assert found["began"] == "2026-06-30", said
    assert found["metrics"][0]["estimate"] == pytest.approx(ANSWER)
    code, said, _ = read(*timed("2026-07-01T01:00:00+02:00", "2026-07-01T00:30:00+02:00"))
    assert code == 1
    assert "no outcome of value from the assignment on" in said


def test_who_never_met_it_has_no_time_of_exposure(read: Read) -> None:
    head, *rows = UNITS.splitlines()
    met = [f"{row},2026-03-01,{'2026-03-02' if place % 2 else ''}" for place, row in enumerate(rows)]
    code, said, _ = read("\n".join([f"{head},assigned_at,exposed_at", *met]), OUTCOMES)
    assert code == 0, said


Write = Callable[[int], str]
NEAR: list[tuple[str, Write, Write]] = [
    ("'0' and '000'", lambda n: f"{n:03}", str),
    ("'0' and '0.0'", lambda n: f"{n}.0", str),
    ("'U0' and 'u0'", lambda n: f"u{n}", lambda n: f"U{n}"),
    ("' 0' and '0'", str, lambda n: f" {n}"),
    ("'e\u0301-0' and 'é-0'", lambda n: f"é-{n}", lambda n: f"e\u0301-{n}"),
]
"""Ids of the same people as two tools write them."""


@pytest.mark.parametrize(("words", "theirs", "ours"), NEAR)
def test_the_same_ids_written_otherwise_are_named_and_no_result_is_shown(
    read: Read, words: str, theirs: Write, ours: Write
) -> None:
    """Some would match by accident, and a result of those few would look like one of all."""
    units = "unit,arm\n" + "".join(f"{theirs(n)},{'control' if n % 2 else 'treatment'}\n" for n in range(200))
    code, said, found = read(units, "unit,metric,value\n" + "".join(f"{ours(n)},value,{n % 7}\n" for n in range(200)))
    assert (code, found["verdict"], found["metrics"]) == (1, "broken", [])
    assert words in said.replace("\\u0301", "\u0301")


def test_a_stranger_whose_id_is_like_anothers_is_a_stranger(read: Read) -> None:
    """U0 is another person than u0, who has an outcome."""
    code, said, found = read(UNITS, OUTCOMES + "U0,value,900\n")
    assert code == 0, said
    assert found["metrics"][0]["estimate"] == pytest.approx(ANSWER)


def value(text: str) -> tuple[str, str]:
    return UNITS, OUTCOMES.replace("u7,value,0.5", f"u7,value,{text}")


REFUSED = {
    "UTF-16": (both(lambda text: text.encode("utf-16")), "a.csv: not a readable CSV file (it is not UTF-8 text)"),
    "Latin-1": ((UNITS.replace("u7", "ü").encode("latin-1"), OUTCOMES), "it is not UTF-8 text"),
    "Latin-1 far below": ((UNITS + "u,control\n" * 9_000 + "ü", OUTCOMES), "line 9042 has 1 fields"),
    "too few fields": ((UNITS + "u99\n", OUTCOMES), "line 42 has 1 fields, and the first line has 2"),
    "too many": ((UNITS + "u99,control,7\n", OUTCOMES), "line 42 has 3 fields, and the first line has 2"),
    "an open quote": ((UNITS.replace("u39", '"u39'), OUTCOMES), "line 41 opens a quote that does not close"),
    "cut short": ((gzip.compress(UNITS.encode())[:15], OUTCOMES), "a.csv: not a readable CSV file"),
    "two of a name": ((UNITS.replace("\n", ",x\n").replace("arm,x", "arm,Arm"), OUTCOMES), "two columns are called 'arm'"),
    "nothing": (("", OUTCOMES), "a.csv: no column 'unit'"),
    "another column": ((UNITS.replace("arm", "variant"), OUTCOMES), "no column 'arm'; its first line must name unit, arm"),
    "arms in capitals": ((UNITS.replace("control", "Control"), OUTCOMES), "20 rows of arm 'Control', which [allocation]"),
    "a decimal comma": (value('"0,5"'), "1 values are not numbers, '0,5' for one; write decimals with a point"),
    "a word": (value("NA"), "'NA' for one"),
    "no number": (value("NaN"), "'NaN' for one"),
    "no end": (value("-inf"), "'-inf' for one"),
    "more than can be squared": (value("1e308"), "'1e308' for one"),
    "underscores": (value("1_0"), "'1_0' for one"),
    "day before month": (timed("31.03.2026", "2026-04-01"), "40 rows whose assigned_at is no time, '31.03.2026' for one"),
    "seconds": (timed("1767225600", "2026-04-01"), "40 rows whose assigned_at is no time, '1767225600' for one"),
    "no time": (timed("", "2026-04-01"), "40 rows whose assigned_at is no time, '' for one"),
    "endless time": (timed("2026-03-01", "infinity"), "40 rows whose at is no time, 'infinity' for one"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_refused_in_words(read: Read, kind: str) -> None:
    files, words = REFUSED[kind]
    code, said, found = read(*files)
    assert words in said
    assert (code, found) == (2, None)
