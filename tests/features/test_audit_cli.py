"""The commands `audit verify` and `audit show`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.catalogue import Item, Learner
from features.cli import app
from features.store import EventStore
from features.store.wall import across

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(store_url: str) -> Iterator[EventStore]:
    opened = EventStore.open(store_url)
    for name in ("acme", "other"):
        session = opened.tenant(name, by="k1234567")
        session.put([Item(id="excel", title="Excel"), Learner(id="ann", aliases=("a-1",))], at=NOON)
        session.erase("a-1", at=NOON)
    yield opened
    opened.close()


def run(store_url: str, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["audit", *words, "--store", store_url])
    return done.exit_code, done.output


def tamper(store: EventStore, change: str) -> None:
    postgresql = store.engine.dialect.name == "postgresql"
    with across(store.engine).begin() as connection:
        for name in ("audit_only_grows ON audit",) if postgresql else ("audit_update", "audit_delete"):
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql(change)


def test_whole_chains_are_said_to_be_whole_with_an_anchor_each(store: EventStore, store_url: str) -> None:
    newest = [list(store.tenant(name).audit())[-1] for name in ("acme", "other")]
    code, words = run(store_url, "verify")
    assert code == 0
    assert words.splitlines() == [f"{row.tenant}: 2 rows, whole, newest 2:{row.hash}" for row in newest]
    anchor = f"2:{newest[0].hash}"
    store.tenant("acme").put([Item(id="word", title="Word")], at=NOON)
    assert run(store_url, "verify", "--tenant", "acme", "--anchor", anchor)[0] == 0
    code, words = run(store_url, "verify", "--tenant", "other", "--anchor", anchor, "--json")
    assert (code, json.loads(words)["other"]["broken"]) == (
        1,
        "row 2 is not the one of the anchor: it, or one before it, was written anew",
    )


def test_a_changed_row_fails_the_command_and_the_other_chain_is_whole(store: EventStore, store_url: str) -> None:
    tamper(store, "UPDATE audit SET outcome = 'x' WHERE tenant = 'acme' AND seq = 2")
    code, words = run(store_url, "verify")
    assert code == 1
    assert words.startswith("acme: BROKEN: row 2 was changed: its hash is not that of what it says (1 rows before are whole")
    assert "other: 2 rows, whole" in words


def test_rows_that_are_gone_at_the_end_are_found_by_an_anchor(store: EventStore, store_url: str) -> None:
    anchor = f"2:{list(store.tenant('acme').audit())[-1].hash}"
    tamper(store, "DELETE FROM audit WHERE tenant = 'acme' AND seq = 2")
    assert run(store_url, "verify")[0] == 0
    code, words = run(store_url, "verify", "--tenant", "acme", "--anchor", anchor)
    assert (code, "row 2 is missing: the chain ends at row 1" in words) == (1, True)
    tamper_all = "DELETE FROM audit WHERE tenant = 'acme'"
    with across(store.engine).begin() as connection:
        connection.exec_driver_sql(tamper_all)
    assert run(store_url, "verify", "--tenant", "acme", "--anchor", anchor)[0] == 1


def test_rows_are_shown_by_chain_and_by_learner(store: EventStore, store_url: str) -> None:
    code, words = run(store_url, "show", "--tenant", "acme")
    first, second = words.splitlines()
    assert code == 0
    assert first.startswith("1  20")
    assert first.endswith("UTC  k1234567  catalogue changed  changed 0, inserted 2, kinds item learner")
    assert "k1234567  learner erased " in second
    code, words = run(store_url, "show", "--tenant", "acme", "--learner", "ann", "--json")
    (row,) = json.loads(words)
    assert (code, row["seq"], row["details"]["catalogue"]) == (0, 2, 1)
    assert run(store_url, "show", "--tenant", "acme", "--learner", "bob", "--json") == (0, "[]\n")
    assert run(store_url, "show", "--installation") == (0, "")
    assert len(run(store_url, "show", "--tenant", "acme", "--after", "1")[1].splitlines()) == 1


def test_what_concerns_the_whole_store_stands_in_the_chain_of_the_installation(
    store: EventStore, store_url: str, tmp_path: Path
) -> None:
    invoke = CliRunner().invoke
    assert invoke(app, ["backup", str(tmp_path / "b.gz"), "--store", store_url]).exit_code == 0
    assert invoke(app, ["erasures", str(tmp_path / "e.json"), "--store", store_url]).exit_code == 0
    words = run(store_url, "show", "--installation")[1]
    assert [line.split("  ")[3] for line in words.splitlines()] == ["backed up", "erasures written"]
    assert "installation: 2 rows, whole" in run(store_url, "verify")[1]


def test_commands_tell_of_themselves(store: EventStore, store_url: str) -> None:
    invoke = CliRunner().invoke
    common = ["--tenant", "acme", "--store", store_url]
    assert invoke(app, ["export-learner", "bob", *common]).exit_code == 1
    assert invoke(app, ["erase", "bob", *common]).exit_code == 0
    found = [(row.action, row.outcome, row.by) for row in store.tenant("acme").audit(after=2)]
    assert found == [("learner exported", "nothing stored", "command line"), ("learner erased", "done", "command line")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "--anchor", "2:" + "0" * 64), "--anchor is of one chain"),
        (("verify", "--tenant", "acme", "--anchor", "2:xyz"), "is no SEQ:HASH"),
        (("verify", "--tenant", "acme", "--installation"), "exclude one another"),
        (("show",), "name a chain"),
    ],
)
def test_wrong_usage_is_told(sqlite_url: str, words: tuple[str, ...], said: str) -> None:
    code, output = run(sqlite_url, *words)
    assert (code, said in output) == (2, True)


def test_where_no_store_is_none_is_made(sqlite_url: str) -> None:
    for words in (("verify",), ("show", "--tenant", "acme")):
        code, output = run(sqlite_url, *words)
        assert (code, "there is no store" in output) == (1, True)
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_a_store_without_a_row_says_so(sqlite_url: str) -> None:
    EventStore.open(sqlite_url).close()
    assert run(sqlite_url, "verify") == (0, "The audit log has no row yet.\n")
