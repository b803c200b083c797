"""Content shared by grant, on both databases: items and the skills they name cross, nothing else, and only while it holds."""

from datetime import UTC, datetime, timedelta

import pytest

from features.catalogue import Assignment, Item, Learner, Role, Skill
from features.events import Event, Verb
from features.store import EventStore, GrantedError, TenantSession, UnknownGrantError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EXCEL = Item(
    id="excel", title="Excel", provider="House", skills={"sheets": 2}, aliases=("course:excel",), audiences=("office",)
)
PIVOTS = Item(id="pivots", title="Pivots", provider="Linked", skills={"tables": 3})
ROWS = (
    EXCEL,
    PIVOTS,
    Skill(id="sheets", name="Spreadsheets"),
    Skill(id="tables", name="Tables"),
    Skill(id="secret", name="What nobody else may know"),
    Role(id="clerk", name="Clerk", expects={"secret": 2}),
    Learner(id="ann", aliases=("a-1",)),
    Assignment(id="duty", item_id="excel", learner_id="ann"),
)


@pytest.fixture
def other(store: EventStore) -> TenantSession:
    acme = store.tenant("acme")
    acme.put(ROWS, at=NOON - HOUR)
    known = {"occurred_at": NOON - HOUR, "recorded_at": NOON - HOUR}
    acme.append([Event(tenant="acme", event_id="e", learner_id="ann", verb=Verb.COMPLETED, object_id="excel", **known)])
    return store.tenant("other")


def grant(store: EventStore, **what: object) -> int:
    return store.grants().add("acme", "other", at=NOON, **what).grant_id  # type: ignore[arg-type]


def test_without_a_grant_nothing_crosses(other: TenantSession) -> None:
    assert (other.catalogue().items, other.row("item", "excel"), other.known_items(["excel"])) == ({}, None, set())


def test_items_and_the_skills_they_name_cross_and_nothing_else(store: EventStore, other: TenantSession) -> None:
    grant(store)
    found = other.catalogue()
    assert list(found.items) == ["excel", "pivots"]
    assert found.items["excel"] == EXCEL.model_copy(update={"granted_by": "acme", "audiences": ()})
    assert (sorted(found.skills), found.roles) == (["sheets", "tables"], {})
    assert (other.learners(), other.assignments(), other.history("ann"), other.export("ann")) == ({}, [], [], None)
    assert (other.learner("a-1"), other.row("role", "clerk"), other.row("skill", "secret"), list(other.events())) == (
        None,
    ) * 3 + ([],)
    assert store.tenants() == ("acme",)


def test_the_grantor_sees_nothing_of_its_use(store: EventStore, other: TenantSession) -> None:
    acme = store.tenant("acme")
    before = acme.catalogue(), acme.counts(), list(acme.events()), acme.grants()
    grant(store)
    known = {"occurred_at": NOON, "recorded_at": NOON}
    other.append([Event(tenant="other", event_id="o", learner_id="bob", verb=Verb.COMPLETED, object_id="excel", **known)])
    assert (acme.catalogue(), acme.counts(), list(acme.events()), acme.grants()) == before


def test_a_grant_names_a_provider_or_single_items(store: EventStore, other: TenantSession) -> None:
    number = grant(store, provider="Linked")
    assert (list(other.catalogue().items), list(other.catalogue().skills)) == (["pivots"], ["tables"])
    assert (other.row("item", "excel"), other.known_items(["excel", "course:excel", "pivots"])) == (None, {"pivots"})
    store.grants().revoke(number, at=NOON + HOUR)
    grant(store, items=["excel"])
    assert list(other.catalogue().items) == ["excel"]
    assert other.known_items(["excel", "course:excel", "pivots"]) == {"excel", "course:excel"}


def test_it_is_read_with_its_mark_and_resolves_events(store: EventStore, other: TenantSession) -> None:
    grant(store)
    row = other.row("item", "excel")
    assert isinstance(row, Item)
    assert (row.granted_by, other.row("skill", "sheets")) == ("acme", Skill(id="sheets", name="Spreadsheets"))
    assert other.known_names("skill", ["sheets", "secret"]) == {"sheets"}
    known = {"occurred_at": NOON, "recorded_at": NOON}
    other.append([Event(tenant="other", event_id="o", learner_id="b", verb=Verb.COMPLETED, object_id="course:excel", **known)])
    assert other.unresolved()[1] == []
    assert other.counts().unknown_objects == 0


def test_what_is_granted_cannot_be_changed_retired_or_taken_over(store: EventStore, other: TenantSession) -> None:
    grant(store)
    mine = Item(id="mine", title="Mine")
    for change in (
        lambda: other.put([mine, Item(id="excel", title="Taken")], at=NOON + HOUR),
        lambda: other.sync("item", [mine, Item(id="excel", title="Taken")], at=NOON + HOUR),
        lambda: other.retire("item", ["excel"], at=NOON + HOUR),
    ):
        with pytest.raises(GrantedError, match="item 'excel' is granted by tenant acme and can only be changed there"):
            change()
    with pytest.raises(ValueError, match="'excel' is granted by tenant acme, and stored there"):
        other.put(other.catalogue().items.values(), at=NOON + HOUR)
    assert list(other.catalogue().items) == ["excel", "pivots"]
    assert store.tenant("acme").catalogue().items["excel"] == EXCEL


def test_what_was_its_own_stays_its_own(store: EventStore, other: TenantSession) -> None:
    own = Item(id="excel", title="Our own", aliases=("pivots",))
    other.put([own, Skill(id="tables", name="Furniture")], at=NOON - HOUR)
    grant(store)
    assert other.catalogue().items == {"excel": own}
    assert (other.row("item", "excel"), other.row("item", "pivots")) == (own, None)
    assert other.known_items(["excel", "pivots", "course:excel"]) == {"excel", "pivots"}
    assert other.put([own.model_copy(update={"title": "Newer"})], at=NOON + HOUR).changed == 1
    assert other.catalogue().skills == {"tables": Skill(id="tables", name="Furniture")}


def test_a_snapshot_of_its_own_leaves_what_is_granted(store: EventStore, other: TenantSession) -> None:
    other.put([Item(id="mine", title="Mine")], at=NOON - HOUR)
    grant(store)
    assert other.sync("item", [Item(id="mine", title="Mine")], at=NOON + HOUR).retired == 0
    assert list(other.catalogue().items) == ["excel", "mine", "pivots"]


def test_what_was_granted_is_not_granted_on(store: EventStore, other: TenantSession) -> None:
    grant(store)
    store.grants().add("other", "third", at=NOON)
    assert store.tenant("third").catalogue().items == {}


def test_of_two_grantors_one_says_what_an_item_is(store: EventStore, other: TenantSession) -> None:
    store.tenant("zeta").put([Item(id="excel", title="Theirs"), Item(id="more", title="More")], at=NOON - HOUR)
    store.grants().add("zeta", "other", at=NOON)
    grant(store)
    found = {item.id: item.granted_by for item in other.catalogue().items.values()}
    assert found == {"excel": "acme", "pivots": "acme", "more": "zeta"}
    row = other.row("item", "excel")
    assert isinstance(row, Item)
    assert row.granted_by == "acme"


def test_a_revoked_grant_still_says_what_was(store: EventStore, other: TenantSession) -> None:
    number = grant(store)
    ended = store.grants().revoke(number, at=NOON + HOUR)
    assert ended.until == NOON + HOUR
    assert store.grants().revoke(number, at=NOON + 2 * HOUR) == ended
    assert (other.catalogue().items, other.grants(), other.known_items(["excel"])) == ({}, (), set())
    assert other.put([Item(id="excel", title="Ours now")], at=NOON + 2 * HOUR).inserted == 1
    for moment, holds in ((NOON - HOUR / 2, False), (NOON, True), (NOON + HOUR / 2, True), (NOON + HOUR, False)):
        assert bool(other.grants(at=moment)) is holds
        assert bool(other.catalogue(at=moment).items) is holds
    assert store.grants().listed("acme") == store.grants().listed("other") == store.grants().listed() == [ended]
    assert store.grants().listed("third") == []


def test_what_cannot_be_granted_is_refused(store: EventStore) -> None:
    with pytest.raises(ValueError, match="has its own catalogue"):
        store.grants().add("acme", "acme", at=NOON)
    with pytest.raises(ValueError, match="one at least"):
        grant(store, items=[])
    with pytest.raises(UnknownGrantError, match="number 7"):
        store.grants().revoke(7, at=NOON)
