"""Files that hold what an erased learner did before: left out and counted, whatever their format, and after a kill too."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from features.cli import app
from features.store import EventStore, Progress, TenantSession

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def acme(sqlite_url: str) -> Iterator[TenantSession]:
    """A tenant who erased Ann at noon."""
    opened = EventStore.open(sqlite_url)
    session = opened.tenant("acme")
    for name in ("ann", "mailto:ann@acme.example"):
        session.erase(name, at=NOON)
    yield session
    opened.close()


def ingest(url: str, file: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["ingest", str(file), "--tenant", "acme", "--store", url, *more])


def test_events(acme: TenantSession, sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    row = {"verb": "started", "object_id": "excel", "recorded_at": (NOON + timedelta(days=1)).isoformat()}
    days = [("ann", NOON), ("ann", NOON + timedelta(seconds=1)), ("bob", NOON)]
    rows = [row | {"event_id": f"e{n}", "learner_id": who, "occurred_at": at.isoformat()} for n, (who, at) in enumerate(days)]
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    found = ingest(sqlite_url, file, "--format", "events", "--json")
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert {name: said[name] for name in ("rows", "accepted", "suppressed")} == {"rows": 3, "accepted": 2, "suppressed": 1}
    assert [one.event_id for one in acme.history("ann")] == ["e1"]
    again = ingest(sqlite_url, file, "--format", "events")
    assert "3 rows = 0 accepted + 2 duplicate + 0 refused + 1 suppressed (of learners who were erased" in again.stdout


def test_statements(acme: TenantSession, sqlite_url: str, tmp_path: Path) -> None:
    body = {
        "id": "00000000-0000-0000-0000-000000000001",
        "actor": {"mbox": "mailto:ann@acme.example"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
        "object": {"id": "https://lms.example/excel"},
        "timestamp": "2026-02-01T12:00:00Z",
    }
    (tmp_path / "said.json").write_text(json.dumps([body]))
    found = ingest(sqlite_url, tmp_path / "said.json", "--format", "xapi", "--json")
    assert (found.exit_code, json.loads(found.stdout)["suppressed"]) == (0, 1)
    assert acme.counts().events == 0


CSV = "who,what,when\nann,excel,2026-02-01T12:00:00Z\nann,word,2026-02-02T12:00:00Z\nbob,excel,2026-02-01T12:00:00Z\n"
MAP = ["--map", "learner_id=who", "--map", "object_id=what", "--map", "occurred_at=when", "--verb", "completed"]


def test_csv(acme: TenantSession, sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(CSV)
    found = ingest(sqlite_url, tmp_path / "log.csv", "--format", "csv", *MAP, "--json")
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert (said["rows"], said["accepted"], said["suppressed"]) == (3, 1, 2)
    assert acme.counts().learners_with_events == 1
    (tmp_path / "hers.csv").write_text(CSV[: CSV.index("bob")])
    assert ingest(sqlite_url, tmp_path / "hers.csv", "--format", "csv", *MAP).exit_code == 0  # nothing is wrong with it


def test_what_a_killed_reading_left_out_is_counted_by_the_next(acme: TenantSession) -> None:
    acme.append_values([], progress=Progress("log.csv", 9, 1, accepted=2, suppressed=3))
    assert acme.progress("log.csv") == Progress("log.csv", 9, 1, accepted=2, suppressed=3)
