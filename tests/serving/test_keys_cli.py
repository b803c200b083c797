"""Keys on the command line: made, listed, rotated, revoked, and what is refused in words."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from features.keys import Key, Scope, hash_of, looks_like_a_key
from features.store import EventStore
from serving.cli import app


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store that the settings name."""
    found = f"sqlite:///{tmp_path}/events.db"
    monkeypatch.setenv("NEXTWISE_STORE", found)
    return found


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["keys", *arguments])
    assert result.exit_code == code, result.output
    return result


def add(*more: str) -> str:
    return run("add", "--tenant", "acme", "--name", "Moodle", "--scope", "rank", *more).stdout.strip()


def stored(url: str) -> list[Key]:
    opened = EventStore.open(url)
    found = opened.keys().listed()
    opened.close()
    return found


def test_a_key_is_made_and_printed_alone(url: str) -> None:
    result = run("add", "--tenant", "acme", "--name", "Moodle", "--scope", "rank", "--scope", "ingest")
    text = result.stdout.removesuffix("\n")
    assert looks_like_a_key(text)
    (key,) = stored(url)
    assert (key.tenant, key.name, key.scopes) == ("acme", "Moodle", {Scope.RANK, Scope.INGEST})
    assert (key.compat, key.expires_at, key.revoked_at) == (False, None, None)
    assert f"Key {key.key_id} opens tenant acme for ingest, rank, without an end" in result.stderr
    opened = EventStore.open(url)
    assert opened.keys().find(hash_of(text)) == key
    opened.close()


@pytest.mark.parametrize(
    ("length", "delta"), [("90d", timedelta(days=90)), ("2w", timedelta(days=14)), ("15m", timedelta(minutes=15))]
)
def test_a_key_may_end_and_repair(url: str, length: str, delta: timedelta) -> None:
    add("--expires", length, "--compat")
    (key,) = stored(url)
    assert key.compat
    assert key.expires_at == key.created_at + delta
    assert abs(key.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_list_says_everything_but_the_key(url: str) -> None:
    first, second = add(), add("--expires", "1h", "--compat")
    run("revoke", first)
    text, rows = run("list").stdout, json.loads(run("list", "--json").stdout)
    for key in (first, second):
        for said in (text, str(rows)):
            assert key[3:11] in said
            assert key[12:] not in said
            assert hash_of(key) not in said
    assert [(row["key_id"], row["state"], row["compat"]) for row in rows] == [
        (first[3:11], "revoked", False),
        (second[3:11], "open", True),
    ]
    assert [len(line.split("\n")) for line in text.splitlines()] == [1, 1, 1]
    assert "no key of tenant other" in run("list", "--tenant", "other").stdout
    assert json.loads(run("list", "--tenant", "other", "--json").stdout) == []


def test_rotating_makes_a_new_key_and_ends_the_old_one_later(url: str) -> None:
    old = add("--compat")
    result = run("rotate", old[3:11], "--grace", "2h")
    new = result.stdout.strip()
    assert looks_like_a_key(new)
    first, second = sorted(stored(url), key=lambda key: key.created_at)
    assert (first.key_id, second.key_id) == (old[3:11], new[3:11])
    assert first.expires_at == second.created_at + timedelta(hours=2)
    assert (second.name, second.scopes, second.compat, second.expires_at) == ("Moodle", {Scope.RANK}, True, None)
    assert f"takes over from {old[3:11]}, which ends" in result.stderr


def test_without_a_grace_the_old_key_ends_at_once(url: str) -> None:
    run("rotate", add()[3:11], "--grace", "0s")
    assert [key.open_at(datetime.now(UTC)) for key in sorted(stored(url), key=lambda key: key.created_at)] == [False, True]


def test_revoking_says_when_it_counts_and_twice_is_no_harm(url: str) -> None:
    key = add()
    said = [run("revoke", given).stdout for given in (key[3:11], key)]  # by its id, or by the key that leaked
    assert "of tenant acme (Moodle) is revoked: services that run refuse it within 5 s" in said[0]
    assert "was revoked already" in said[1]
    assert stored(url)[0].revoked_at is not None
    assert "is revoked: add a new one" in run("rotate", key[3:11], code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["add", "--tenant", "acme", "--name", "x", "--scope", "everything"],
            "no scope is called 'everything'; there are rank",
        ),
        (["add", "--tenant", "acme", "--name", " ", "--scope", "rank"], "1 to 100 printable"),
        (["add", "--tenant", "acme", "--name", "x", "--scope", "rank", "--expires", "soon"], "--expires: 'soon'"),
        (["add", "--tenant", "acme", "--name", "x", "--scope", "rank", "--expires", "0d"], "--expires: '0d'"),
        (["add", "--tenant", "acme", "--name", "x", "--scope", "rank", "--expires", "-1d"], "--expires: '-1d'"),
        (["add", "--tenant", "acme", "--name", "x", "--scope", "rank", "--expires", "99999999w"], "--expires: '99999999w'"),
        (["add", "--tenant", "acme", "--name", "x", "--scope", "rank", "--expires", "9" * 30 + "w"], "--expires: '999"),
        (["rotate", "nosuchid"], "no key has the id 'nosuchid'"),
        (["rotate", "nosuchid", "--grace", "1 day"], "--grace: '1 day'"),
        (["revoke", "nosuchid"], "no key has the id 'nosuchid'"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(url: str, arguments: list[str], words: str) -> None:
    add()
    result = run(*arguments, code=1)
    assert words in result.stderr
    assert result.stdout == ""
    assert len(stored(url)) == 1


@pytest.mark.parametrize("verb", [["list"], ["rotate", "abcdefgh"], ["revoke", "abcdefgh"]])
def test_a_store_that_is_not_there_is_not_made_by_looking_for_a_key(tmp_path: Path, verb: list[str]) -> None:
    result = run(*verb, "--store", f"sqlite:///{tmp_path}/typo.db", code=1)
    assert "there is no store at" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_another_store_than_that_of_the_settings_can_be_named(url: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    add("--store", other)
    assert len(stored(other)) == 1
    assert not (tmp_path / "events.db").exists()
    assert "'mysql'" in run("list", "--store", "mysql://u:secret@h/d", code=2).stderr
    assert run("add", "--tenant", "Ä", "--name", "x", "--scope", "rank", code=2)
