"""Back up and restore: across both databases, while others write, and what is refused."""

import gzip
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from features.audit import COMMAND_LINE, INSTALLATION, verify
from features.backup import back_up, restore
from features.catalogue import Item, Learner
from features.cli import app
from features.decisions import Decision, Randomisation
from features.events import Event, Result, Verb
from features.keys import Scope
from features.nudges import Choice, NudgeChoice
from features.store import EventStore, Progress, SchemaError
from features.store.wall import across

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def second_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Another empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/second.db"
    url: str = request.getfixturevalue("another_postgresql_url")
    return url


def event(event_id: str, tenant: str = "acme") -> Event:
    return Event(
        tenant=tenant,
        event_id=event_id,
        learner_id="ann",
        verb=Verb.COMPLETED,
        object_id="excel",
        occurred_at=NOON,
        recorded_at=NOON,
        result=Result(score=0.5),
        context={"title": 'Zoë\n\u2028 "quoted" \\ tab\t'},
    )


def decision(tenant: str) -> Decision:
    chance = Randomisation(epsilon=0.1, seed=7, support=3)
    return Decision(
        decision_id="d1", tenant=tenant, learner_id="ann", decided_at=NOON, bundle="b", policy="p", randomisation=chance
    )


def stopped(tenant: str) -> NudgeChoice:
    return NudgeChoice(action_id=tenant, learner_id="ann", choice=Choice.STOP, occurred_at=NOON, recorded_at=NOON)


def fill(url: str) -> None:
    opened = EventStore.open(url)
    for tenant in ("acme", "other"):
        session = opened.tenant(tenant)
        session.put([Item(id="excel", title="Excel", aliases=("xl",)), Learner(id="ann", aliases=("Ä", "a-1", "A"))], at=NOON)
        session.append_prepared([session.prepare(event(f"e{n}", tenant)) for n in range(3)], progress=Progress("logs.csv", 9))
        session.void(["e0", "to come"], by="v", at=NOON)
        session.record([decision(tenant)])
        session.record_import({"source": "logs.csv"})
        session.merge("zoe", "ann", occurred_at=NOON, at=NOON)
        session.choose_nudges(stopped(tenant))
        session.erase("gone", at=NOON)
        opened.keys().add(tenant, "lms", [Scope.RANK, Scope.INGEST], at=NOON)
        opened.grants().add("lender", tenant, at=NOON)
    with across(opened.engine).begin() as connection:  # the last event was erased: its number must not come again
        connection.execute(sa.text("DELETE FROM events WHERE tenant = 'other' AND event_id = 'e2'"))
    opened.close()


def everything(url: str, tenant: str = "acme") -> list[object]:
    opened = EventStore.open(url)
    session = opened.tenant(tenant)
    found = [list(session.events()), session.catalogue(), session.learners(), session.learner("Ä"), session.imports()]
    found += [list(session.voidings()), session.known_items(["xl"]), session.grants()]
    found += [list(session.decisions()), session.progress("logs.csv"), session.counts(), session.history("a-1")]
    found += [list(session.merges()), session.people(), session.nudge_choices("ann")]
    found += [opened.keys().listed(tenant), session.last_erasure()]
    opened.close()
    return found


def told_since(before: Path, after: Path) -> list[str]:
    """What the audit log tells in one backup and not in the other, which are the same but for that and their last line."""
    first, second = (gzip.decompress(path.read_bytes()).splitlines()[:-1] for path in (before, after))
    more = [json.loads(line) for line in second if line not in first]
    assert [line for line in second if line in first] == first
    return [row[4] for row in more]


def next_seq(url: str) -> int:
    opened = EventStore.open(url)
    opened.tenant("acme").append([event("next")])
    found = max(seq for seq, _ in opened.tenant("acme").events())
    opened.close()
    return found


def test_a_restored_store_answers_as_the_one_that_was_backed_up(store_url: str, second_url: str, tmp_path: Path) -> None:
    fill(store_url)
    made = back_up(store_url, tmp_path / "there.gz")
    assert restore(tmp_path / "there.gz", second_url) == made
    assert [everything(second_url, name) for name in ("acme", "other")] == [everything(store_url, n) for n in ("acme", "other")]
    again = back_up(second_url, tmp_path / "back.gz")
    assert told_since(tmp_path / "there.gz", tmp_path / "back.gz") == ["restored"]
    filled = {"events": 5, "catalogue": 4, "aliases": 6, "item_aliases": 2, "voidings": 4, "decisions": 2, "imports": 2}
    filled |= {
        "import_progress": 2,
        "statements": 0,
        "mentions": 0,
        "merges": 2,
        "nudge_choices": 2,
        "intake": 0,
        "api_keys": 2,
        "grants": 2,
        "erasure_keys": 2,
        "erasures": 2,
        "audit": 18,
        "audit_keys": 2,
    }
    assert made.rows == filled
    assert again.rows == made.rows | {"audit": 19}
    assert next_seq(second_url) == next_seq(store_url) == 7


def test_the_audit_log_goes_along_and_tells_of_the_backup_and_of_the_restore(
    store_url: str, second_url: str, tmp_path: Path
) -> None:
    fill(store_url)
    made = back_up(store_url, tmp_path / "all.gz")
    back_up(store_url, tmp_path / "acme.gz", tenant="acme")
    restore(tmp_path / "all.gz", second_url)
    old, new = EventStore.open(store_url), EventStore.open(second_url)
    (told,) = new.tenant(INSTALLATION).audit()
    assert (told.action, told.by) == ("restored", COMMAND_LINE)
    assert json.loads(told.details) == {"rows": sum(made.rows.values()), "sha256": made.sha256, "erased": 0}
    rows = list(old.tenant("acme").audit())
    assert list(new.tenant("acme").audit()) == rows[:-1]
    assert [row.action for row in rows[-2:]] == ["grant added", "backed up"]
    assert [row.action for row in old.tenant(INSTALLATION).audit()] == ["backed up"]
    new.tenant("acme").erase("ann", at=NOON)  # the chain goes on, with the pseudonyms that it had
    assert verify(new.tenant("acme").audit()).broken is None
    old.tenant("acme").erase("ann", at=NOON)
    assert [[row.subject for row in one.tenant("acme").audit()][-1] for one in (old, new)].count(None) == 0
    assert len({[row.subject for row in one.tenant("acme").audit()][-1] for one in (old, new)}) == 1
    old.close()
    new.close()


def test_one_tenant_can_be_taken_along(store_url: str, second_url: str, tmp_path: Path) -> None:
    fill(store_url)
    back_up(store_url, tmp_path / "acme.gz", tenant="acme")
    restore(tmp_path / "acme.gz", second_url)
    assert everything(second_url) == everything(store_url)
    opened = EventStore.open(second_url)
    assert opened.tenants() == ("acme",)
    opened.close()


def test_a_backup_of_a_tenant_that_is_not_there_is_refused(store_url: str, tmp_path: Path) -> None:
    fill(store_url)
    with pytest.raises(ValueError, match="no row of the tenant 'amce'"):
        back_up(store_url, tmp_path / "amce.gz", tenant="amce")
    assert not list(tmp_path.glob("*.gz"))


def test_a_backup_is_of_one_moment_while_others_write(store_url: str, tmp_path: Path) -> None:
    opened = EventStore.open(store_url)
    session = opened.tenant("acme")
    session.append([event(f"before-{n}") for n in range(100)])
    written = threading.Event()

    def write(_: int) -> None:  # called when the events are read, before the catalogue is
        if not written.is_set():
            written.set()
            session.append([event("meanwhile")])
            session.put([Item(id="excel", title="Excel")], at=NOON)

    made = back_up(store_url, tmp_path / "b.gz", advance=write)
    assert (made.rows["events"], made.rows["catalogue"]) == (100, 0)
    assert session.counts().events == 101
    opened.close()


def test_a_store_with_rows_is_not_overwritten(store_url: str, second_url: str, tmp_path: Path) -> None:
    fill(store_url)
    back_up(store_url, tmp_path / "b.gz")
    opened = EventStore.open(second_url)
    opened.tenant("mine").put([Item(id="own", title="Own")], at=NOON)
    with pytest.raises(ValueError, match=r"has rows \(catalogue, audit\)"):
        restore(tmp_path / "b.gz", second_url)
    assert opened.tenants() == ("mine",)
    opened.close()


def test_an_empty_store_is_filled_and_a_file_is_never_overwritten(store_url: str, second_url: str, tmp_path: Path) -> None:
    fill(store_url)
    EventStore.open(second_url).close()
    back_up(store_url, tmp_path / "b.gz")
    with pytest.raises(FileExistsError, match="name another file"):
        back_up(store_url, tmp_path / "b.gz")
    restore(tmp_path / "b.gz", second_url)
    assert everything(second_url) == everything(store_url)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def without_end(data: bytes) -> bytes:
    return gzip.compress(b"".join(gzip.decompress(data).splitlines(keepends=True)[:-1]))


def other_row(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data).replace(b'"excel"', b'"word"', 1))


def other_key(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data).replace(b'"version"', b'"versiom"', 1))


def no_backup(_: bytes) -> bytes:
    return b"PK\x03\x04"


@pytest.mark.parametrize("spoil", [cut, without_end, other_row, other_key, no_backup])
def test_a_damaged_backup_restores_nothing(spoil: Callable[[bytes], bytes], sqlite_url: str, tmp_path: Path) -> None:
    second_url = f"sqlite:///{tmp_path}/second.db"
    fill(sqlite_url)
    back_up(sqlite_url, tmp_path / "b.gz")
    (tmp_path / "bad.gz").write_bytes(spoil((tmp_path / "b.gz").read_bytes()))
    with pytest.raises(ValueError, match=r"bad\.gz is no whole backup"):
        restore(tmp_path / "bad.gz", second_url)
    restore(tmp_path / "b.gz", second_url)  # nothing stands in its way
    assert everything(second_url) == everything(sqlite_url)


def test_counts_that_do_not_belong_to_the_rows_restore_nothing(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    back_up(sqlite_url, tmp_path / "b.gz")
    lines = gzip.decompress((tmp_path / "b.gz").read_bytes())
    (tmp_path / "bad.gz").write_bytes(gzip.compress(lines.replace(b'"import_progress":2', b'"import_progresz":2')))
    with pytest.raises(ValueError, match="nothing was restored"):
        restore(tmp_path / "bad.gz", f"sqlite:///{tmp_path}/second.db")


KILLED = """
import os, signal, sys
from pathlib import Path
from features import backup
backup._compare = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
backup.restore(Path(sys.argv[1]), sys.argv[2])
"""


def test_a_killed_restore_leaves_nothing_and_can_be_run_again(store_url: str, tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path}/source.db"
    fill(source)
    made = back_up(source, tmp_path / "b.gz")
    words = [sys.executable, "-c", KILLED, str(tmp_path / "b.gz"), store_url]
    assert subprocess.run(words, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    assert restore(tmp_path / "b.gz", store_url) == made


def header(lines: list[bytes], **fields: object) -> bytes:
    return json.dumps({**json.loads(lines[0]), **fields}).encode() + b"\n"


def test_a_backup_of_a_newer_program_is_refused_by_name(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    back_up(sqlite_url, tmp_path / "b.gz")
    lines = gzip.decompress((tmp_path / "b.gz").read_bytes()).splitlines(keepends=True)
    body = b"".join([header(lines, version="0999"), *lines[1:-1]])
    end = json.dumps({**json.loads(lines[-1]), "sha256": sha256(body).hexdigest()}).encode()
    (tmp_path / "newer.gz").write_bytes(gzip.compress(body + end))
    with pytest.raises(ValueError, match="version 0999, newer than this program"):
        restore(tmp_path / "newer.gz", f"sqlite:///{tmp_path}/second.db")


def test_what_failed_leaves_no_file(store_url: str, tmp_path: Path) -> None:
    fill(store_url)

    def full(_: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        back_up(store_url, tmp_path / "b.gz", advance=full)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".db" and path.is_file()] == []


def test_the_commands(store_url: str, tmp_path: Path) -> None:
    run = CliRunner().invoke
    fill(store_url)
    made = run(app, ["backup", str(tmp_path / "b.gz"), "--store", store_url, "--json"])
    assert (made.exit_code, json.loads(made.stdout)["rows"]["events"]) == (0, 5)
    again = run(app, ["backup", str(tmp_path / "b.gz"), "--store", store_url])
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    restored = run(app, ["restore", str(tmp_path / "b.gz"), "--store", f"sqlite:///{tmp_path}/r.db"])
    assert (restored.exit_code, "5 events, 4 catalogue" in restored.output) == (0, True)
    missing = run(app, ["backup", str(tmp_path / "c.gz"), "--store", f"sqlite:///{tmp_path}/none.db"])
    assert (missing.exit_code, "there is no store" in missing.output) == (1, True)
    assert not (tmp_path / "none.db").exists()
    wrong = run(app, ["restore", str(tmp_path / "b.gz"), "--store", "postgresql://app:secret@host:port/x"])
    assert (wrong.exit_code, "is not a database URL" in wrong.output, "secret" in wrong.output) == (2, True, False)


def test_an_older_store_is_migrated_before_it_is_backed_up(store_url: str, tmp_path: Path) -> None:
    fill(store_url)
    engine = sa.create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    with pytest.raises(SchemaError, match="python -m features migrate"):
        back_up(store_url, tmp_path / "b.gz")
