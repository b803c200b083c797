"""CSV files into the store: all or the good ones, once only, and on from where a killed run ended."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from features.cli import app
from features.ingest import Ingested
from features.ingest_csv import ingest_csv, reading_key
from features.readers import csv_process, csv_text
from features.readers.csv_events import CsvFile
from features.readers.csv_map import CsvMap
from features.store import EventStore, Progress, TenantSession

ROOT = Path(__file__).parents[2]
HEADER = "learner_id,verb,object_id,occurred_at\n"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def session(store_url: str) -> Iterator[TenantSession]:
    store = EventStore.open(store_url)
    yield store.tenant("acme")
    store.close()


def line(number: int, learner: str = "") -> str:
    return f"{learner or f'l{number}'},passed,excel,2026-01-31T09:{number % 60:02}:00Z\n"


def given(*lines: str, header: str = HEADER, **said: Any) -> CsvFile:
    Path("log.csv").write_text(header + "".join(lines), encoding="utf-8")
    return CsvFile(Path("log.csv"), CsvMap(**said), "acme", NOW)


def ingest(
    session: TenantSession, file: CsvFile, *, skip_bad: bool = False, apart_bytes: int = 10**9, advance: Any = None
) -> Ingested:
    return ingest_csv(
        session,
        file,
        skip_bad=skip_bad,
        refused=Path("bad.jsonl"),
        facts={},
        advance=advance or (lambda _: None),
        apart_bytes=apart_bytes,
    )


def counted(found: Ingested) -> tuple[int, int, int]:
    return found.accepted, found.duplicates, found.refused


def cli(*words: str, store: str = "sqlite:///events.db") -> Result:
    return CliRunner().invoke(app, ["ingest", "--format", "csv", "--tenant", "acme", "--store", store, *words])


def test_a_file_is_stored_once(session: TenantSession) -> None:
    file = given(line(1), line(1), line(2))
    assert counted(ingest(session, file)) == (3, 0, 0)
    assert counted(ingest(session, file)) == (0, 3, 0)
    assert session.counts().events == 3
    assert [facts["accepted"] for facts in session.imports()] == [3, 0]
    assert session.progress(reading_key(file, False)) is None


def test_an_export_that_overlaps_adds_only_what_is_new(session: TenantSession) -> None:
    ingest(session, given(line(1), line(2), line(2)))
    assert counted(ingest(session, given(line(2), line(2), line(2), line(3)))) == (2, 2, 0)


def test_one_bad_row_stores_nothing(session: TenantSession) -> None:
    file = given(line(1), "ann,watched,excel,2026-01-31T09:00:00Z\n", line(2))
    found = ingest(session, file)
    assert (found.stored, found.refused, session.counts().events) == (False, 1, 0)
    assert str(found.first[0]).startswith("log.csv, line 3: verb: unknown verb 'watched'")


def test_with_skip_bad_the_good_rows_are_stored_and_the_bad_written_down(session: TenantSession) -> None:
    file = given(line(1), "ann,watched,excel,2026-01-31T09:00:00Z\n", "broken\n", line(2))
    assert counted(ingest(session, file, skip_bad=True)) == (2, 0, 2)
    assert [json.loads(one)["line"] for one in Path("bad.jsonl").read_text().splitlines()] == [3, 4]


IDS = "event_id," + HEADER


@pytest.mark.parametrize("skip_bad", [False, True])
def test_an_id_with_other_content_is_refused(session: TenantSession, skip_bad: bool) -> None:
    ingest(session, given("e1," + line(1), header=IDS))
    found = ingest(session, given("e1," + line(1), "e1," + line(2), "e2," + line(3), header=IDS), skip_bad=skip_bad)
    assert counted(found) == ((1, 1, 1) if skip_bad else (0, 0, 1))
    assert "event_id: 'e1': this id stands in the" in str(found.first[0])
    assert session.counts().events == (2 if skip_bad else 1)


def test_an_id_twice_in_the_file_with_other_content_stores_nothing(session: TenantSession) -> None:
    found = ingest(session, given("e1," + line(1), "e1," + line(1), "e1," + line(2), header=IDS))
    assert (found.stored, session.counts().events) == (False, 0)
    assert str(found.first[0]) == "log.csv, line 4: event_id: 'e1': this id stands in the file already, with other content"


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from features.ingest_csv import ingest_csv
from features.readers import csv_text
from features.readers.csv_events import CsvFile
from features.readers.csv_map import CsvMap
from features.store import EventStore, TenantSession
when, calls, append = sys.argv[1], 0, TenantSession.append_values
def killing(self, rows, **more):
    global calls
    calls += 1
    if calls == 4 and when == "before": os.kill(os.getpid(), signal.SIGKILL)
    done = append(self, rows, **more)
    if calls == 4 and when == "after": os.kill(os.getpid(), signal.SIGKILL)
    return done
TenantSession.append_values = killing
csv_text._LINES = 10
file = CsvFile(Path("log.csv"), CsvMap(), "acme", datetime(2026, 3, 1, tzinfo=UTC))
session = EventStore.open(sys.argv[3]).tenant("acme")
ingest_csv(session, file, skip_bad=sys.argv[2] == "True", refused=Path("bad.jsonl"), facts={}, advance=lambda _: None)
"""


@pytest.mark.parametrize(("when", "skip_bad"), [("before", True), ("after", False)])
def test_a_killed_run_is_taken_up_again(
    session: TenantSession, store_url: str, monkeypatch: pytest.MonkeyPatch, when: str, skip_bad: bool
) -> None:
    """Every third row is one of the same two, so ids hang on how often a row came before the kill. With bad rows each tenth."""
    lines = [line(n % 2, "same") if n % 3 == 0 else line(n) for n in range(70)]
    if skip_bad:
        lines[::10] = ["broken\n"] * 7
    file = given(*lines)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, when, str(skip_bad), store_url], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert killed.returncode == -signal.SIGKILL
    monkeypatch.setattr(csv_text, "_LINES", 10)
    bad, good = (7, 63) if skip_bad else (0, 70)
    assert session.counts().events == (4 if when == "after" else 3) * (9 if skip_bad else 10)
    again = ingest(session, file, skip_bad=skip_bad)
    assert counted(again) == (good, 0, bad)
    assert again.resumed_after == (41 if when == "after" else 31)
    assert session.counts().events == good
    if skip_bad:
        assert [json.loads(one)["line"] for one in Path("bad.jsonl").read_text().splitlines()] == list(range(2, 72, 10))
    assert counted(ingest(session, file, skip_bad=skip_bad)) == (0, good, bad)


def test_a_run_ended_between_two_parts_of_a_batch_counts_each_row_once(
    session: TenantSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_text, "_LINES", 10)
    monkeypatch.setattr("features.pace.MAX_BATCH", 4)
    file = given(*("broken\n" if number % 5 == 1 else line(number) for number in range(20)))  # eight good ones a batch
    whole, calls = TenantSession.append_values, 0

    def ending(self: TenantSession, rows: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return whole(self, rows, **more)

    with monkeypatch.context() as patched:
        patched.setattr(TenantSession, "append_values", ending)
        with pytest.raises(KeyboardInterrupt):
            ingest(session, file, skip_bad=True)
    assert session.counts().events == 12
    found = ingest(session, file, skip_bad=True)
    assert (counted(found), session.counts().events) == ((16, 0, 4), 16)
    assert found.resumed_after == 16
    assert [json.loads(one)["line"] for one in Path("bad.jsonl").read_text().splitlines()] == [3, 8, 13, 18]


def test_a_run_may_be_ended_again_before_it_gets_on(session: TenantSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "_LINES", 2)
    file = given(*map(line, range(7)), "broken\n")
    calls = 0

    def stop(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls in (3, 4):  # after three batches, and after the first of the run that takes it up
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            ingest(session, file, skip_bad=True, advance=stop)
    found = ingest(session, file, skip_bad=True)
    assert (counted(found), found.resumed_after, session.counts().events) == ((7, 0, 1), 7, 7)


def test_a_file_changed_after_a_kill_begins_anew(session: TenantSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "_LINES", 2)
    file = given(*map(line, range(6)))

    def stop(_: int) -> None:
        if session.counts().events == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(session, file, advance=stop)
    found = ingest(session, given(*map(line, range(7))))
    assert (counted(found), found.resumed_after) == ((3, 4, 0), 0)


@pytest.mark.parametrize("change", ["grows", "shrinks", "vanishes"])
@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_file_that_changes_while_it_is_read(
    session: TenantSession, monkeypatch: pytest.MonkeyPatch, change: str, skip_bad: bool
) -> None:
    monkeypatch.setattr(csv_text, "_LINES", 2)
    file = given(*map(line, range(6)))

    def alter(_: int) -> None:
        path = Path("log.csv")
        if change == "vanishes":
            path.unlink(missing_ok=True)
        else:
            path.write_text(HEADER + "".join(map(line, range(9 if change == "grows" else 3))))

    found = ingest(session, file, skip_bad=skip_bad, advance=alter)
    words = "the file vanished" if change == "vanishes" else "the file was changed while it was read"
    assert not found.stored
    assert words in (found.stopped if skip_bad else str(found.first[0]))
    assert session.counts().events == (2 if skip_bad else 0)


FULL = """
import resource, signal, sys
from features.cli import app
from features.readers import csv_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
csv_text._LINES = 2_000
app(sys.argv[1:])
"""


def test_a_full_disk_stops_and_the_next_run_goes_on(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EventStore.open(sqlite_url)
    session = store.tenant("acme")
    monkeypatch.setattr(csv_text, "_LINES", 2_000)
    given(*map(line, range(9_000)))
    words = ["ingest", "--format", "csv", "--tenant", "acme", "--store", sqlite_url, "log.csv"]
    full = subprocess.run(
        [sys.executable, "-c", FULL, *words], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert full.returncode == 1, full.stderr
    assert "cannot be used: " in full.stderr
    stored = session.counts().events
    assert 0 < stored < 9_000
    done = cli("log.csv", "--json", store=sqlite_url)
    assert json.loads(done.stdout)["accepted"] == session.counts().events == 9_000
    store.close()


@pytest.mark.parametrize("skip_bad", [False, True])
def test_rows_are_accepted_duplicate_or_refused_and_never_two_of_these(session: TenantSession, skip_bad: bool) -> None:
    """Of 12 lines one is blank and one of empty cells: 10 rows, whatever stands in the store already."""
    ingest(session, given("e1," + line(1), "e2," + line(2), header=IDS))
    bad = ["e5,broken\n", 'e6,"open,passed,excel,2026-01-31T09:00:00Z\n', "e2," + line(9), "e3," + line(9)] if skip_bad else []
    good = ["e1," + line(1), "e2," + line(2), "e3," + line(3), "e3," + line(3), "e4," + line(4), "e7," + line(7)]
    file = given(*good, "\n", ",,,,\n", *bad, header=IDS)
    assert counted(ingest(session, file, skip_bad=skip_bad)) == (3, 3, len(bad))
    assert counted(ingest(session, file, skip_bad=skip_bad)) == (0, 6, len(bad))


def test_a_file_without_a_good_row_says_so_each_time(session: TenantSession, store_url: str) -> None:
    file = given("broken\n", "ann,watched,excel,2026-01-31T09:00:00Z\n")
    for _ in range(2):
        done = cli("log.csv", "--skip-bad", "--refused", "bad.jsonl", store=store_url)
        assert done.exit_code == 1
        assert "log.csv, line 3: verb: unknown verb" in done.stderr
        assert "earlier run" not in done.stdout
    assert session.progress(reading_key(file, True)) is None


def test_a_resumed_run_counts_what_it_does_not_list(
    session: TenantSession, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_text, "_LINES", 1)
    file = given("broken\n", line(1))
    key = reading_key(file, True)
    session.append_prepared([], progress=Progress(key, line=2, refused=1))
    done = cli("log.csv", "--skip-bad", "--refused", "bad.jsonl", store=store_url)
    assert "2 rows = 1 accepted + 0 duplicate + 1 refused" in done.stdout
    assert "... and" not in done.stderr


def test_a_list_of_refusals_that_another_program_wrote_is_no_trouble(
    session: TenantSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_text, "_LINES", 1)
    file = given(line(1), "broken\n")
    session.append_prepared([], progress=Progress(reading_key(file, True), line=2, accepted=1))
    Path("bad.jsonl").write_bytes(b"\xff no JSON\n7\n")
    assert counted(ingest(session, file, skip_bad=True)) == (1, 0, 1)
    assert [json.loads(one)["line"] for one in Path("bad.jsonl").read_text().splitlines()] == [3]


def test_two_readings_of_one_file_at_once_store_it_once(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "_LINES", 5)
    file = given(*map(line, range(60)), line(3))
    store = EventStore.open(store_url)
    found: list[Ingested] = []
    runs = [Thread(target=lambda: found.append(ingest(store.tenant("acme"), file))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [one.rows for one in found] == [61, 61]  # the second counts as its own what the first had stored when it began
    assert sum(one.accepted for one in found) >= store.tenant("acme").counts().events == 61
    store.close()


def test_the_end_of_the_reading_process_is_told_and_the_next_run_goes_on(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_process, "AHEAD", 1)
    store = EventStore.open(sqlite_url)
    session = store.tenant("acme")
    file = given(*map(line, range(25_000)))

    def kill(_: int) -> None:
        for process in multiprocessing.active_children():
            process.kill()
            process.join()

    with pytest.raises(ChildProcessError, match="ended without a word"):
        ingest(session, file, skip_bad=True, apart_bytes=0, advance=kill)
    assert 0 < session.counts().events < 25_000
    assert counted(ingest(session, file, skip_bad=True, apart_bytes=0)) == (25_000, 0, 0)
    store.close()


def test_another_file_of_the_same_size_and_time_is_noticed(session: TenantSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "_LINES", 2)
    file = given(*map(line, range(6)))

    def replace(_: int) -> None:
        shutil.copy2("log.csv", "other.csv")
        os.replace("other.csv", "log.csv")

    found = ingest(session, file, skip_bad=True, advance=replace)
    assert "the file was changed while it was read" in found.stopped


def test_an_interrupted_run_says_how_to_go_on(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    given(line(1))
    monkeypatch.setattr("features.store.TenantSession.append_values", interrupt)
    done = cli("log.csv", store=sqlite_url)
    assert (done.exit_code, "Run the same command again" in done.stderr) == (130, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--map", "learner=Who"], 2, "Error: columns: unknown field 'learner'"),
        (["--map", "learner_id=Who"], 1, "log.csv, line 1: Who: the column is missing; the header has: learner_id, verb"),
        (["--encoding", "utf-16"], 1, "log.csv, line 1: the text is not UTF-16"),
        (["--timezone", "Nowhere"], 2, "Error: timezone: unknown time zone 'Nowhere'"),
        (["--mapping", "none.toml"], 2, "Error: none.toml: cannot be read as TOML"),
        (["--skip-bad", "--refused", "log.csv"], 2, "would overwrite log.csv, which is read"),
    ],
)
def test_what_is_said_wrongly_is_explained(words: list[str], code: int, said: str) -> None:
    given(line(1))
    done = cli("log.csv", *words)
    assert done.exit_code == code
    assert said in done.stderr


def test_csv_options_are_for_csv_only() -> None:
    given(line(1))
    done = CliRunner().invoke(app, ["ingest", "--format", "events", "--tenant", "acme", "--separator", ";", "log.csv"])
    assert (done.exit_code, done.stderr) == (2, "Error: --separator is for --format csv, not for events\n")


@pytest.mark.parametrize("data", [b"", HEADER.encode(), b"\0\0\0"])
def test_a_file_without_rows_stores_nothing(data: bytes) -> None:
    Path("log.csv").write_bytes(data)
    for more in ([], ["--skip-bad"]):
        done = cli("log.csv", *more)
        assert done.exit_code == 1
        assert "Nothing was stored" in done.stderr


def test_a_folder_is_refused() -> None:
    Path("folder").mkdir()
    done = cli("folder")
    assert (done.exit_code, "folder: this is a folder; name one CSV file" in done.stderr) == (1, True)


def test_the_summary_adds_up() -> None:
    Path("lms.csv").write_text("Nutzer;Kurs;Stand;Wann\nann;excel;fertig;31.01.2026 10:00\nbob;excel;?;31.01.2026 10:00\n")
    flags = ["--map", "learner_id=Nutzer", "--map", "object_id=Kurs", "--map", "verb=Stand", "--map", "occurred_at=Wann"]
    times = ["--time-format", "%d.%m.%Y %H:%M", "--timezone", "Europe/Berlin", "--verb-map", "fertig=completed"]
    done = cli("lms.csv", *flags, *times, "--skip-bad")
    assert done.exit_code == 0
    assert "note: the header is separated by a semicolon" in done.stdout
    assert "2 rows = 1 accepted + 0 duplicate + 1 refused" in done.stdout
    assert "lms.csv, line 3: Stand: unknown verb '?'" in done.stderr
