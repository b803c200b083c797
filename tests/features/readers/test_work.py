"""Rows of work systems: which rows show which skill, what is wrong named by line, and nothing counted twice."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from features.catalogue import Learner, Skill
from features.cli import app
from features.events import Event, Verb
from features.readers import work
from features.readers.base import Import, Refusal
from features.readers.csv_map import MapError
from features.readers.work_map import read_work_map
from features.store import EventStore, TenantSession

NOW = datetime(2026, 4, 1, tzinfo=UTC)
MAP = """
system = "crm"
[columns]
learner = "who"
row = "id"
time = "at"
"""
RULE = """
[[rules]]
skill = "negotiation"
level = 3
when = { stage = "Won", discount = { below = 5 } }
"""
HEADER = "id,who,stage,discount,at\n"
GOOD = "D1,ann,Won,3,2026-03-02T10:00:00Z\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def understood(rows: str, rules: str = RULE, head: str = MAP) -> tuple[list[Event], list[str], work.Tally]:
    Path("map.toml").write_text(head + rules, "utf-8")
    Path("deals.csv").write_text(HEADER + rows, "utf-8")
    reading, tally = work.read(Path("deals.csv"), Import("acme", NOW), read_work_map(Path("map.toml")))
    found = list(reading.events)
    return (
        [one.row for one in found if not isinstance(one, Refusal)],
        [str(one) for one in found if isinstance(one, Refusal)],
        tally,
    )


def test_a_row_that_meets_a_rule_is_evidence_that_names_system_and_row() -> None:
    (event,), refused, tally = understood(GOOD + "D2,ann,Lost,3,2026-03-02T10:00:00Z\n")
    assert (event.learner_id, event.verb, event.object_id) == ("ann", Verb.APPLIED, "skill:negotiation")
    assert event.context == {"kind": "used_in_work", "source": "crm:D1", "level": 3}
    assert (event.occurred_at, event.source, event.backfill) == (datetime(2026, 3, 2, 10, tzinfo=UTC), "crm", True)
    assert (refused, tally.rows, tally.unmatched) == ([], 2, 1)


@pytest.mark.parametrize(
    ("when", "met"),
    [
        ('{ stage = "won" }', "D1 D2"),
        ('{ stage = ["open", "LOST "] }', "D3"),
        ("{ discount = { below = 5 } }", "D1"),
        ("{ discount = { at_most = 5 } }", "D1 D2"),
        ("{ discount = { above = 3 } }", "D2"),
        ("{ discount = { at_least = 3, at_most = 4 } }", "D1"),
        ('{ stage = "won", discount = { above = 4 } }', "D2"),
    ],
)
def test_conditions_say_which_rows_count(when: str, met: str) -> None:
    rows = GOOD + "D2,ann, WON ,5%,2026-03-02T10:00:00Z\nD3,ann,Lost,,2026-03-02T10:00:00Z\n"
    events, refused, _ = understood(rows, f'[[rules]]\nskill = "s"\nwhen = {when}\n')
    assert " ".join(str(event.context["source"]).removeprefix("crm:") for event in events) == met
    assert not refused


def test_a_row_counts_once_a_skill_by_the_rule_with_the_highest_level() -> None:
    more = RULE.replace("= 3", "= 4") + RULE.replace("level = 3\n", "") + RULE.replace("negotiation", "closing")
    events, _, tally = understood(GOOD, RULE + more)
    assert [(event.object_id, event.context.get("level")) for event in events] == [
        ("skill:negotiation", 4),
        ("skill:closing", 3),
    ]
    assert [(one.rows, one.evidence) for one in tally.rules] == [(1, 0), (1, 1), (1, 0), (1, 1)]


def test_the_id_of_evidence_depends_on_system_row_and_skill_alone() -> None:
    ((one,), *_), ((other,), *_) = understood(GOOD), understood(GOOD.replace("ann", "bob"))
    (elsewhere,), *_ = understood(GOOD, head=MAP.replace("crm", "erp"))
    assert one.event_id == other.event_id != elsewhere.event_id


def test_a_mailbox_is_known_by_its_alias() -> None:
    (event,), *_ = understood(GOOD.replace("ann", "Ann@Acme.example"), head='learner_is = "mailbox"\n' + MAP)
    assert event.learner_id == "mailto:ann@acme.example"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (GOOD.replace("ann", ""), "deals.csv, line 2: who: the cell is empty"),
        (GOOD.replace("D1", " "), "deals.csv, line 2: id: the cell is empty"),
        (GOOD.replace(",2026-03-02T10:00:00Z", ","), "deals.csv, line 2: at: the cell is empty"),
        (GOOD.replace("00Z", "00"), "deals.csv, line 2: at: '2026-03-02T10:00:00' has no time zone: give --timezone"),
        (GOOD.replace("2026", "2027"), "deals.csv, line 2: at: 2027-03-02T10:00:00+00:00 is in the future"),
        (GOOD.replace(",3,", ",three,"), "deals.csv, line 2: discount: 'three' is not a number"),
        (GOOD.replace(",3,", ","), "deals.csv, line 2: broken CSV line: 4 cells under 5 columns"),
        (GOOD.replace("ann", "a" * 300), "deals.csv, line 2: who: "),
    ],
)
def test_what_is_wrong_in_a_row_is_named_by_line_and_column(row: str, words: str) -> None:
    events, (refused,), _ = understood(row + GOOD.replace("D1", "D2"))
    assert refused.startswith(words)
    assert len(events) == 1


def test_a_row_that_no_rule_speaks_of_may_hold_anything() -> None:
    events, refused, tally = understood("D9,,Open,whatever,\n\n,,,,\n")
    assert (events, refused, tally.rows, tally.unmatched) == ([], [], 1, 1)


def test_a_missing_column_is_named_with_the_nearest() -> None:
    _, (refused,), _ = understood(GOOD, RULE.replace("stage", "Stages"))
    assert "Stages: the column is missing" in refused
    assert "nearest to 'Stages': 'stage'" in refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MAP, "map.toml: rules: is missing"),
        (RULE, "map.toml: system: is missing"),
        (MAP.replace("crm", "C R M") + RULE, "map.toml: system: "),
        (MAP.replace('row = "id"\n', "") + RULE, "map.toml: columns: row: is missing"),
        (MAP + RULE.replace("level", "lvl"), "map.toml: rule 1 (negotiation): lvl: is unknown"),
        (MAP + RULE + RULE.replace("= 3", "= 6"), "map.toml: rule 2 (negotiation): level: "),
        (MAP + RULE.replace("below", "under"), "map.toml: rule 1 (negotiation): when: discount: under: is unknown"),
        (MAP + RULE.replace("{ below = 5 }", "5"), "map.toml: rule 1 (negotiation): when: discount: write"),
        (MAP + RULE.replace("{ below = 5 }", "{}"), "map.toml: rule 1 (negotiation): when: discount: say at_least"),
        (MAP + RULE.split("when")[0], "map.toml: rule 1 (negotiation): when: is missing"),
        ('timezone = "Mars"\n' + MAP + RULE, "map.toml: timezone: unknown time zone 'Mars'"),
        ("system = crm", "map.toml: cannot be read as TOML"),
    ],
)
def test_a_map_that_is_wrong_is_refused_in_words(text: str, words: str) -> None:
    Path("map.toml").write_text(text, "utf-8")
    with pytest.raises(MapError) as found:
        read_work_map(Path("map.toml"))
    assert str(found.value).startswith(words)


@pytest.fixture
def session() -> Iterator[TenantSession]:
    store = EventStore.open("sqlite:///var/events.db")
    session = store.tenant("acme")
    session.put([Learner(id="ann", aliases=("a-17",)), Skill(id="negotiation", name="Negotiation")], at=NOW)
    yield session
    store.close()


def ingest(rows: str, *more: str, rules: str = RULE) -> Result:
    Path("map.toml").write_text(MAP + rules, "utf-8")
    Path("deals.csv").write_text(HEADER + rows, "utf-8")
    words = ["ingest", "--tenant", "acme", "--format", "work", "--mapping", "map.toml", *more, "deals.csv"]
    return CliRunner().invoke(app, words)


def test_evidence_is_in_the_history_of_whom_an_alias_names(session: TenantSession) -> None:
    found = ingest(GOOD.replace("ann", "a-17"))
    assert (found.exit_code, "not in the catalogue" in found.output) == (0, False)
    assert [event.object_id for event in session.history("ann")] == ["skill:negotiation"]


def test_overlapping_exports_double_nothing_and_a_row_that_changed_is_refused(session: TenantSession) -> None:
    ingest(GOOD)
    again = ingest(GOOD + GOOD + GOOD.replace("D1", "D2"))
    assert "3 rows = 1 accepted + 2 duplicate + 0 refused" in again.output
    changed = ingest(GOOD.replace("T10", "T11"))
    assert (changed.exit_code, "deals.csv, line 2: event_id" in changed.output) == (1, True)
    assert len(session.history("ann")) == 2


def test_a_wrong_row_stores_nothing_unless_it_is_skipped(session: TenantSession) -> None:
    bad = GOOD.replace("D1", "D2").replace("ann", "")
    assert ingest(GOOD + bad).exit_code == 1
    assert not session.history("ann")
    assert ingest(GOOD + bad, "--skip-bad").exit_code == 0
    assert len(session.history("ann")) == 1


def test_a_dry_run_shows_each_rule_and_stores_nothing(session: TenantSession) -> None:
    found = ingest(GOOD.replace("ann", "zoe") + GOOD.replace("D1", ""), "--dry-run")
    assert found.exit_code == 1
    for words in (
        "rule 1, negotiation, level 3: 1 pieces of evidence",
        "line 2: zoe, 2026-03-02T10:00:00Z, crm:D1",
        "note: 1 learners are not in the catalogue: zoe",
        "line 3: id: the cell is empty",
        "Nothing was stored",
    ):
        assert words in found.output
    assert not session.history("zoe")


def test_a_file_that_shows_nothing_is_no_failure(session: TenantSession) -> None:
    found = ingest("D1,ann,Open,3,\n")
    assert (found.exit_code, "1 rows, of which 1 match no rule" in found.output) == (0, True)
    assert ingest("").exit_code == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--verb", "passed"), "--verb is for --format csv, not for work"),
        (("--mapping", "none.toml"), "none.toml: cannot be read as TOML"),
        (("--format", "csv", "--dry-run"), "--dry-run is for --format work, not for csv"),
    ],
)
def test_wrong_usage_ends_before_any_row_is_read(more: tuple[Any, ...], words: str) -> None:
    found = ingest(GOOD, *more)
    assert (found.exit_code, words in found.output) == (2, True)
