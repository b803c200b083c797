"""The lake, made from a real store."""

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from features import columns, lake
from features.catalogue import Item, Learner, Role, Skill
from features.events import Event, Result, Verb
from features.interactions import Groups
from features.partitions import LakeError
from features.store import EventStore, TenantSession
from features.xapi.mentions import NOBODY_ID

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    opened = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    yield opened
    opened.close()


@pytest.fixture
def acme(store: EventStore) -> TenantSession:
    session = store.tenant("acme")
    items = [Item(id=name, title=name, skills={"sql": 2}) for name in ("c", "a", "b")]
    session.put([*items, Item(id="d", title="d", aliases=("old-d",)), Skill(id="sql", name="SQL")], at=NOON)
    people = [Learner(id="ann", audiences=("staff", "all")), Learner(id="bob", audiences=("guests",)), Learner(id="cem")]
    session.put([*people, Role(id="analyst", name="Analyst", expects={"sql": 3})], at=NOON)
    return session


def event(event_id: str, learner: str, thing: str, *, at: datetime = NOON, verb: Verb = Verb.STARTED, **more: object) -> Event:
    body = {"tenant": "acme", "learner_id": learner, "object_id": thing, "occurred_at": at, "recorded_at": at, "verb": verb}
    return Event.model_validate({**body, "event_id": event_id, **more})


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_field_of_an_event_comes_back(acme: TenantSession, tmp_path: Path) -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    result = Result(completion=True, success=False, score=0.5, duration_s=9, progress=1)
    acme.append(
        [event("e1", "ann", "a", at=moment, result=result, context={"b": 1, "a": "ü"}, decision_id="d1", backfill=True)]
    )
    lake.materialize(acme, tmp_path)
    (row,) = lake.read_events(tmp_path, "acme").to_pylist()
    assert list(row) == list(columns.EVENT)
    assert (row["event_id"], row["verb"], row["occurred_at"], row["known_at"]) == ("e1", "started", moment, moment)
    assert (row["completion"], row["success"], row["score"], row["duration_s"], row["progress"]) == (True, False, 0.5, 9.0, 1.0)
    assert (row["decision_id"], row["context"], row["backfill"]) == ("d1", '{"a": "ü", "b": 1}', True)


def test_days_are_utc_and_times_are_microseconds(acme: TenantSession, tmp_path: Path) -> None:
    zone_late = datetime.fromisoformat("2026-03-01T23:30:00-02:00")
    acme.append([event("e1", "ann", "a"), event("e2", "ann", "b", at=zone_late)])
    lake.materialize(acme, tmp_path)
    days = sorted(path.name for path in (tmp_path / "events" / "tenant=acme").iterdir())
    assert days == ["day=2026-03-01", "day=2026-03-02"]
    schema = pq.read_schema(tmp_path / "events" / "tenant=acme" / days[0] / "part.parquet")
    assert str(schema.field("occurred_at").type) == "timestamp[us, tz=UTC]"


def test_events_are_ordered_by_time_then_arrival(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("late", "ann", "a", at=NOON + DAY), event("tie-1", "ann", "a"), event("tie-0", "ann", "b")])
    acme.append([event("early", "ann", "a", at=NOON - DAY), event("tie-2", "bob", "a")])
    lake.materialize(acme, tmp_path)
    assert lake.read_events(tmp_path, "acme")["event_id"].to_pylist() == ["early", "tie-1", "tie-0", "tie-2", "late"]


def test_only_days_with_news_are_written_again(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a"), event("e2", "ann", "b", at=NOON + DAY)])
    first = lake.materialize(acme, tmp_path)
    before = files(tmp_path / "events")
    assert lake.materialize(acme, tmp_path).days_written == 0
    acme.append([event("late", "bob", "a", at=NOON + timedelta(minutes=1))])
    second = lake.materialize(acme, tmp_path)
    after = files(tmp_path / "events")
    assert (first.days_written, second.days_written, second.events) == (2, 1, 3)
    assert [name for name in after if after[name] != before[name]] == ["tenant=acme/day=2026-03-01/part.parquet"]
    assert second.watermark > first.watermark


def test_a_voided_event_leaves_the_lake_by_its_day_alone(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a"), event("e2", "ann", "b", at=NOON + DAY), event("e3", "ann", "c", at=NOON + 2 * DAY)])
    lake.materialize(acme, tmp_path)
    acme.void(["e2", "to come"], by="v", at=NOON + 3 * DAY)
    assert lake.materialize(acme, tmp_path).days_written == 1
    assert lake.read_events(tmp_path, "acme")["event_id"].to_pylist() == ["e1", "e3"]
    acme.append([event("to come", "ann", "a", at=NOON + DAY), event("e4", "ann", "a", at=NOON + DAY)])
    assert lake.materialize(acme, tmp_path).days_written == 1
    assert lake.read_events(tmp_path, "acme")["event_id"].to_pylist() == ["e1", "e4", "e3"]
    assert lake.materialize(acme, tmp_path).days_written == 0
    acme.void(["e4"], by="v", at=NOON + 4 * DAY)  # the last of all, which the watermark names
    assert lake.materialize(acme, tmp_path).days_written == 1
    anew = lake.materialize(acme, tmp_path / "anew")
    assert anew.digest == lake.materialize(acme, tmp_path).digest


def test_an_erased_learner_leaves_the_lake_by_their_days_alone(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event(f"e{n}", "bob", "a", at=NOON + n * DAY) for n in range(3)])
    acme.append([event("e3", "ann", "b", at=NOON + DAY), event("e4", "ann", "b", at=NOON + 9 * DAY), event("e5", "bob", "c")])
    lake.materialize(acme, tmp_path)
    acme.void(["e3"], by="v", at=NOON + 10 * DAY)  # after the lake, so the lake holds it still
    acme.erase("ann", at=NOON + 10 * DAY)
    acme.append([event("e6", "bob", "c", at=NOON + 2 * DAY)])
    assert lake.materialize(acme, tmp_path).days_written == 3
    assert lake.read_events(tmp_path, "acme")["event_id"].to_pylist() == ["e0", "e5", "e1", "e2", "e6"]
    assert "ann" not in lake.learners(tmp_path, "acme")
    stored = [pq.read_table(path).to_pylist() for path in tmp_path.rglob("*.parquet")]  # type: ignore[no-untyped-call]
    assert "'ann'" not in str(stored)
    acme.erase("ann", at=NOON + 11 * DAY)
    assert lake.materialize(acme, tmp_path).days_written == 0


def test_who_vouched_and_was_erased_leaves_the_lake_by_the_days_of_that_evidence(acme: TenantSession, tmp_path: Path) -> None:
    told = {"verb": Verb.ATTESTED, "context": {"kind": "attested", "by": "zoe"}}
    acme.append([event(f"e{n}", "ann", "a", at=NOON + n * DAY) for n in range(3)])
    acme.append([event("v1", "ann", "skill:sql", at=NOON + DAY, **told), event("e9", "bob", "b", at=NOON + 2 * DAY)])
    lake.materialize(acme, tmp_path)
    acme.erase("zoe", at=NOON + 9 * DAY)
    assert lake.materialize(acme, tmp_path).days_written == 1
    contexts = lake.read_events(tmp_path, "acme")["context"].to_pylist()
    assert [json.loads(one)["by"] for one in contexts if one != "{}"] == [NOBODY_ID]
    stored = [pq.read_table(path).to_pylist() for path in tmp_path.rglob("*.parquet")]  # type: ignore[no-untyped-call]
    assert "zoe" not in str(stored)


def test_a_log_from_before_1970_is_a_log(acme: TenantSession, tmp_path: Path) -> None:
    old = datetime(1968, 2, 29, 1, 2, 3, 4, tzinfo=UTC)
    acme.append([event("e1", "ann", "a", at=old, backfill=True), event("e2", "bob", "a"), event("e3", "ann", "b")])
    lake.materialize(acme, tmp_path)
    assert lake.read_events(tmp_path, "acme")["occurred_at"][0].as_py() == old
    acme.erase("bob", at=NOON)
    assert lake.materialize(acme, tmp_path).days_written == 1
    assert lake.interactions(tmp_path, "acme")[2].at[0] == np.datetime64("1968-02-29T01:02:03.000004")


def test_growing_and_writing_anew_give_the_same_bytes(acme: TenantSession, tmp_path: Path) -> None:
    grown, fresh = tmp_path / "grown", tmp_path / "fresh"
    for n in range(3):
        acme.append([event(f"e{n}-{k}", "ann", "a", at=NOON + k * DAY) for k in range(3)])
        report = lake.materialize(acme, grown)
    again = lake.materialize(acme, fresh)
    assert again.digest == report.digest
    assert files(grown / "events") == files(fresh / "events")
    assert files(grown / "items") == files(fresh / "items")


def test_a_lost_day_file_is_written_again(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a")])
    report = lake.materialize(acme, tmp_path)
    (tmp_path / "events/tenant=acme/day=2026-03-01/part.parquet").unlink()
    assert lake.materialize(acme, tmp_path).digest == report.digest
    assert lake.read_events(tmp_path, "acme").num_rows == 1


def test_nothing_half_written_is_left_or_read(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a")])
    lake.materialize(acme, tmp_path)
    (tmp_path / "events/tenant=acme/day=2026-03-01/.part.parquet.new").write_bytes(b"half")
    assert lake.read_events(tmp_path, "acme").num_rows == 1
    lake.materialize(acme, tmp_path / "clean")
    assert [name for name in files(tmp_path / "clean") if name.endswith(".new")] == []


def test_tenants_have_folders_of_their_own(store: EventStore, acme: TenantSession, tmp_path: Path) -> None:
    other = store.tenant("other")
    acme.append([event("e1", "ann", "a")])
    other.append([event("e1", "zoe", "z", tenant="other")])
    for session in (acme, other):
        lake.materialize(session, tmp_path)
    assert lake.read_events(tmp_path, "acme")["learner_id"].to_pylist() == ["ann"]
    assert lake.read_events(tmp_path, "other")["learner_id"].to_pylist() == ["zoe"]
    assert lake.catalogue(tmp_path, "other").items == {}


def test_the_catalogue_comes_back_whole(acme: TenantSession, tmp_path: Path) -> None:
    lake.materialize(acme, tmp_path)
    assert lake.catalogue(tmp_path, "acme") == acme.catalogue()
    assert lake.catalogue(tmp_path, "acme").digest == acme.catalogue().digest
    assert lake.learners(tmp_path, "acme") == acme.learners()
    assert lake.snapshot(tmp_path, "acme", "role_skills").to_pylist() == [
        {"role_id": "analyst", "skill_id": "sql", "level": 3.0},
    ]
    assert [row["audience"] for row in lake.snapshot(tmp_path, "acme", "learners").to_pylist()] == ["staff", "guests", None]


def test_interactions_are_what_was_taken_up_of_known_items(acme: TenantSession, tmp_path: Path) -> None:
    acme.append(
        [
            event("1", "zoe", "b"),  # a stub of a learner still teaches
            event("2", "ann", "c", at=NOON + DAY),
            event("3", "ann", "a"),
            event("4", "ann", "a", at=NOON + 2 * DAY),  # again: the first is kept
            event("5", "ann", "gone"),  # a stub of an item is not ranked
            event("6", "bob", "b", verb=Verb.SHOWN),  # served is not taken up
            event("7", "bob", "old-d", verb=Verb.COMPLETED, recorded_at=NOON + 3 * DAY),  # by its alias
            event("8", "cem", "skill:sql", verb=Verb.APPLIED),
        ]
    )
    lake.materialize(acme, tmp_path)
    learners, items, found, groups = lake.interactions(tmp_path, "acme")
    assert (learners.ids, items.ids, groups.audiences) == (("ann", "bob", "zoe"), ("a", "b", "c", "d"), ("guests", "staff"))
    assert [[items.ids[i] for i in found[row]] for row in range(len(found))] == [["a", "c"], ["d"], ["b"]]
    assert found.audience.tolist() == [1, 0, -1]
    assert found.n_audiences == 2
    assert found.at.tolist() == [t.replace(tzinfo=None) for t in (NOON, NOON + DAY, NOON, NOON)]
    assert found.until == np.datetime64("2026-03-04T12:00", "us")
    # When each was first known: bob's completion only three days after it happened.
    assert found.known_at.tolist() == [t.replace(tzinfo=None) for t in (NOON, NOON + DAY, NOON + 3 * DAY, NOON)]


def test_parts_count_as_the_item_that_comes_later(acme: TenantSession, tmp_path: Path) -> None:
    part = {"source": "xapi", "context": {"within": ["module", "urn:course"]}}
    acme.append(
        [
            event("1", "ann", "quiz", verb=Verb.COMPLETED, **part),
            event("2", "bob", "quiz", verb=Verb.ENROLLED, **part),  # of a part it says that the whole goes on
            event("3", "cem", "quiz", verb=Verb.COMPLETED),
            event("4", "ann", "a", at=NOON + DAY),
        ]
    )
    lake.materialize(acme, tmp_path)
    assert lake.interactions(tmp_path, "acme")[0].ids == ("ann",)
    acme.put([Item(id="course", title="Course", aliases=("urn:course",))], at=NOON)
    assert lake.materialize(acme, tmp_path).days_written == 0
    people, items, found, _ = lake.interactions(tmp_path, "acme")
    assert people.ids == ("ann", "bob")
    assert [[items.ids[i] for i in found[row]] for row in range(2)] == [["course", "a"], ["course"]]
    assert lake.read_events(tmp_path, "acme")["object_id"].to_pylist() == ["quiz", "quiz", "quiz", "a"]


def test_merged_ids_are_one_learner_until_they_are_not(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("1", "ann", "a"), event("2", "x", "b"), event("3", "y", "c", at=NOON + DAY)])
    acme.merge("x", "ann", occurred_at=NOON, at=NOON)
    acme.merge("y", "x", occurred_at=NOON, at=NOON)
    digest = lake.materialize(acme, tmp_path).digest
    learners, items, found, groups = lake.interactions(tmp_path, "acme")
    assert (learners.ids, [items.ids[i] for i in found[0]]) == (("ann",), ["a", "b", "c"])
    assert groups.audiences[found.audience[0]] == "staff"
    acme.unmerge("x", "ann", occurred_at=NOON + DAY, at=NOON + DAY)
    again = lake.materialize(acme, tmp_path)
    assert (again.days_written, again.digest == digest) == (0, False)
    learners, items, found, _ = lake.interactions(tmp_path, "acme")
    assert (learners.ids, [[items.ids[i] for i in found[row]] for row in range(2)]) == (("ann", "x"), [["a"], ["b", "c"]])


def test_a_repeat_that_was_known_sooner_does_not_date_the_first_one_back(acme: TenantSession, tmp_path: Path) -> None:
    late = event("late", "ann", "a", recorded_at=NOON + 3 * DAY)
    imported = event("imported", "ann", "b", recorded_at=NOON + 9 * DAY, backfill=True)
    acme.append([late, event("soon", "ann", "a", at=NOON + DAY), imported])
    lake.materialize(acme, tmp_path)
    _, items, found, _ = lake.interactions(tmp_path, "acme")
    assert [items.ids[i] for i in found[0]] == ["a", "b"]
    assert found.known_at.tolist() == [t.replace(tzinfo=None) for t in (NOON + 3 * DAY, NOON)]


def test_role_and_unit_of_a_learner_are_those_of_today_unless_they_want_no_personalisation(
    acme: TenantSession, tmp_path: Path
) -> None:
    off = Learner(id="off", org_unit="depot", role_id="clerk", audiences=("staff",), personalisation=False)
    acme.put([Learner(id="dan", org_unit="depot", role_id="analyst"), off, Learner(id="eve", role_id="clerk")], at=NOON)
    acme.append([event(who, who, "a") for who in ("dan", "eve", "off", "stub")])
    lake.materialize(acme, tmp_path)
    people, _, found, groups = lake.interactions(tmp_path, "acme")
    assert (people.ids, groups.roles, groups.org_units) == (("dan", "eve", "off", "stub"), ("analyst", "clerk"), ("depot",))
    assert (found.role.tolist(), found.org_unit.tolist()) == ([0, 1, -1, -1], [0, -1, -1, -1])
    assert found.audience.tolist() == [-1, -1, groups.audiences.index("staff"), -1]


def test_equal_times_keep_the_order_of_arrival(acme: TenantSession, tmp_path: Path) -> None:
    # Enough rows that an unstable sort would not get it right by chance.
    shuffled = random.Random(3).sample(range(100), 100)
    acme.put([Item(id=f"i{n:02}", title="I") for n in shuffled], at=NOON + DAY)
    acme.append([event(f"{who}-{n}", who, f"i{n:02}") for n in shuffled for who in ("ann", "bob", "cem")])
    lake.materialize(acme, tmp_path)
    _, items, found, _ = lake.interactions(tmp_path, "acme")
    for row in range(3):
        assert [items.ids[i] for i in found[row]] == [f"i{n:02}" for n in shuffled]


def test_an_empty_tenant_has_empty_tables(store: EventStore, tmp_path: Path) -> None:
    lake.materialize(store.tenant("empty"), tmp_path)
    learners, items, found, groups = lake.interactions(tmp_path, "empty")
    assert (len(learners), len(items), found.shape, groups) == (0, 0, (0, 0), Groups())
    assert np.isnat(found.until)


def test_reading_before_materializing_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="python -m features materialize --tenant acme"):
        lake.read_events(tmp_path, "acme")


@pytest.mark.parametrize(("text", "words"), [("{", "not readable"), (json.dumps({"format": 99}), "format 99")])
def test_a_manifest_that_cannot_be_trusted_is_refused(acme: TenantSession, tmp_path: Path, text: str, words: str) -> None:
    lake.materialize(acme, tmp_path)
    (tmp_path / "manifests/acme.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        lake.materialize(acme, tmp_path)


def test_what_followed_a_recommendation_is_flagged(acme: TenantSession, tmp_path: Path) -> None:
    """Shown with a decision's id before, or the id on the take-up itself; a decision alone, or a card without one, is none."""
    before = NOON - DAY
    acme.append(
        [
            event("s1", "ann", "a", at=before, verb=Verb.SHOWN, decision_id="d1"),
            event("s2", "ann", "b", at=before, verb=Verb.SHOWN),
            event("s3", "bob", "old-d", at=before, verb=Verb.SHOWN, decision_id="d2"),
            *(event(f"t{n}", "ann", item) for n, item in enumerate("abc")),
            event("t3", "bob", "d"),
            event("t4", "cem", "a", decision_id="d3"),
            event("t5", "bob", "a", verb=Verb.COMPLETED),
            event("t6", "bob", "a", at=NOON + DAY, decision_id="d4"),
        ]
    )
    lake.materialize(acme, tmp_path)
    people, items, table, _ = lake.interactions(tmp_path, "acme")
    entries = zip(table.rows(), table.items, table.recommended, strict=True)
    led = {people.ids[row] + " " + items.ids[item] for row, item, flag in entries if flag}
    assert led == {"ann a", "bob d", "cem a"}
    assert len(table.items) == 6


# -- a lake that is damaged, of another time, or in other hands --


def of_day(folder: Path, kind: str = "events") -> Path:
    return next((folder / kind / "tenant=acme").rglob("part.parquet"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def without_a_column(path: Path) -> None:
    table = pq.ParquetFile(path).read()
    pq.write_table(table.drop_columns([table.column_names[1]]), path)


@pytest.mark.parametrize("damage", [Path.unlink, cut, without_a_column])
@pytest.mark.parametrize("kind", ["events", "months", "items", "learners"])
def test_damage_is_refused_by_readers_and_healed_by_the_next_run(
    acme: TenantSession, tmp_path: Path, kind: str, damage: Any
) -> None:
    acme.append([event("e1", "ann", "a"), event("e2", "ann", "b", at=NOON + 40 * DAY)])
    report, before = lake.materialize(acme, tmp_path), files(tmp_path)
    damage(of_day(tmp_path, kind))
    if kind != "events":  # days are what is written; months are what is read
        with pytest.raises(LakeError, match=r"part.parquet .* run `python -m features materialize --tenant acme`"):
            lake.interactions(tmp_path, "acme")
    healed = lake.materialize(acme, tmp_path)
    assert healed.digest == report.digest
    assert healed.days_written == (1 if kind == "events" else 0)
    without_manifest = [
        {name: body for name, body in found.items() if "manifests" not in name} for found in (before, files(tmp_path))
    ]
    assert without_manifest[0] == without_manifest[1]


def test_files_that_the_manifest_does_not_name_are_neither_read_nor_touched(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a")])
    lake.materialize(acme, tmp_path)
    stray = of_day(tmp_path).with_name("part-2.parquet"), tmp_path / "months/tenant=acme/month=2031-01/part.parquet"
    for path in stray:
        path.parent.mkdir(exist_ok=True)
        shutil.copy(of_day(tmp_path), path)
    (tmp_path / "events/tenant=acme/notes.txt").write_text("mine")
    lake.materialize(acme, tmp_path)
    assert lake.read_events(tmp_path, "acme").num_rows == 1
    assert all(path.is_file() for path in stray)


def change_manifest(folder: Path, **more: object) -> None:
    path = folder / "manifests/acme.json"
    body = json.loads(path.read_text()) | more
    path.write_text(json.dumps({name: value for name, value in body.items() if value is not None}))


def test_an_older_schema_is_not_read_and_written_anew(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a"), event("e2", "ann", "b", at=NOON + DAY)])
    report = lake.materialize(acme, tmp_path)
    change_manifest(tmp_path, schema=0)
    with pytest.raises(LakeError, match=r"has schema 0, not 2: run `python -m features materialize --tenant acme`"):
        lake.read_events(tmp_path, "acme")
    again = lake.materialize(acme, tmp_path)
    assert (again.days_written, again.digest) == (2, report.digest)
    assert lake.read_events(tmp_path, "acme").num_rows == 2


def test_a_newer_schema_is_neither_read_nor_overwritten(acme: TenantSession, tmp_path: Path) -> None:
    lake.materialize(acme, tmp_path)
    change_manifest(tmp_path, schema=99)
    for use in (lambda: lake.read_events(tmp_path, "acme"), lambda: lake.materialize(acme, tmp_path)):
        with pytest.raises(LakeError, match=r"acme.json has format 1, schema 99, this program knows .*delete it or upgrade"):
            use()


def test_a_lake_from_before_months_and_schemas_is_written_anew(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a"), event("e2", "ann", "b", at=NOON + DAY)])
    report = lake.materialize(acme, tmp_path)
    written = json.loads((tmp_path / "manifests/acme.json").read_text())["files"]
    bare = {day: {"rows": file["rows"], "sha256": file["sha256"]} for day, file in written.items()}
    change_manifest(tmp_path, schema=None, months=None, snapshots=None, files=bare)
    shutil.rmtree(tmp_path / "months")
    with pytest.raises(LakeError, match="has schema 1, not 2"):
        lake.read_events(tmp_path, "acme")
    again = lake.materialize(acme, tmp_path)
    assert (again.days_written, again.digest) == (2, report.digest)
    assert lake.read_events(tmp_path, "acme")["event_id"].to_pylist() == ["e1", "e2"]
    assert of_day(tmp_path, "months").is_file()


def test_a_manifest_of_another_tenant_is_refused(acme: TenantSession, tmp_path: Path) -> None:
    lake.materialize(acme, tmp_path)
    change_manifest(tmp_path, tenant="other")
    with pytest.raises(LakeError, match="is the manifest of tenant 'other'"):
        lake.read_events(tmp_path, "acme")


def test_two_at_once_are_refused_and_a_lock_left_behind_is_none(acme: TenantSession, tmp_path: Path) -> None:
    def second(*_: Any) -> None:
        with pytest.raises(LakeError, match="another process materializes tenant 'acme'"):
            lake.materialize(acme, tmp_path)

    acme.append([event("e1", "ann", "a")])
    with pytest.raises(LakeError, match="is missing"):  # this first one writes nothing
        lake.materialize(acme, tmp_path, write=second)
    assert (tmp_path / "manifests/acme.lock").is_file()
    assert lake.materialize(acme, tmp_path).days_written == 1


def test_a_run_that_dies_between_days_is_taken_up_by_the_next(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a"), event("e2", "ann", "b", at=NOON + 40 * DAY)])
    lake.materialize(acme, tmp_path)

    def half(session: TenantSession, folder: Path, days: Sequence[date], watermark: int) -> None:
        lake.write_days(session, folder, days[:1], watermark)
        raise KeyboardInterrupt

    acme.append([event("e3", "bob", "a"), event("e4", "bob", "b", at=NOON + 40 * DAY)])
    with pytest.raises(KeyboardInterrupt):
        lake.materialize(acme, tmp_path, write=half)
    assert lake.read_events(tmp_path, "acme")["event_id"].to_pylist() == ["e1", "e2"]  # one moment, the old one
    lake.materialize(acme, tmp_path)
    assert lake.read_events(tmp_path, "acme")["event_id"].to_pylist() == ["e1", "e3", "e2", "e4"]


def test_a_disk_that_is_full_leaves_the_lake_as_it_was(acme: TenantSession, tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    acme.append([event("e1", "ann", "a")])
    lake.materialize(acme, folder)
    before = files(folder)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    acme.append([event("e2", "bob", "a")])
    with pytest.raises(OSError, match="No space left"):
        lake.materialize(acme, folder, write=full)
    assert files(folder) == before


def test_only_months_with_news_are_joined_again(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a"), event("e2", "ann", "b", at=NOON + DAY), event("e3", "ann", "b", at=NOON + 40 * DAY)])
    lake.materialize(acme, tmp_path)
    march, april = (tmp_path / f"months/tenant=acme/month=2026-{m}/part.parquet" for m in ("03", "04"))
    stood = march.stat().st_mtime_ns, april.stat().st_mtime_ns
    acme.append([event("late", "bob", "a")])
    lake.materialize(acme, tmp_path)
    assert (march.stat().st_mtime_ns == stood[0], april.stat().st_mtime_ns == stood[1]) == (False, True)
    assert pq.ParquetFile(march).read()["event_id"].to_pylist() == ["e1", "late", "e2"]


def test_a_store_that_went_back_in_time_makes_the_lake_anew(acme: TenantSession, tmp_path: Path) -> None:
    acme.append([event("e1", "ann", "a"), event("e2", "ann", "b", at=NOON + DAY)])
    lake.materialize(acme, tmp_path / "lake")
    restored = EventStore.open(f"sqlite:///{tmp_path}/restored.db")
    session = restored.tenant("acme")
    session.append([event("e1", "ann", "a")])
    report = lake.materialize(session, tmp_path / "lake")
    assert (report.events, report.watermark) == (1, 1)
    session.append([event("e3", "ann", "c", at=NOON + DAY)])  # would have gone unseen below the old watermark
    assert lake.materialize(session, tmp_path / "lake").events == 2
    assert lake.read_events(tmp_path / "lake", "acme")["event_id"].to_pylist() == ["e1", "e3"]
    restored.close()


def test_what_is_retired_leaves_the_snapshots(acme: TenantSession, tmp_path: Path) -> None:
    lake.materialize(acme, tmp_path)
    acme.retire("item", ["c"], at=NOON + DAY)
    acme.sync("learner", [Learner(id="ann"), Learner(id="cem")], at=NOON + DAY, most_vanish=0.5)
    lake.materialize(acme, tmp_path)
    found = {name: lake.snapshot(tmp_path, "acme", name)[0].to_pylist() for name in ("items", "item_skills", "learners")}
    assert found == {"items": ["a", "b", "d"], "item_skills": ["a", "b"], "learners": ["ann", "cem"]}
