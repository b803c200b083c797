"""The commands as a user types them: bad input is named by file, line and field, and nothing bad is stored."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from features.catalogue import Item
from features.cli import app
from features.readers.base import Refusal
from features.store import Counts, EventStore

GOOD = {"event_id": "e1", "learner_id": "ann", "verb": "started", "object_id": "excel", "occurred_at": "2026-01-31T09:00:00Z"}
SECOND = {**GOOD, "event_id": "e2", "learner_id": "bob", "object_id": "word"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def ingest(path: str, *more: str, format: str = "events") -> Result:
    return run("ingest", "--tenant", "acme", "--format", format, *more, path)


def events(*lines: Any, name: str = "log.jsonl") -> str:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    Path(name).write_text(text + "\n", encoding="utf-8")
    return name


def mars(**files: str) -> str:
    given = {
        "items_en": "item_id,language,name,nb_views,description,created_at,Difficulty,Job,Software,Theme,duration,type\n"
        "10,en,Pivot tables,5.0,N/A,2018,N/A,[],['Excel'],[],81.0,tutorial\n",
        "users_en": "user_id,job\n1,N/A\n",
        "implicit_ratings_en": "item_id,user_id,created_at\n10,1,2018-01-15 12:00:00\n",
        "explicit_ratings_en": "user_id,item_id,watch_percentage,created_at,rating\n1,10,40,2018-07-15 12:00:00,4\n",
    }
    Path("mars").mkdir()
    for name, text in {**given, **files}.items():
        Path("mars", f"{name}.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    return "mars"


def counts(tenant: str = "acme") -> Counts:
    store = EventStore.open("sqlite:///var/events.db")
    found = store.tenant(tenant).counts()
    store.close()
    return found


def test_good_rows_are_stored_and_counted() -> None:
    path = events(GOOD, SECOND)
    first, again = ingest(path), ingest(path)
    assert first.exit_code == again.exit_code == 0, first.output
    assert "2 rows = 2 accepted + 0 duplicate + 0 refused" in first.stdout
    assert "2 rows = 0 accepted + 2 duplicate + 0 refused" in again.stdout
    assert counts().events == 2


FUTURE = (datetime.now(UTC) + timedelta(days=30)).isoformat()
BAD_EVENTS = {
    "an unknown verb": ({**SECOND, "verb": "watched"}, "verb: unknown verb 'watched'; known verbs: assigned, enrolled"),
    "a missing field": ({k: v for k, v in SECOND.items() if k != "object_id"}, "object_id: the field is missing"),
    "an unknown field": ({**SECOND, "colour": "red"}, "colour: the field is unknown"),
    "a time in the future": ({**SECOND, "occurred_at": FUTURE}, "occurred_at: "),
    "recorded in the future": ({**SECOND, "recorded_at": FUTURE}, "recorded_at: "),
    "a zone-less time": (
        {**SECOND, "occurred_at": "2026-01-31T09:00:00"},
        "occurred_at: '2026-01-31T09:00:00' has no time zone",
    ),
    "not a time": ({**SECOND, "occurred_at": "soon"}, "occurred_at: "),
    "another tenant": ({**SECOND, "tenant": "other"}, "tenant: the line belongs to 'other', this import to 'acme'"),
    "a score above 1": ({**SECOND, "result": {"score": 80}}, "result.score: "),
    "a NaN": ('{"event_id": "e2", "result": {"score": NaN}}', ""),
    "the same id with other content": ({**GOOD, "object_id": "word"}, "event_id: 'e1': this id stands in the file already"),
    "before 1901": ({**SECOND, "occurred_at": "1900-12-31T23:59:59Z"}, "occurred_at: 1900-12-31T23:59:59+00:00 is before 1901"),
    "recorded before": ({**SECOND, "recorded_at": "1970-01-01T00:00:00Z"}, "recorded_at: 1970-01-01T00:00:00+00:00 is"),
    "before the calendar": (
        {**SECOND, "occurred_at": "0001-01-01T00:00:00+14:00"},
        "occurred_at: 0001-01-01T00:00:00+14:00 lies outside the years 1 to 9999",
    ),
    "after the calendar": (
        {**SECOND, "occurred_at": "9999-12-31T23:59:00-14:00"},
        "occurred_at: 9999-12-31T23:59:00-14:00 lies outside the years 1 to 9999",
    ),
    "the last instant": (
        {**SECOND, "recorded_at": "9999-12-31T23:59:59Z"},
        "recorded_at: 9999-12-31T23:59:59+00:00 is in the future",
    ),
    "half a character": ('{"event_id": "e2", "context": {"a": "\\ud800"}}', "context: a text holds half of a character"),
    "half a character in a key": ('{"event_id": "e2", "\\uD800": 1}', "\\ud800: a text holds half of a character"),
    "half a character without an id": ('{"learner_id": "\\udfff"}', "learner_id: a text holds half of a character"),
    "a key twice": (
        '{"event_id": "e2", "verb": "saved", "verb": "started"}',
        "broken JSON line: the key 'verb' stands twice in one object",
    ),
    "a key twice within": ('{"event_id": "e2", "context": {"a": 1, "a": 2}}', "broken JSON line: the key 'a' stands twice"),
    "a broken line": ('{"event_id": "e2",', "broken JSON line: "),
    "not an object": ("[1]", "broken JSON line: an object in braces is expected, not list"),
}


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_one_bad_line_stores_nothing(what: str) -> None:
    bad, words = BAD_EVENTS[what]
    done = ingest(events(GOOD, "", bad))
    assert done.exit_code == 1
    assert f"log.jsonl, line 3: {words}" in done.stderr
    assert "Nothing was stored: 1 bad rows" in done.stderr
    assert counts().events == 0


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_with_skip_bad_the_good_lines_are_kept_and_the_bad_written_down(what: str) -> None:
    bad, words = BAD_EVENTS[what]
    done = ingest(events(GOOD, "", bad), "--skip-bad")
    assert done.exit_code == 0
    assert "2 rows = 1 accepted + 0 duplicate + 1 refused" in done.stdout
    assert "1 refused rows are listed in var/refused/acme-log.jsonl" in done.stderr
    (listed,) = map(json.loads, Path("var/refused/acme-log.jsonl").read_text().splitlines())
    assert (listed["file"], listed["line"]) == ("log.jsonl", 3)
    assert words in f"{listed['field']}: {listed['reason']}" or words in listed["reason"]
    assert counts().events == 1


def test_an_id_with_other_content_than_the_store_has_is_refused() -> None:
    ingest(events(GOOD))
    path = events(SECOND, {**GOOD, "object_id": "word"}, name="second.jsonl")
    done = ingest(path)
    assert done.exit_code == 1
    assert "second.jsonl, line 2: event_id: 'e1': this id stands in the store already, with other content" in done.stderr
    assert counts().events == 1
    assert "2 rows = 1 accepted + 0 duplicate + 1 refused" in ingest(path, "--skip-bad", "--refused", "mine.jsonl").stdout
    assert len(Path("mine.jsonl").read_text().splitlines()) == 1


def test_ten_refusals_are_shown_and_the_rest_counted() -> None:
    done = ingest(events(GOOD, *({**GOOD, "event_id": f"b{n}", "verb": "x"} for n in range(12))))
    assert done.stderr.count("unknown verb 'x'") == 10
    assert "... and 2 more" in done.stderr
    assert "12 bad rows" in done.stderr


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file(content: str) -> None:
    Path("log.jsonl").write_text(content)
    for done in (ingest("log.jsonl"), ingest("log.jsonl", "--skip-bad")):
        assert done.exit_code == 1
        assert "log.jsonl: the file is empty" in done.stderr


def test_a_folder_without_events() -> None:
    Path("empty").mkdir()
    done = ingest("empty")
    assert done.exit_code == 1
    assert "events.jsonl: the file does not exist" in done.stderr


def test_broken_utf_8() -> None:
    Path("log.jsonl").write_bytes(json.dumps(GOOD).encode() + b'\n{"learner_id": "\xff"}\n')
    done = ingest("log.jsonl")
    assert done.exit_code == 1
    assert "log.jsonl, line 2: the text is not UTF-8 (byte 17)" in done.stderr


def test_a_bad_catalogue_row_stores_nothing() -> None:
    Path("org").mkdir()
    events(GOOD, name="org/events.jsonl")
    events(
        {"id": "a", "title": "A"}, {"id": "b", "title": "B", "type": "opera"}, {"id": "a", "title": "C"}, name="org/items.jsonl"
    )
    done = ingest("org")
    assert done.exit_code == 1
    assert "items.jsonl, line 2: type: " in done.stderr
    assert "items.jsonl, line 3: id: 'a': this id stands in the file already, with other content" in done.stderr
    assert (counts().events, counts().catalogue["item"]) == (0, 0)
    kept = ingest("org", "--skip-bad")
    assert "catalogue: 1 new, 0 changed, 0 unchanged, 2 refused" in kept.stdout
    assert (counts().events, counts().catalogue["item"]) == (1, 1)


BAD_MARS = {
    "a missing column": (
        {"implicit_ratings_en": "item_id,created_at\n10,2018-01-15 12:00:00\n"},
        "implicit_ratings_en.csv, line 1: user_id: the column is missing; the header has: item_id, created_at",
    ),
    "a short line": (
        {"implicit_ratings_en": "item_id,user_id,created_at\n10,1,2018-01-15 12:00:00\n10,1\n"},
        "implicit_ratings_en.csv, line 3: broken CSV line: 2 cells under 3 columns",
    ),
    "an open quote": (
        {"implicit_ratings_en": 'item_id,user_id,created_at\n10,"1,2018-01-15 12:00:00\n'},
        "implicit_ratings_en.csv, line 2: broken CSV line: a quote is left open",
    ),
    "an open quote in the header": (
        {"users_en": 'user_id,"job\n1,N/A\n'},
        "users_en.csv, line 1: broken CSV line: a quote is left open",
    ),
    "broken UTF-8 in the header": ({"users_en": "user_id,job\udce9\n1,N/A\n"}, "users_en.csv, line 1: the text is not UTF-8"),
    "a column twice": ({"users_en": "user_id,job,job\n1,N/A,N/A\n"}, "users_en.csv, line 1: job: the column stands twice"),
    "a time before the calendar": (
        {"implicit_ratings_en": "item_id,user_id,created_at\n10,1,0001-01-01 00:00:00\n"},
        "implicit_ratings_en.csv, line 2: created_at: 0001-01-01T00:00:00+00:09:21 lies outside the years 1 to 9999",
    ),
    "broken UTF-8": (
        {"users_en": "user_id,job\n1,caf\udce9\n"},
        "users_en.csv, line 2: job: the text is not UTF-8",
    ),
    "an empty file": ({"implicit_ratings_en": ""}, "implicit_ratings_en.csv: the file is empty"),
    "only a header": ({"users_en": "user_id,job\n"}, "users_en.csv: the file is empty: a header and no rows"),
    "a time in the future": (
        {"implicit_ratings_en": "item_id,user_id,created_at\n10,1,2999-01-15 12:00:00\n"},
        "implicit_ratings_en.csv, line 2: created_at: 2999-01-15T11:00:00+00:00 is in the future",
    ),
    "lines within quotes": (
        {"implicit_ratings_en": 'item_id,user_id,created_at\n10,"1\n2",2018-01-15 12:00:00\n10,1,never\n'},
        "implicit_ratings_en.csv, line 2: broken CSV line: a quote is left open (a row must stand on one line)",
    ),
}


@pytest.mark.parametrize("what", BAD_MARS)
def test_bad_csv_is_named_by_file_line_and_column(what: str) -> None:
    files, words = BAD_MARS[what]
    done = ingest(mars(**files), "--timezone", "Europe/Paris", format="mars")
    assert done.exit_code == 1
    assert words in done.stderr
    assert counts().events == 0


@pytest.mark.parametrize("what", BAD_MARS)
def test_bad_csv_with_skip_bad_is_written_down(what: str) -> None:
    files, words = BAD_MARS[what]
    done = ingest(mars(**files), "--timezone", "Europe/Paris", "--skip-bad", format="mars")
    assert words in done.stderr
    listed = Path("var/refused/acme-mars.jsonl").read_text(encoding="utf-8").splitlines()
    assert any(str(Refusal(**json.loads(line))).startswith(words) for line in listed)


def test_an_open_quote_costs_one_line_and_not_the_rest() -> None:
    lines = ["item_id,user_id,created_at", *(f"10,1,2018-01-15 12:{n // 60:02}:{n % 60:02}" for n in range(3_000))]
    lines[100] = '10,"1,2018-01-15 12:00:00'
    done = ingest(mars(implicit_ratings_en="\n".join(lines)), "--timezone", "Europe/Paris", "--skip-bad", format="mars")
    assert "3,001 rows = 3,000 accepted + 0 duplicate + 1 refused" in done.stdout
    assert "implicit_ratings_en.csv, line 101: broken CSV line: a quote is left open" in done.stderr


def test_a_missing_file_is_named() -> None:
    Path(mars(), "users_en.csv").unlink()
    done = ingest("mars", "--timezone", "Europe/Paris", format="mars")
    assert done.exit_code == 1
    assert "users_en.csv: the file does not exist" in done.stderr


def test_zone_less_times_need_a_zone() -> None:
    done = ingest(mars(), format="mars")
    assert done.exit_code == 1
    assert "implicit_ratings_en.csv, line 2: created_at: '2018-01-15 12:00:00' has no time zone: give --timezone" in done.stderr


def test_sequences_cannot_be_stored() -> None:
    Path("log.txt").write_text("1 2 3\n")
    done = ingest("log.txt", format="sequences")
    assert done.exit_code == 1
    assert "order but no time" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("ingest", "--tenant", "acme", "--format", "events", "nowhere"),
        ("ingest", "--tenant", "acme", "--format", "xls", "."),
        ("ingest", "--tenant", "acme", "--format", "events", "--timezone", "Mars/Base", "."),
        ("ingest", "--tenant", "Not A Tenant", "--format", "events", "."),
        ("ingest", "--tenant", "acme", "--format", "events", "--store", "nonsense", "."),
        ("ingest", "--format", "events", "."),
        ("check",),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


@pytest.mark.parametrize("command", [("check",), ("materialize",), ("ingest", "--format", "events", "log.jsonl")])
@pytest.mark.parametrize("store", ["text.txt", "folder", "text.txt/events.db"])
def test_a_store_that_is_no_database(command: tuple[str, ...], store: str) -> None:
    events(GOOD)
    Path("folder").mkdir()
    Path("text.txt").write_text("this is not a database\n" * 100)
    done = run(*command, "--tenant", "acme", "--store", f"sqlite:///{store}")
    assert done.exit_code == 2
    assert f"Error: the store 'sqlite:///{store}' cannot be opened: " in done.stderr
    assert Path("text.txt").read_text() == "this is not a database\n" * 100


def test_a_lake_that_is_a_file() -> None:
    ingest(events(GOOD))
    done = run("materialize", "--tenant", "acme", "--lake", "log.jsonl")
    assert done.exit_code == 1
    assert "Error: " in done.stderr


def test_a_database_with_other_tables() -> None:
    with closing(sqlite3.connect("other.db")) as connection:
        connection.execute("CREATE TABLE events (id, tenant, seq, occurred_at)")
    done = ingest(events(GOOD), "--store", "sqlite:///other.db")
    assert done.exit_code in (1, 2)
    assert "Error: the store 'sqlite:///other.db' cannot be " in done.stderr


@pytest.mark.parametrize("target", ["folder", "log.jsonl", "./folder/../log.jsonl", "link", "var/events.db", "log.jsonl/x"])
def test_refused_rows_do_not_overwrite_what_is_read(target: str) -> None:
    ingest(events(GOOD))
    Path("folder").mkdir()
    Path("link").hardlink_to("log.jsonl")
    before = Path("log.jsonl").read_bytes(), Path("var/events.db").read_bytes()
    done = ingest(events(GOOD, "{"), "--skip-bad", "--refused", target)
    assert done.exit_code == 2
    assert f"Error: --refused {Path(target)}" in done.stderr
    assert (Path("log.jsonl").read_bytes(), Path("var/events.db").read_bytes()) == (before[0] + b"{\n", before[1])


def test_refused_rows_do_not_overwrite_a_file_of_the_folder() -> None:
    Path("org").mkdir()
    events(GOOD, name="org/events.jsonl")
    items = Path(events("{", name="org/items.jsonl"))
    assert ingest("org", "--skip-bad", "--refused", "org/items.jsonl").exit_code == 2
    assert items.read_text() == "{\n"
    for _ in range(2):  # a file of its own may stand there, and be written anew
        assert ingest("org", "--skip-bad", "--refused", "org/refused.jsonl").exit_code == 0


def test_a_catalogue_that_somebody_changed_meanwhile() -> None:
    Path("org").mkdir()
    events(GOOD, name="org/events.jsonl")
    events({"id": "excel", "title": "Excel"}, name="org/items.jsonl")
    with closing(EventStore.open("sqlite:///var/events.db")) as store:
        store.tenant("acme").put([Item(id="excel", title="Other")], at=datetime.now(UTC) + timedelta(minutes=1))
    done = ingest("org")
    assert done.exit_code == 1
    assert "item 'excel' changed at" in done.stderr
    assert "Run the same command again" in done.stderr


def test_two_learners_of_one_name_are_refused_by_name() -> None:
    Path("org").mkdir()
    events(GOOD, name="org/events.jsonl")
    events({"id": "ann", "aliases": ["mail"]}, {"id": "bob", "aliases": ["mail"]}, name="org/learners.jsonl")
    done = ingest("org")
    assert done.exit_code == 1
    assert "'mail' of learner 'ann' is an alias of learner 'bob', and a name leads to one" in done.stderr
    assert "mend the file and run the same command again" in done.stderr


def test_one_learner_or_one_item_fails_the_check() -> None:
    ingest(events(GOOD))
    for command in ("check", "materialize"):
        done = run(command, "--tenant", "acme")
        assert done.exit_code == 1
        assert "FAIL  learners: only 1 learner took up an item: from one learner nothing can be learned" in done.stdout
        assert "FAIL  items: only 1 item was taken up: with one item there is nothing to choose from" in done.stdout


def test_a_tenant_without_events_fails_the_check() -> None:
    done = run("check", "--tenant", "acme")
    assert done.exit_code == 1
    assert "FAIL  events: no events of tenant 'acme' are stored" in done.stdout


def test_a_catalogue_without_events_can_begin() -> None:
    assert run("materialize", "--tenant", "acme").exit_code == 1  # nothing at all
    Path("org").mkdir()
    events({"id": "excel", "title": "Excel"}, name="org/items.jsonl")
    assert ingest("org").exit_code == 0
    done = run("materialize", "--tenant", "acme")
    assert done.exit_code == 0
    assert "PASS  catalogue: 1 items and no events yet: `python -m training start --tenant acme` serves them" in done.stdout
    assert run("check", "--tenant", "acme").exit_code == 1


def test_the_whole_way_from_files_to_the_lake() -> None:
    Path("org").mkdir()
    events(GOOD, SECOND, name="org/events.jsonl")
    events({"id": "excel", "title": "Excel"}, {"id": "word", "title": "Word"}, name="org/items.jsonl")
    assert ingest("org", "--timezone", "Europe/Paris").exit_code == 0
    done = run("materialize", "--tenant", "acme")
    assert done.exit_code == 0, done.output
    assert "1 of 1 days written under var/lake" in done.stdout
    assert "FAIL" not in done.stdout
    report = json.loads(run("materialize", "--tenant", "acme", "--json").stdout)
    assert (report["lake"]["events"], report["lake"]["days_written"]) == (2, 0)
    assert all(check["passed"] for check in report["checks"])
    (found,) = json.loads(Path("var/lake/manifests/acme.json").read_text())["imports"]
    assert (found["timezone"], found["format"], found["source"]) == ("Europe/Paris", "events", "org")


def test_counts_as_json() -> None:
    done = json.loads(ingest(events(GOOD), "--json").stdout)
    assert done["rows"] == done["accepted"] == 1
