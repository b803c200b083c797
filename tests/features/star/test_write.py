"""A star made from a real store: what a run after another leaves is what a run into an empty folder gives."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from features.catalogue import Item, Learner, Role, Skill
from features.decisions import Decision, Randomisation, Row, SlateItem
from features.events import Event, Verb
from features.skills import profile
from features.star.files import StarError
from features.star.key import Key, KeyFileError, key_of
from features.star.levels import end_of
from features.star.schema import TABLES
from features.star.write import StarReport, write_star
from features.store import EventStore, TenantSession

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 4, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = Key(b"k" * 32)


@pytest.fixture
def acme(store_url: str) -> Iterator[TenantSession]:
    store = EventStore.open(store_url)
    session = store.tenant("acme")
    items = [Item(id=name, title=name.upper(), skills={"sql": 2}) for name in ("a", "b", "c")]
    people = [
        Learner(id="ann", aliases=("mailto:ann@acme.example",), role_id="analyst", org_unit="Lab", manager_id="bob"),
        Learner(id="bob", audiences=("staff", "all")),
    ]
    session.put([*items, Skill(id="sql", name="SQL"), Role(id="analyst", name="Analyst", expects={"sql": 3})], at=NOON)
    session.put(people, at=NOON)
    session.append(
        [
            event("e1", "ann", "a", Verb.COMPLETED),
            event("e2", "mailto:ann@acme.example", "b", Verb.SHOWN, decision_id="d1"),
            event("e3", "bob", "skill:sql", Verb.ATTESTED, context={"level": 4, "by": "ann@acme.example"}),
            event("e4", "zoe@elsewhere.example", "https://lms.example/user/zoe", Verb.STARTED, at=NOON + 31 * DAY),
        ]
    )
    session.record([decision("d1", "ann", "a", "b"), decision("d2", "bob", "c", at=NOON + 31 * DAY)])
    yield session
    store.close()


def event(name: str, who: str, thing: str, verb: Verb, *, at: datetime = NOON, **more: Any) -> Event:
    fields = {"tenant": "acme", "event_id": name, "learner_id": who, "object_id": thing, "verb": verb, **more}
    return Event.model_validate({"occurred_at": at, "recorded_at": at, **fields})


def decision(name: str, who: str, *items: str, at: datetime = NOON) -> Decision:
    slate = [
        SlateItem(item_id=item, position=place, score=1.0 - place, propensity=0.5 + place / 4, source="linear")
        for place, item in enumerate(items)
    ]
    given = {"decision_id": name, "tenant": "acme", "learner_id": who, "decided_at": at, "bundle": "b1", "policy": "p1"}
    return Decision(
        **given, randomisation=Randomisation(epsilon=0, seed=0, support=0), rows=(Row(title="Next", items=tuple(slate)),)
    )


def written(acme: TenantSession, tmp_path: Path, out: str = "out", **more: Any) -> StarReport:
    return write_star(acme, tmp_path / "lake", tmp_path / out, more.pop("key", KEY), **{"now": NOW, **more})


def rows(tmp_path: Path, sql: str, out: str = "out") -> list[tuple[Any, ...]]:
    """What a query says over the tables of the star, by their names."""
    with duckdb.connect() as found:
        for table in TABLES:
            found.execute(f"CREATE VIEW {table.name} AS FROM '{tmp_path}/{out}/acme/{table.name}/*.parquet'")
        return found.execute(sql).fetchall()


def key(who: str) -> str:
    return KEY.pseudonym("learner", who)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_an_event_stands_under_the_keys_of_who_and_what_it_is_about(acme: TenantSession, tmp_path: Path) -> None:
    report = written(acme, tmp_path)
    unknown = "unknown:" + KEY.pseudonym("item", "https://lms.example/user/zoe")[:16]
    said = rows(tmp_path, "SELECT learner_key, verb, evidence, item_id, skill_id, level FROM event ORDER BY occurred_at, verb")
    assert said == [
        (key("bob"), "attested", "applied", None, "sql", 4.0),
        (key("ann"), "completed", "completed", "a", None, None),
        (key("ann"), "shown", "none", "b", None, None),
        (key("zoe@elsewhere.example"), "started", "none", unknown, None, None),
    ]
    assert rows(tmp_path, "SELECT min(occurred_at), max(recorded_at) FROM event") == [
        (NOON.replace(tzinfo=None), (NOON + 31 * DAY).replace(tzinfo=None))
    ]
    assert (report.rows["event"], report.rows["decision_item"], report.rows["exposure"]) == (4, 3, 1)


def test_served_is_not_seen_and_what_was_seen_knows_its_propensity(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e5", "bob", "a", Verb.SHOWN, decision_id="d1"), event("e6", "bob", "a", Verb.SHOWN)])
    written(acme, tmp_path)
    said = rows(tmp_path, "SELECT learner_key, item_id, decision_item, position, propensity, bundle FROM exposure ORDER BY ALL")
    mine = (key("ann"), "b", "d1 1", 1, 0.75, "b1")
    not_served_to_bob = (key("bob"), "a", None, None, None, None)
    assert said == sorted([mine, not_served_to_bob])
    served = rows(tmp_path, "SELECT decision_item, item_id, position, row_title, source FROM decision_item ORDER BY ALL")
    assert served == [
        ("d1 0", "a", 0, "Next", "linear"),
        ("d1 1", "b", 1, "Next", "linear"),
        ("d2 0", "c", 0, "Next", "linear"),
    ]


def test_rows_of_the_catalogue_are_versions_and_stubs_have_one(acme: TenantSession, tmp_path: Path) -> None:
    acme.put([Learner(id="bob", org_unit="Sales")], at=NOON + DAY)
    written(acme, tmp_path)
    asked = (
        "SELECT org_unit, audience, known, valid_from IS NULL, valid_to IS NULL, is_current FROM learner WHERE learner_key = "
    )
    assert rows(tmp_path, f"{asked}'{key('bob')}' ORDER BY valid_from") == [
        (None, "staff", True, False, False, False),
        ("Sales", None, True, False, True, True),
    ]
    assert rows(tmp_path, f"{asked}'{key('zoe@elsewhere.example')}'") == [(None, None, False, True, True, True)]
    mine = f"SELECT role, manager_key FROM learner WHERE learner_key = '{key('ann')}'"
    assert rows(tmp_path, mine) == [("Analyst", key("bob"))]


def test_a_level_is_what_the_skill_profile_says_at_the_end_of_the_day(acme: TenantSession, tmp_path: Path) -> None:
    written(acme, tmp_path)
    said = rows(tmp_path, "SELECT learner_key, skill_id, level, confidence, evidence, expected FROM skill_level ORDER BY level")
    items = acme.catalogue().items
    ann, bob = (profile(acme.history(who), items, end_of(NOW.date()))["sql"] for who in ("ann", "bob"))
    assert said == [
        (key("ann"), "sql", ann.level, ann.confidence, "completed", 3.0),
        (key("bob"), "sql", bob.level, bob.confidence, "applied", None),
    ]


def test_a_skill_that_a_role_expects_has_a_level_of_nothing(acme: TenantSession, tmp_path: Path) -> None:
    acme.put([Learner(id="cem", role_id="analyst")], at=NOON)
    written(acme, tmp_path)
    asked = f"SELECT level, evidence, expected FROM skill_level WHERE learner_key = '{key('cem')}'"
    assert rows(tmp_path, asked) == [(0.0, "none", 3.0)]


def test_a_run_without_news_writes_no_file(acme: TenantSession, tmp_path: Path) -> None:
    first = written(acme, tmp_path)
    before = files(tmp_path / "out")
    second = written(acme, tmp_path)
    assert (first.written, second.written) == (first.files, 0)
    assert (first.digest, files(tmp_path / "out")) == (second.digest, before)


def test_news_of_a_month_leave_the_files_of_other_months(acme: TenantSession, tmp_path: Path) -> None:
    written(acme, tmp_path)
    old = files(tmp_path / "out")
    acme.append([event("late", "bob", "a", Verb.STARTED, at=NOON + 31 * DAY)])
    acme.record([decision("d3", "bob", "a", at=NOON + 31 * DAY)])
    written(acme, tmp_path)
    new = files(tmp_path / "out")
    assert {name for name in new if new[name] != old.get(name)} == {
        "acme/event/2026-04.parquet",
        "acme/decision_item/2026-04.parquet",
    }


CHANGES: Mapping[str, Any] = {
    "a late event": lambda acme: acme.append([event("late", "bob", "a", Verb.SHOWN, decision_id="d1")]),
    "an older month": lambda acme: acme.append([event("old", "bob", "a", Verb.STARTED, at=NOON - 300 * DAY)]),
    "a voided event": lambda acme: acme.void(["e2"], by="v1", at=NOW),
    "a month that goes": lambda acme: acme.void(["e4"], by="v1", at=NOW),
    "an erased learner": lambda acme: acme.erase("ann", at=NOW),
    "an alias": lambda acme: acme.put([Learner(id="bob", aliases=("zoe@elsewhere.example",))], at=NOW),
    "an item by its alias": lambda acme: acme.put(
        [Item(id="z", title="Z", aliases=("https://lms.example/user/zoe",), skills={"new": 1})], at=NOW
    ),
    "a role": lambda acme: acme.put([Role(id="analyst", name="Analyst", expects={"python": 2})], at=NOW),
    "a skill": lambda acme: acme.put([Skill(id="sql", name="Databases")], at=NOW),
    "a decision": lambda acme: acme.record([decision("d0", "zoe@elsewhere.example", "a", "nowhere")]),
    "a decision for an alias": lambda acme: (
        acme.record([decision("d0", "bobby", "a")]),
        acme.put([Learner(id="bob", aliases=("bobby",))], at=NOW),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_run_after_another_gives_what_a_run_into_an_empty_folder_gives(
    acme: TenantSession, tmp_path: Path, what: str
) -> None:
    before = written(acme, tmp_path)
    CHANGES[what](acme)
    after = written(acme, tmp_path)
    rebuilt = written(acme, tmp_path, out="anew")
    assert after.digest != before.digest
    assert (after.digest, after.rows) == (rebuilt.digest, rebuilt.rows)
    assert files(tmp_path / "out") == files(tmp_path / "anew")


def test_an_alias_found_later_moves_what_a_decision_was_for(acme: TenantSession, tmp_path: Path) -> None:
    acme.record([decision("d0", "bobby", "a")])
    written(acme, tmp_path)
    acme.put([Learner(id="bob", aliases=("bobby",))], at=NOW)
    written(acme, tmp_path)
    assert rows(tmp_path, "SELECT learner_key FROM decision_item WHERE decision_id = 'd0'") == [(key("bob"),)]


def test_who_was_erased_is_gone_with_the_next_run(acme: TenantSession, tmp_path: Path) -> None:
    written(acme, tmp_path)
    assert everything(tmp_path).count(key("ann")) > 5
    acme.erase("ann", at=NOW)
    written(acme, tmp_path)
    assert key("ann") not in everything(tmp_path)


def everything(tmp_path: Path) -> str:
    """All that the folder says, in one text."""
    tables = [str(rows(tmp_path, f"SELECT * FROM {table.name}")) for table in TABLES]
    return "\n".join([*tables, *(path.read_text("utf-8") for path in (tmp_path / "out" / "acme").glob("*.*"))])


def test_no_name_and_no_mailbox_of_a_person_leaves_unless_asked_for(acme: TenantSession, tmp_path: Path) -> None:
    written(acme, tmp_path)
    found = everything(tmp_path)
    assert not [name for name in ("'ann'", "'bob'", "zoe", "@", "'e1'", "lms.example") if name in found]
    written(acme, tmp_path, identified=True)
    assert rows(tmp_path, "SELECT learner_id FROM learner ORDER BY ALL") == [("ann",), ("bob",), ("zoe@elsewhere.example",)]
    written(acme, tmp_path)
    assert rows(tmp_path, "SELECT DISTINCT learner_id FROM learner") == [(None,)]


def test_a_damaged_file_is_written_again_and_a_strange_one_goes(acme: TenantSession, tmp_path: Path) -> None:
    written(acme, tmp_path)
    before = files(tmp_path / "out")
    folder = tmp_path / "out" / "acme"
    (folder / "event" / "2026-03.parquet").write_bytes(b"PAR1")
    (folder / "learner" / "all.parquet").unlink()
    (folder / "event" / "2020-01.parquet").write_bytes(before["acme/event/2026-03.parquet"])
    assert written(acme, tmp_path).written == 2
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("schema", 2, "holds version 2 of the star, this program writes 1: give another --out, or delete"),
        ("tenant", "globex", "holds the star of tenant 'globex', not of 'acme'"),
        ("key", "0" * 32, "was written with another key"),
    ],
)
def test_a_folder_of_another_kind_is_not_written_over(
    acme: TenantSession, tmp_path: Path, field: str, value: object, words: str
) -> None:
    written(acme, tmp_path)
    path = tmp_path / "out" / "acme" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), field: value}), "utf-8")
    before = files(tmp_path / "out")
    acme.append([event("new", "bob", "a", Verb.STARTED)])
    with pytest.raises(StarError, match=words):
        written(acme, tmp_path)
    assert files(tmp_path / "out") == before


def test_a_tenant_without_anything_has_every_table(store_url: str, tmp_path: Path) -> None:
    store = EventStore.open(store_url)
    report = written(store.tenant("acme"), tmp_path)
    store.close()
    assert set(report.rows.values()) == {0}
    assert rows(tmp_path, "SELECT count(*) FROM event JOIN exposure USING (event_key)") == [(0,)]


def test_a_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "acme.key"
    made = key_of(path, tmp_path / "out")
    assert (key_of(path, tmp_path / "out"), path.stat().st_mode & 0o777) == (made, 0o600)
    assert key_of(tmp_path / "other.key", tmp_path / "out").pseudonym("learner", "ann") != made.pseudonym("learner", "ann")


def test_a_key_within_what_is_given_away_is_refused_and_so_is_one_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="whoever gets that folder could name everybody"):
        key_of(tmp_path / "out" / "acme" / "acme.key", tmp_path / "out")
    (tmp_path / "bad.key").write_text("secret\n")
    with pytest.raises(KeyFileError, match="holds no key of 64 hexadecimal digits"):
        key_of(tmp_path / "bad.key", tmp_path / "out")


def test_what_was_shown_and_opened_was_seen_once(acme: TenantSession, tmp_path: Path) -> None:
    """A device that sent both counted as two exposures."""
    opened = event("e7", "ann", "b", Verb.SHOWN, at=NOON + DAY, decision_id="d1", context={"offline": {"opened": True}})
    acme.append([opened, event("e8", "ann", "a", Verb.SHOWN, decision_id="d1")])
    written(acme, tmp_path)
    seen = rows(tmp_path, "SELECT item_id, min(shown_at), count(*) FROM exposure GROUP BY ALL ORDER BY ALL")
    assert seen == [("a", NOON.replace(tzinfo=None), 1), ("b", NOON.replace(tzinfo=None), 1)]
