"""The command `star` as a user types it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from features.catalogue import Learner
from features.cli import app
from features.lock import held
from features.store import EventStore


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = EventStore.open("sqlite:///var/events.db")
    store.tenant("acme").put([Learner(id="ann")], at=datetime(2026, 3, 1, tzinfo=UTC))
    store.close()


def star(*more: str) -> Result:
    return CliRunner().invoke(app, ["star", "--tenant", "acme", "--out", "out", *more])


def test_it_makes_a_key_apart_from_what_is_given_away_and_says_what_it_wrote() -> None:
    found = star()
    assert found.exit_code == 0
    assert "learner                   1 rows" in found.output
    assert "8 of 8 files written under out/acme" in found.output
    assert Path("var/pseudonyms/acme.key").is_file()
    report = json.loads(star("--json").output)
    assert (report["written"], report["rows"]["learner"]) == (0, 1)


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--key", "out/acme.key"), 1, "keep it elsewhere"),
        (("--tenant", "ACME"), 2, "is not a tenant"),
    ],
)
def test_wrong_usage_is_said_in_words(more: tuple[str, ...], code: int, words: str) -> None:
    found = star(*more)
    assert (found.exit_code, words in found.output) == (code, True)
    assert not Path("out").exists()


def test_it_waits_for_nobody_who_works_on_the_lake() -> None:
    with held(Path("var/lake"), "acme", work="materialize"):
        found = star()
    assert (found.exit_code, "is being worked on by" in found.output) == (75, True)
