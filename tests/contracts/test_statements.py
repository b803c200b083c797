"""What every store does with statements, on SQLite and on PostgreSQL alike."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from features.catalogue import Item, Learner
from features.events import Event, Verb
from features.store import ConflictError, EventStore, TenantSession, VoidingError
from features.store.statements import MOST_COUNTED, OTHERS
from features.xapi.intake import NOT_EVENT, Intake, check, take_in
from features.xapi.statement import VOIDED

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADL = "http://adlnet.gov/expapi/verbs/"
EXCEL = "https://lms.example/excel"


def number(n: int) -> str:
    return str(uuid.UUID(int=n))


def said(n: int, verb: str = "initialized", **fields: Any) -> dict[str, Any]:
    actor = {"mbox": "mailto:ann@acme.example"}
    body = {"id": number(n), "actor": actor, "verb": {"id": ADL + verb}, "object": {"id": EXCEL}}
    return body | {"timestamp": NOON.isoformat()} | fields


def voids(n: int, target: int) -> dict[str, Any]:
    return said(n, object={"objectType": "StatementRef", "id": number(target)}) | {"verb": {"id": VOIDED}}


def batch(*bodies: dict[str, Any], at: datetime = NOON, tenant: str = "acme") -> list[Intake]:
    given = check(bodies, compat=False)
    return take_in(given, tenant=tenant, now=at, known=lambda _: False, authority="key", compat=False)


def seen(acme: TenantSession, **moment: datetime) -> list[str]:
    return [event.event_id for event in acme.history("mailto:ann@acme.example", **moment)]


def test_a_statement_is_stored_with_its_event(acme: TenantSession) -> None:
    done = acme.receive(batch(said(1), said(2, "passed"), at=NOON + HOUR))
    assert ([one.statement_id for one in done.new], done.duplicates) == ([number(1), number(2)], 0)
    assert seen(acme) == [number(1), number(2)]
    assert seen(acme, known_by=NOON) == []  # it happened then, and was known an hour later
    found = acme.statement(number(1), voided=False)
    assert found is not None
    assert (found["stored"], found["timestamp"]) == ((NOON + HOUR).isoformat(), NOON.isoformat())
    assert found["authority"]["account"]["name"] == "key"
    assert acme.last_statement() == NOON + HOUR


def test_the_same_again_is_no_news_and_other_content_refuses_all(acme: TenantSession) -> None:
    acme.receive(batch(said(1)))
    again = said(1, timestamp="2026-03-01T13:00:00+01:00")
    again["verb"]["display"] = {"en": "began"}
    assert acme.receive(batch(again, said(2), at=NOON + HOUR)).duplicates == 1
    with pytest.raises(ConflictError, match="other content") as refused:
        acme.receive(batch(said(3), said(1, "failed")))
    assert refused.value.statement_id == number(1)
    assert seen(acme) == [number(1), number(2)]
    assert acme.statement(number(3), voided=False) is None


def test_passed_before_initialized_then_voided_then_sent_again_stays_void(acme: TenantSession) -> None:
    passed = said(1, "passed", timestamp=(NOON + HOUR).isoformat())
    acme.receive(batch(passed, at=NOON + HOUR))
    acme.receive(batch(said(2), at=NOON + 2 * HOUR))
    assert seen(acme) == [number(2), number(1)]
    acme.receive(batch(voids(3, 1), at=NOON + 3 * HOUR))
    assert seen(acme) == [number(2)]
    assert seen(acme, known_by=NOON + 2 * HOUR) == [number(2), number(1)]
    assert acme.receive(batch(passed, at=NOON + 4 * HOUR)).duplicates == 1
    assert seen(acme) == [number(2)]
    assert acme.statement(number(1), voided=False) is None
    assert acme.statement(number(1), voided=True) is not None


def test_a_voiding_may_come_first_or_in_the_same_batch(acme: TenantSession) -> None:
    acme.receive(batch(voids(9, 1)))
    acme.receive(batch(said(1), said(2), voids(8, 2), said(3)))
    assert seen(acme) == [number(3)]


def test_a_voiding_statement_cannot_be_voided(acme: TenantSession) -> None:
    acme.receive(batch(said(1), voids(2, 1)))
    for given in (batch(voids(3, 2)), batch(voids(4, 5), voids(5, 6))):
        with pytest.raises(VoidingError, match="cannot be voided itself"):
            acme.receive(given)
    assert seen(acme) == []
    assert acme.statement(number(3), voided=False) is None


def test_a_voiding_statement_stands_even_where_it_was_named_before_it_came(acme: TenantSession) -> None:
    acme.receive(batch(voids(1, 2)))
    acme.receive(batch(voids(2, 3)))
    found = acme.statement(number(2), voided=False)
    assert found is not None
    assert found["object"]["id"] == number(3)
    assert acme.statement(number(2), voided=True) is None


def test_one_batch_sent_by_many_at_once_is_stored_once(store: EventStore) -> None:
    given = batch(*(said(n) for n in range(1, 60)), voids(60, 7))

    def send(turn: int) -> int:
        return len(store.tenant("acme").receive(given[:: -1 if turn % 2 else 1]).new)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(send, range(6))) == [0, 0, 0, 0, 0, 60]
    acme = store.tenant("acme")
    assert sorted(seen(acme)) == [number(n) for n in range(1, 60) if n != 7]
    assert len(list(acme.voidings())) == 1


def test_an_id_taken_by_another_event_is_a_conflict_but_not_by_its_own_import(acme: TenantSession) -> None:
    fields = {"tenant": "acme", "learner_id": "ann", "verb": Verb.STARTED, "object_id": "excel", "occurred_at": NOON}
    native = Event.model_validate({**fields, "event_id": number(1), "recorded_at": NOON})
    acme.append([native, native.model_copy(update={"event_id": number(2), "source": "xapi"})])
    with pytest.raises(ConflictError):
        acme.receive(batch(said(1)))
    assert len(acme.receive(batch(said(2))).new) == 1
    assert [event.event_id for event in acme.history("ann")] == [number(1), number(2)]


def test_tenants_do_not_meet(store: EventStore, acme: TenantSession) -> None:
    other = store.tenant("other")
    acme.receive(batch(said(1)))
    assert other.statement(number(1), voided=False) is None
    assert other.last_statement() is None
    assert other.receive(batch(said(1, "failed"), voids(2, 1), tenant="other")).duplicates == 0
    assert seen(acme) == [number(1)]
    assert seen(other) == []
    assert other.intake() == []


def test_what_is_no_event_is_kept_and_counted(acme: TenantSession) -> None:
    acme.receive(batch(said(1, "flown"), said(2, "flown"), said(3)))
    acme.receive(batch(said(4, "flown"), at=NOON + HOUR))
    acme.receive(batch(said(4, "flown"), at=NOON + 2 * HOUR))  # no news, and not counted again
    (found,) = acme.intake()
    assert (found.kind, found.count, found.last_at) == (NOT_EVENT, 3, NOON + HOUR)
    assert found.which == f"unknown verb: {ADL}flown"
    assert acme.statement(number(1), voided=False) is not None
    assert seen(acme) == [number(3)]


def test_no_number_of_reasons_makes_the_counts_endless(acme: TenantSession) -> None:
    acme.count(Counter({("repair", str(n)): 1 for n in range(MOST_COUNTED - 1)}), at=NOON)
    acme.count(Counter({("repair", "0"): 2, ("repair", "new"): 3, ("repair", "newer"): 4}), at=NOON)
    found = {one.which: one.count for one in acme.intake()}
    assert (found["0"], found[OTHERS], len(found)) == (3, 7, MOST_COUNTED)


def test_a_part_of_a_known_item_speaks_of_the_item(acme: TenantSession) -> None:
    acme.put([Item(id="excel", title="Excel", aliases=(EXCEL,))], at=NOON)
    context = {"contextActivities": {"parent": [{"id": EXCEL}]}}
    given = check([said(1, "completed", object={"id": f"{EXCEL}/part"}, context=context)], compat=False)
    names = {name for one in given for name in one.names}
    known = acme.known_items(names)
    assert known == {EXCEL}
    acme.receive(take_in(given, tenant="acme", now=NOON, known=known.__contains__, authority="key", compat=False))
    (event,) = acme.history("mailto:ann@acme.example")
    assert (event.object_id, event.verb) == (EXCEL, Verb.PROGRESSED)


def test_parts_and_stubs_are_resolved_when_the_catalogue_comes(acme: TenantSession) -> None:
    context = {"contextActivities": {"parent": [{"id": f"{EXCEL}/module"}], "grouping": [{"id": EXCEL}]}}
    parts = [said(n, "completed", object={"id": f"{EXCEL}/{n}"}, context=context) for n in (1, 2)]
    acme.receive(batch(*parts, said(3, "completed", object={"id": f"{EXCEL}/2"}), said(4)))

    def unresolved() -> tuple[dict[str, int], dict[str, int], tuple[int, int]]:
        learners, objects = ({one.name: one.events for one in stubs} for stubs in acme.unresolved())
        return learners, objects, (acme.counts().unknown_learners, acme.counts().unknown_objects)

    ann = "mailto:ann@acme.example"
    assert unresolved() == ({ann: 4}, {f"{EXCEL}/1": 1, f"{EXCEL}/2": 2, EXCEL: 1}, (1, 3))
    acme.put([Item(id="excel", title="Excel", aliases=(EXCEL,))], at=NOON)
    assert unresolved() == ({ann: 4}, {f"{EXCEL}/2": 1}, (1, 1))  # the one that says nothing of the course
    acme.put([Item(id="two", title="Two", aliases=(f"{EXCEL}/2",)), Learner(id="ann", aliases=(ann,))], at=NOON)
    assert unresolved() == ({}, {}, (0, 0))
    assert seen(acme) == [number(n) for n in (1, 2, 3, 4)]
    assert [one.event_id for one in acme.history("ann")] == seen(acme)


def test_a_reason_as_long_as_an_iri_may_be_is_counted(acme: TenantSession) -> None:
    letters = Random(1)
    iri = "https://lms.example/" + "".join(chr(letters.randrange(0x4E00, 0x9FFF)) for _ in range(2_000))
    acme.receive(batch(said(1, object={"id": iri}), said(2) | {"verb": {"id": iri}}))
    (counted,) = acme.intake()
    assert (counted.kind, counted.count) == (NOT_EVENT, 1)
    assert counted.which.startswith("unknown verb: https://lms.example/")
