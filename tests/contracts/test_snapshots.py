"""Rows that are no more, on SQLite and on PostgreSQL alike: retired by name, or by a snapshot that does not hold them."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.catalogue import Assignment, Item, ItemType, Learner, Role, Skill
from features.store import EventStore, PutResult, TenantSession, VanishError, VersionError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLOCK = count(1)

ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
moments = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
catalogue_items = st.builds(
    Item,
    id=ids,
    title=st.text(min_size=1, max_size=20),
    type=st.sampled_from(ItemType),
    skills=st.dictionaries(ids, st.floats(0, 5), max_size=3),
    aliases=st.lists(ids, max_size=2).map(tuple),
    available_until=st.none() | moments,
    duration_s=st.none() | st.floats(0, 1e9),
    attributes=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)
snapshots = st.lists(catalogue_items, min_size=1, max_size=12, unique_by=lambda item: item.id)


def test_a_retired_row_is_gone_and_was_there_before(acme: TenantSession) -> None:
    acme.put([Item(id="a", title="A", aliases=("urn:a",)), Item(id="b", title="B"), Learner(id="ann", aliases=("x",))], at=NOON)
    acme.put([Assignment(id="duty", item_id="a", learner_id="ann"), Learner(id="a")], at=NOON)
    assert acme.retire("item", ["a", "a", "none"], at=NOON + HOUR) == 1
    assert acme.retire("item", ["a"], at=NOON + HOUR) == 0
    assert acme.retire("learner", ["ann"], at=NOON + HOUR) == acme.retire("assignment", ["duty"], at=NOON + HOUR) == 1
    assert (list(acme.catalogue().items), list(acme.learners()), acme.assignments()) == (["b"], ["a"], [])
    assert (acme.row("item", "a"), acme.row("item", "b")) == (None, Item(id="b", title="B"))
    assert acme.known_items(["a", "urn:a", "b"]) == {"b"}
    assert acme.learner("ann") is acme.learner("x") is None
    before = NOON + HOUR - timedelta(microseconds=1)
    assert list(acme.catalogue(at=before).items) == ["a", "b"]
    assert acme.learner("x", at=before) == Learner(id="ann", aliases=("x",))
    assert acme.counts().catalogue == {"skill": 0, "item": 1, "learner": 1, "role": 0, "assignment": 0}


def test_a_retired_row_comes_back_by_put(acme: TenantSession) -> None:
    acme.put([Item(id="a", title="A")], at=NOON)
    acme.retire("item", ["a"], at=NOON + 2 * HOUR)
    with pytest.raises(VersionError, match="item 'a' changed at 2026-03-01 14:00"):
        acme.put([Item(id="a", title="A")], at=NOON + HOUR)  # it would stand twice in between
    assert acme.put([Item(id="a", title="A")], at=NOON + 3 * HOUR) == PutResult(inserted=1)
    assert [bool(acme.catalogue(at=NOON + hour * HOUR).items) for hour in range(4)] == [True, True, False, True]


def test_no_version_ends_before_it_began(acme: TenantSession) -> None:
    acme.put([Item(id="a", title="A")], at=NOON)
    acme.put([Item(id="b", title="B")], at=NOON + 2 * HOUR)
    with pytest.raises(VersionError, match="item 'b' changed at"):
        acme.retire("item", ["a", "b"], at=NOON + HOUR)
    assert list(acme.catalogue().items) == ["a", "b"]


def items(*ids: str, title: str = "T") -> list[Item]:
    return [Item(id=item_id, title=title) for item_id in ids]


def test_a_snapshot_is_all_that_stands(acme: TenantSession) -> None:
    acme.put([*items(*"abcdefghij"), Skill(id="a", name="A"), Learner(id="z")], at=NOON)
    done = acme.sync("item", [*items(*"abcdefgh"), *items("i", title="new"), *items("k")], at=NOON + HOUR)
    assert done == PutResult(inserted=1, changed=1, unchanged=8, retired=1)
    assert "".join(acme.catalogue().items) == "abcdefghik"
    assert "".join(acme.catalogue(at=NOON).items) == "abcdefghij"
    assert (list(acme.catalogue().skills), list(acme.learners())) == (["a"], ["z"])
    assert acme.sync("item", acme.catalogue().items.values(), at=NOON + HOUR) == PutResult(unchanged=10)


def test_a_snapshot_without_more_than_a_tenth_is_refused_and_changes_nothing(acme: TenantSession) -> None:
    acme.put(items(*"abcdefghijklmnopqrst"), at=NOON)
    with pytest.raises(VanishError, match=r"3 of 20 items would vanish \('r', 's', 't'\); that is 15.0%") as refused:
        acme.sync("item", items(*"abcdefghijklmnopq", title="new"), at=NOON + HOUR)
    assert (refused.value.standing, refused.value.vanishing) == (20, ("r", "s", "t"))
    assert [item.title for item in acme.catalogue().items.values()] == ["T"] * 20
    assert acme.sync("item", items(*"abcdefghijklmnopqr"), at=NOON + HOUR).retired == 2  # a tenth is not more than a tenth
    assert acme.sync("item", items("a", "b"), at=NOON + HOUR, most_vanish=16 / 18).retired == 16


def test_an_empty_snapshot_is_refused_whatever_may_vanish(acme: TenantSession) -> None:
    assert acme.sync("item", [], at=NOON) == PutResult()
    acme.put(items(*"abcdefg"), at=NOON)
    with pytest.raises(VanishError, match=r"7 of 7 items .*'e', \.\.\.\); an empty snapshot is always refused"):
        acme.sync("item", [], at=NOON + HOUR, most_vanish=1)
    assert len(acme.catalogue().items) == 7


def test_a_snapshot_from_a_clock_that_went_back_changes_nothing(acme: TenantSession) -> None:
    acme.put(items(*"abcdefghij"), at=NOON)
    acme.put(items("b", title="new"), at=NOON + 2 * HOUR)
    with pytest.raises(VersionError, match="item 'b' changed at"):
        acme.sync("item", items(*"bcdefghijk"), at=NOON + HOUR)
    assert "".join(acme.catalogue().items) == "abcdefghij"


def test_a_snapshot_holds_one_kind(acme: TenantSession) -> None:
    with pytest.raises(ValueError, match="learner 'ann' stands in a snapshot of items"):
        acme.sync("item", [Item(id="a", title="A"), Learner(id="ann")], at=NOON)


def test_retiring_and_snapshots_end_at_the_tenant(store: EventStore, acme: TenantSession) -> None:
    other = store.tenant("other")
    for session in (acme, other):
        session.put(items("a", "b"), at=NOON)
    assert acme.retire("item", ["a"], at=NOON + HOUR) == 1
    assert acme.sync("item", items("c"), at=NOON + HOUR, most_vanish=1).retired == 1
    assert list(other.catalogue().items) == ["a", "b"]
    assert other.row("item", "c") is None
    assert other.known_names("item", ["a", "c"]) == {"a"}


def test_learners_are_known_by_alias_and_skills_by_id(acme: TenantSession) -> None:
    acme.put([Learner(id="ann", aliases=("x", "y")), Skill(id="sql", name="SQL"), Role(id="r", name="R")], at=NOON)
    acme.put([Learner(id="ann", aliases=("x",))], at=NOON + HOUR)
    assert acme.known_names("learner", ["ann", "x", "y", "z"]) == {"ann", "x"}
    assert (acme.known_names("skill", ["sql", "x"]), acme.known_names("role", ["r", "sql"])) == ({"sql"}, {"r"})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=snapshots)
def test_the_catalogue_is_the_last_snapshot_whatever_stood_before(acme: TenantSession, rows: list[Item]) -> None:
    at = NOON + next(CLOCK) * HOUR
    before = acme.catalogue().items
    done = acme.sync("item", rows, at=at, most_vanish=1)
    assert acme.catalogue().items == {row.id: row for row in rows}
    assert acme.catalogue(at=at - timedelta(microseconds=1)).items == before
    kept = before.keys() & {row.id for row in rows}
    assert (done.inserted, done.changed + done.unchanged, done.retired) == (
        len(rows) - len(kept),
        len(kept),
        len(before) - len(kept),
    )
    assert acme.known_items([alias for row in rows for alias in row.aliases]) == {a for row in rows for a in row.aliases}
    assert acme.sync("item", rows, at=at) == PutResult(unchanged=len(rows))
