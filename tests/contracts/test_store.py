"""What every store does, on SQLite and on PostgreSQL alike."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from features.catalogue import Assignment, CatalogueRow, Item, Learner, Role, Skill
from features.decisions import Decision, Randomisation
from features.events import EARLIEST, Event, Result, Verb
from features.store import (
    EVENTS,
    MAX_BATCH,
    STORED,
    EventStore,
    Progress,
    PutResult,
    TenantSession,
    catalogue,
)
from features.store.tables import DECISIONS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def event(event_id: str, *, at: datetime = NOON, recorded: datetime | None = None, **fields: object) -> Event:
    body = {"tenant": "acme", "learner_id": "ann", "verb": Verb.STARTED, "object_id": "excel", **fields}
    return Event.model_validate({**body, "event_id": event_id, "occurred_at": at, "recorded_at": recorded or at})


def decision(decision_id: str, policy: str = "blend", tenant: str = "acme") -> Decision:
    chance = Randomisation(epsilon=0.1, seed=7, support=3)
    return Decision(
        decision_id=decision_id,
        tenant=tenant,
        learner_id="ann",
        decided_at=NOON,
        bundle="b",
        policy=policy,
        randomisation=chance,
    )


def ids(events: list[Event]) -> list[str]:
    return [e.event_id for e in events]


def test_what_is_read_equals_what_was_written(acme: TenantSession) -> None:
    full = event(
        "full",
        at=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
        verb=Verb.COMPLETED,
        decision_id="d1",
        result=Result(completion=True, score=0.5, duration_s=30),
        context={"nested": {"list": [1, 2.5, None, "ü"]}},
        source="lms",
        backfill=True,
    )
    acme.append([full, event("plain")])
    assert acme.history("ann") == [event("plain"), full]
    assert Event.model_validate(acme.history("ann")[1].model_dump()) == full
    assert acme.history("ann")[1].model_dump_json() == full.model_dump_json()


def test_the_same_id_is_one_event_and_with_other_content_a_conflict(acme: TenantSession) -> None:
    first = event("e1")
    assert acme.append([first]).outcomes == ("accepted",)
    again = event("e1", recorded=NOON + HOUR)
    other = event("e1", object_id="word")
    assert acme.append([again, other, event("e2")]).outcomes == ("duplicate", "conflict", "accepted")
    assert acme.history("ann") == [first, event("e2")]


def test_content_is_compared_without_the_order_of_its_context(acme: TenantSession) -> None:
    acme.append([event("e1", context={"a": 1, "b": {"c": 1, "d": 2}})])
    again = [event("e1", context={"b": {"d": 2, "c": 1}, "a": 1}), event("e1", context={"a": 2, "b": {"c": 1, "d": 2}})]
    assert acme.append(again).outcomes == ("duplicate", "conflict")


@pytest.mark.parametrize(
    "field", [{"verb": "completed"}, {"learner_id": "bob"}, {"decision_id": "d"}, {"result": {"score": 1}}, {"at": NOON + HOUR}]
)
def test_every_other_field_of_the_content_counts(acme: TenantSession, field: dict[str, Any]) -> None:
    acme.append([event("e1")])
    assert acme.append([event("e1", **field)]).conflicts == 1


def test_a_voided_event_leaves_later_answers_and_no_earlier_one(acme: TenantSession) -> None:
    acme.append([event("e1"), event("e2", recorded=NOON + HOUR)])
    assert acme.void(["e1"], by="v1", at=NOON + 2 * HOUR) == 1
    assert acme.void(["e1"], by="v2", at=NOON + 3 * HOUR) == 0  # once is enough
    assert ids(acme.history("ann")) == ids(acme.history("ann", known_by=NOON + 2 * HOUR)) == ["e2"]
    assert ids(acme.history("ann", known_by=NOON + 2 * HOUR - timedelta(microseconds=1))) == ["e1", "e2"]
    assert ids([found for _, found in acme.events()]) == ["e2"]
    assert ids([found for _, found in acme.between(NOON - HOUR, NOON + HOUR)]) == ["e2"]
    assert [seq for seq, _ in acme.arrivals()] == [1, 2]
    assert list(acme.voidings()) == [(1, NOON)]
    assert acme.counts().events == 1


def test_what_was_voided_before_it_came_never_counts(acme: TenantSession) -> None:
    assert acme.void(["e1"], by="v1", at=NOON) == 0
    assert list(acme.voidings()) == [(1, None)]
    assert acme.append([event("e1", at=NOON + HOUR), event("e2")]).accepted == 2
    assert ids(acme.history("ann")) == ids(acme.history("ann", known_by=NOON + 9 * HOUR)) == ["e2"]
    assert acme.append([event("e1", at=NOON + HOUR)]).duplicates == 1
    assert ids(acme.history("ann")) == ["e2"]


def test_a_clock_that_went_back_voids_nothing_before_it_was_known(acme: TenantSession) -> None:
    acme.append([event("e1")])
    acme.void(["e1"], by="v1", at=NOON - HOUR)
    assert acme.history("ann") == acme.history("ann", known_by=NOON) == []


def test_voiding_ends_at_the_tenant(store: EventStore, acme: TenantSession) -> None:
    acme.append([event("e1")])
    assert store.tenant("other").void(["e1"], by="v", at=NOON) == 0
    assert ids(acme.history("ann")) == ["e1"]
    assert list(acme.voidings()) == []


def test_an_item_is_known_by_its_id_and_by_the_aliases_it_has_now(store: EventStore, acme: TenantSession) -> None:
    acme.put([Item(id="excel", title="Excel", aliases=("urn:excel", "old")), Item(id="word", title="Word")], at=NOON)
    acme.put([Item(id="excel", title="Excel", aliases=("urn:excel",)), Skill(id="sql", name="SQL")], at=NOON + HOUR)
    names = ["excel", "urn:excel", "old", "word", "sql", "nothing"]
    assert acme.known_items(names) == {"excel", "urn:excel", "word"}
    assert acme.known_items([]) == store.tenant("other").known_items(names) == set()


def test_a_mailbox_is_one_alias_however_it_is_written(acme: TenantSession) -> None:
    acme.put([Learner(id="ann", aliases=("MAILTO:Ann@Acme.example", "Ä"))], at=NOON)
    acme.append([event("e1", learner_id="mailto:ann@acme.example")])
    assert ids(acme.history("ann")) == ["e1"]
    assert acme.learners()["ann"].aliases == ("mailto:ann@acme.example", "Ä")


def test_a_prepared_row_has_the_columns_of_the_table_in_order(acme: TenantSession) -> None:
    assert tuple(acme.prepare(event("e1"))) == STORED


def test_repeats_within_one_batch_are_seen(acme: TenantSession) -> None:
    done = acme.append([event("e1"), event("e1"), event("e1", object_id="word")])
    assert (done.accepted, done.duplicates, done.conflicts) == (1, 1, 1)


def test_history_is_in_order_of_time_then_of_arrival(acme: TenantSession) -> None:
    acme.append([event("late", at=NOON + HOUR), event("tie-1"), event("tie-0"), event("early", at=NOON - HOUR)])
    acme.append([event("tie-2"), event("other", learner_id="bob")])
    assert ids(acme.history("ann")) == ["early", "tie-1", "tie-0", "tie-2", "late"]
    assert acme.history("nobody") == []


def test_history_holds_what_was_known_by_then(acme: TenantSession) -> None:
    late = event("late", at=NOON - HOUR, recorded=NOON + HOUR)
    imported = event("imported", at=NOON - HOUR, recorded=NOON + HOUR, backfill=True)
    acme.append([late, imported, event("now")])
    assert ids(acme.history("ann", known_by=NOON)) == ["imported", "now"]
    assert ids(acme.history("ann", known_by=NOON + HOUR)) == ["late", "imported", "now"]


def test_a_tenant_sees_and_writes_only_its_own(store: EventStore, acme: TenantSession) -> None:
    other = store.tenant("other")
    acme.append([event("e1")])
    acme.put([Item(id="excel", title="Excel")], at=NOON)
    acme.record([decision("d1")])
    assert other.history("ann") == []
    assert list(other.events()) == []
    assert other.catalogue().items == {}
    assert other.decision("d1") is None
    assert other.append([event("e1", tenant="other", object_id="word")]).accepted == 1
    assert store.tenants() == ("acme", "other")
    with pytest.raises(ValueError, match="belongs to tenant 'acme'"):
        other.append([event("e2")])
    with pytest.raises(ValueError, match="another tenant"):
        other.append_prepared([acme.prepare(event("e2"))])
    with pytest.raises(ValueError, match="belongs to tenant 'acme'"):
        other.record([decision("d2")])


def test_a_batch_has_a_limit_and_a_failed_batch_leaves_nothing(acme: TenantSession) -> None:
    with pytest.raises(ValueError, match="5001 events in one batch"):
        acme.append([event(str(n)) for n in range(MAX_BATCH + 1)])
    with pytest.raises(ValueError, match="belongs to tenant"):
        acme.append([event("good"), event("bad", tenant="other")])
    assert acme.counts().events == 0
    assert acme.append([]).outcomes == ()


def test_events_come_in_order_of_arrival_after_a_watermark(acme: TenantSession) -> None:
    acme.append([event(f"e{n}", at=NOON - n * HOUR) for n in range(4)])
    everything = list(acme.events())
    assert [e.event_id for _, e in everything] == ["e0", "e1", "e2", "e3"]
    assert list(acme.events(after=everything[1][0])) == everything[2:]
    assert list(acme.events(limit=3)) == everything[:3]
    assert [seq for seq, _ in acme.arrivals(after=everything[2][0])] == [everything[3][0]]
    assert acme.between(NOON - 2 * HOUR, NOON) == [everything[2], everything[1]]


def test_days_before_1970_are_counted_as_days_too(acme: TenantSession) -> None:
    times = [
        datetime(1969, 12, 30, 23, 59, tzinfo=UTC),
        datetime(1969, 12, 30, tzinfo=UTC),
        datetime(1968, 2, 29, 1, tzinfo=UTC),
    ]
    acme.append([event(f"e{n}", at=at) for n, at in enumerate([*times, EARLIEST, NOON])])
    held = {"1901-01-01": 1, "1968-02-29": 1, "1969-12-30": 2, "2026-03-01": 1}
    assert acme.per_day(until=9) == held
    assert ids([one for _, one in acme.between(EARLIEST, NOON)]) == ["e3", "e2", "e1", "e0"]


def test_a_long_table_is_read_page_by_page(acme: TenantSession) -> None:
    acme.append([event(str(n)) for n in range(MAX_BATCH)])
    acme.append([event("last")])
    assert [e.event_id for _, e in acme.events()] == [*map(str, range(MAX_BATCH)), "last"]


def test_unchanged_rows_are_no_new_version(acme: TenantSession) -> None:
    rows: list[CatalogueRow] = [Item(id="a", title="A"), Skill(id="a", name="A"), Learner(id="a"), Role(id="a", name="A")]
    assert acme.put(rows, at=NOON) == PutResult(inserted=4)
    assert acme.put([*rows[1:], Item(id="a", title="B")], at=NOON + HOUR) == PutResult(changed=1, unchanged=3)
    assert acme.counts().catalogue == {"skill": 1, "item": 1, "learner": 1, "role": 1, "assignment": 0}


def test_an_old_catalogue_can_still_be_read(acme: TenantSession) -> None:
    for hour, title in enumerate(("first", "second", "third")):
        acme.put([Item(id="a", title=title)], at=NOON + hour * HOUR)
    seen = [acme.catalogue(at=NOON + minutes * HOUR / 60).items for minutes in (-1, 0, 59, 60, 120)]
    assert [items["a"].title if items else None for items in seen] == [None, "first", "first", "second", "third"]
    assert acme.catalogue().items["a"].title == "third"


def test_a_version_cannot_come_before_the_one_that_stands(acme: TenantSession) -> None:
    acme.put([Item(id="a", title="A")], at=NOON)
    with pytest.raises(ValueError, match="item 'a' changed at 2026-03-01 12:00"):
        acme.put([Item(id="a", title="B")], at=NOON - HOUR)
    assert acme.catalogue().items["a"].title == "A"


def test_the_last_of_two_rows_in_one_batch_stands(acme: TenantSession) -> None:
    assert acme.put([Item(id="a", title="A"), Item(id="a", title="B")], at=NOON) == PutResult(inserted=1, changed=1)
    assert acme.catalogue(at=NOON).items["a"].title == "B"


def test_learners_and_assignments_are_versioned_too(acme: TenantSession) -> None:
    ann = Learner(id="ann", audiences=("staff",), languages=("en",))
    duty = Assignment(id="duty", item_id="a", audience="staff")
    acme.put([ann, duty], at=NOON)
    acme.put([Learner(id="ann", status="leave")], at=NOON + HOUR)
    assert acme.learner("ann", at=NOON) == ann
    assert acme.learner("ann") == Learner(id="ann", status="leave") == acme.learners()["ann"]
    assert acme.learner("ann", at=NOON + HOUR) == Learner(id="ann", status="leave")  # a version ends where the next begins
    assert acme.learner("bob") is None
    assert acme.learners(at=NOON - HOUR) == {}
    assert acme.assignments() == [duty]


def test_learners_of_one_id_in_two_tenants_are_two_people(store: EventStore, acme: TenantSession) -> None:
    other = store.tenant("other")
    acme.put([Learner(id="ann", org_unit="mine", aliases=("a-1",))], at=NOON)
    other.put([Learner(id="ann", org_unit="theirs", personalisation=False), Learner(id="bob", aliases=("b-1",))], at=NOON)
    for session, unit in ((acme, "mine"), (other, "theirs")):
        for found in (session.learner("ann"), session.learner("ann", at=NOON), session.learners()["ann"]):
            assert found is not None
            assert found.org_unit == unit
    assert (other.learner("a-1"), acme.learner("bob"), acme.learner("b-1")) == (None, None, None)


def test_all_names_of_a_learner_are_one_history(store: EventStore, acme: TenantSession) -> None:
    other = store.tenant("other")
    acme.put([Learner(id="ann", aliases=("a-1", "a-2")), Learner(id="bob")], at=NOON)
    acme.append([event("2", at=NOON + HOUR), event("1", learner_id="a-1"), event("3", learner_id="a-2", at=NOON + 2 * HOUR)])
    acme.append([event("4", learner_id="bob"), event("5", learner_id="a-3")])
    other.append([event("6", tenant="other", learner_id="a-1"), event("7", tenant="other")])
    for name in ("ann", "a-1", "a-2"):
        assert acme.learner(name) == Learner(id="ann", aliases=("a-1", "a-2"))
        assert ids(acme.history(name)) == ["1", "2", "3"]
        assert ids(acme.history(name, known_by=NOON + HOUR)) == ["1", "2"]
    assert [ids(acme.history(name)) for name in ("bob", "a-3")] == [["4"], ["5"]]
    assert [ids(other.history(name)) for name in ("ann", "a-1")] == [["7"], ["6"]]
    assert other.learner("a-1") is None


def test_an_alias_holds_while_its_learner_has_it(acme: TenantSession) -> None:
    acme.append([event("1"), event("2", learner_id="a-1")])
    acme.put([Learner(id="ann")], at=NOON)
    acme.put([Learner(id="ann", aliases=("a-1",))], at=NOON + HOUR)
    acme.put([Learner(id="ann"), Learner(id="zoe", aliases=("a-1",))], at=NOON + 2 * HOUR)
    owners = [acme.learner("a-1", at=NOON + hour * HOUR) for hour in range(3)]
    assert [row and row.id for row in owners] == [None, "ann", "zoe"]
    assert [ids(acme.history("ann", known_by=NOON + hour * HOUR)) for hour in range(3)] == [["1"], ["1", "2"], ["1"]]
    assert ids(acme.history("zoe")) == ["2"]


def test_an_alias_that_others_have_too_is_read_as_the_lake_reads_it(
    acme: TenantSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "check_names", lambda *_: None)  # as an older program stored them
    acme.append([event("1", learner_id="x"), event("2", learner_id="bob"), event("3", learner_id="cem")])
    acme.put([Learner(id="ann", aliases=("x", "bob")), Learner(id="bob"), Learner(id="cem", aliases=("x",))], at=NOON)
    assert [ids(acme.history(name)) for name in ("ann", "bob", "cem", "x")] == [[], ["2"], ["1", "3"], ["1", "3"]]


def test_a_decision_is_recorded_once(acme: TenantSession) -> None:
    acme.record([decision("d1"), decision("d2")])
    acme.record([decision("d1", policy="changed"), decision("d3")])
    assert acme.decision("d1") == decision("d1")
    assert acme.decision("d9") is None
    assert [d.decision_id for _, d in acme.decisions()] == ["d1", "d2", "d3"]
    assert [d.decision_id for _, d in acme.decisions(after=1, limit=1)] == ["d2"]
    newest = lambda limit, who: [d.decision_id for d in acme.newest_decisions(limit, bundle="b", learners={who})]  # noqa: E731
    assert (newest(2, "ann"), newest(9, "ann"), newest(9, "bob")) == (["d2", "d3"], ["d1", "d2", "d3"], [])
    assert acme.newest_decisions(9, bundle="policy", learners={"ann"}) == []  # a word that stands in each of them
    last = acme.last_decisions(2)
    assert [d.decision_id for _, d in last] == ["d3", "d2"]
    assert [d.decision_id for _, d in acme.last_decisions(5, before=last[-1][0])] == ["d1"]


def test_stubs_are_counted_and_aliases_are_not_stubs(acme: TenantSession) -> None:
    acme.put([Item(id="excel", title="Excel", aliases=("xl",)), Skill(id="sql", name="SQL"), Learner(id="ann")], at=NOON)
    objects = ["excel", "xl", "skill:sql", "skill:gone", "gone"]
    acme.append([event(thing, object_id=thing) for thing in objects] + [event("e", learner_id="bob")])
    counts = acme.counts()
    assert (counts.events, counts.learners_with_events, counts.objects_with_events) == (6, 2, 5)
    assert (counts.unknown_learners, counts.unknown_objects) == (1, 2)
    assert counts.verbs == {"started": 6}


def test_progress_is_stored_with_the_rows_it_speaks_of(store: EventStore, acme: TenantSession) -> None:
    assert acme.progress("logs.csv") is None
    acme.append([event("e1")])
    rows = [acme.prepare(event(name)) for name in ("e1", "e2")] + [acme.prepare(event("e1", object_id="word"))]
    before = Progress("logs.csv", offset=100, line=7, accepted=3, duplicates=1, refused=1)
    done = acme.append_prepared(rows, progress=before)
    stored = Progress("logs.csv", offset=100, line=7, accepted=4, duplicates=2, refused=2)
    assert acme.progress("logs.csv") == before.including(done) == stored
    acme.append_prepared([], progress=Progress("logs.csv", offset=120, line=8))
    assert acme.progress("logs.csv") == Progress("logs.csv", offset=120, line=8)
    assert store.tenant("other").progress("logs.csv") is None
    acme.forget_progress("logs.csv")
    acme.forget_progress("logs.csv")
    assert acme.progress("logs.csv") is None


def test_progress_and_rows_are_stored_together_or_not_at_all(acme: TenantSession) -> None:
    broken = {**acme.prepare(event("e1")), "verb": None}
    with pytest.raises(IntegrityError):
        acme.append_prepared([acme.prepare(event("e2")), broken], progress=Progress("logs.csv", offset=1))
    assert acme.progress("logs.csv") is None
    assert acme.counts().events == 0


def test_imports_are_remembered(acme: TenantSession) -> None:
    acme.record_import({"source": "logs", "timezone": "Europe/Paris"})
    assert acme.imports() == [{"source": "logs", "timezone": "Europe/Paris"}]


def test_threads_write_while_others_read(acme: TenantSession) -> None:
    def write(name: str) -> None:
        for n in range(20):
            acme.append([event(f"{name}-{n}", learner_id=name)])
            assert len(acme.history(name)) == n + 1

    failures: list[BaseException] = []

    def guarded(name: str) -> None:
        try:
            write(name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(name,)) for name in ("ann", "bob", "cem")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert acme.counts().events == 60


def test_what_follows_an_unfinished_batch_is_not_seen_before_it(acme: TenantSession) -> None:
    later = threading.Thread(target=acme.append, args=([event("second")],))
    with acme._writing(EVENTS) as connection:
        acme._store(connection, [tuple(acme.prepare(event("first")).values())])
        later.start()
        later.join(timeout=0.3)
        assert list(acme.events()) == []  # a watermark after `second` would never meet `first`
    later.join()
    assert [found.event_id for _, found in acme.events()] == ["first", "second"]


def test_decisions_are_seen_in_their_order_too(acme: TenantSession) -> None:
    later = threading.Thread(target=acme.record, args=([decision("second")],))
    with acme._writing(DECISIONS) as connection:
        acme._record(connection, [decision("first")])
        later.start()
        later.join(timeout=0.3)
        assert list(acme.decisions()) == []
    later.join()
    assert [found.decision_id for _, found in acme.decisions()] == ["first", "second"]


def test_whoever_follows_a_watermark_misses_nothing_that_many_write(store: EventStore, acme: TenantSession) -> None:
    writers, batches, size = 4, 15, 20
    sizes = [0] * writers

    def write(writer: int) -> None:
        session = store.tenant("acme")
        for batch in range(batches):
            rows = [event(f"{writer}-{batch}-{n}") for n in range(size)]
            sizes[writer] += session.append(rows).accepted

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    watermark = 0
    while True:
        running = any(thread.is_alive() for thread in threads)
        for seq, found in acme.events(after=watermark):
            watermark = seq
            seen.append(found.event_id)
        if not running:
            break
    assert sizes == [batches * size] * writers
    assert len(seen) == len(set(seen)) == writers * batches * size


def test_other_tenants_do_not_wait_for_each_other(store: EventStore, acme: TenantSession) -> None:
    if store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks its file")
    with acme._writing(EVENTS):
        assert store.tenant("other").append([event("e1", tenant="other")]).accepted == 1


def test_a_reader_does_not_wait_for_a_writer(acme: TenantSession) -> None:
    acme.append([event("e1")])
    with acme._writing(EVENTS) as connection:
        acme._insert(connection, EVENTS, [acme.prepare(event("e2"))])
        assert ids(acme.history("ann")) == ["e1"]
    assert ids(acme.history("ann")) == ["e1", "e2"]


def test_a_bad_url_says_how_to_write_one() -> None:
    with pytest.raises(ValueError, match=r"sqlite:///var/events\.db"):
        EventStore.open("events.db")
