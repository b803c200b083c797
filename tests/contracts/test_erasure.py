"""What every store does when a learner is erased, or asks for all that is stored of them, on SQLite and PostgreSQL alike."""

import json
import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from features.catalogue import Assignment, Item, Learner
from features.decisions import Decision, Randomisation
from features.events import Event, Verb
from features.store import Erased, EventStore, TenantSession
from features.store.suppression import subject_of
from features.store.tables import METADATA
from features.store.wall import across
from features.xapi.intake import Intake, check, take_in
from features.xapi.mentions import NOBODY, NOBODY_ID
from features.xapi.statement import VOIDED

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANN, BOB = "mailto:ann@acme.example", "mailto:bob@acme.example"
ADL = "http://adlnet.gov/expapi/verbs/"
NOTHING = Erased()


@pytest.fixture
def acme(store: EventStore) -> TenantSession:
    """Ann, who works for Bob and leads Cem, with something of everything."""
    session = store.tenant("acme")
    session.put([Learner(id="ann", aliases=("a-0",)), Item(id="excel", title="Excel")], at=NOON - 9 * HOUR)
    people = Learner(id="ann", aliases=(ANN, "a-1"), manager_id="bob"), Learner(id="bob", aliases=(BOB,))
    led = Learner(id="cem", manager_id="ann", org_unit="sales")
    duty = Assignment(id="duty", item_id="excel", learner_id="ann"), Assignment(id="other", item_id="excel", learner_id="bob")
    session.put([*people, led, *duty], at=NOON - 8 * HOUR)
    session.append([event(n, name) for n, name in enumerate(("ann", "a-0", "a-1", "bob"))])
    session.receive(statements(said(1), said(2, verb="unheard-of"), said(3, who=BOB), voids(4, 3)))
    session.record([decision("d1", "ann"), decision("d2", "bob")])
    return session


def event(n: int, learner: str = "ann", *, at: datetime = NOON, tenant: str = "acme") -> Event:
    body = {"tenant": tenant, "learner_id": learner, "verb": Verb.STARTED, "object_id": "excel"}
    return Event.model_validate({**body, "event_id": f"e{n}", "occurred_at": at, "recorded_at": max(at, NOON)})


def decision(name: str, learner: str, at: datetime = NOON) -> Decision:
    chance = Randomisation(epsilon=0.1, seed=7, support=3)
    facts = {"bundle": "b", "policy": "p", "randomisation": chance}
    return Decision(decision_id=name, tenant="acme", learner_id=learner, decided_at=at, **facts)  # type: ignore[arg-type]


def number(n: int) -> str:
    return str(uuid.UUID(int=n))


def said(n: int, verb: str = "initialized", *, who: str = ANN, at: datetime = NOON, **fields: Any) -> dict[str, Any]:
    body = {"id": number(n), "actor": {"mbox": who}, "verb": {"id": ADL + verb}, "object": {"id": "https://lms.example/excel"}}
    return body | {"timestamp": at.isoformat()} | fields


def voids(n: int, target: int, **fields: Any) -> dict[str, Any]:
    return said(n, object={"objectType": "StatementRef", "id": number(target)}, **fields) | {"verb": {"id": VOIDED}}


def statements(*bodies: dict[str, Any], at: datetime = NOON + HOUR) -> list[Intake]:
    given = check(bodies, compat=False)
    return take_in(given, tenant="acme", now=at, known=lambda _: False, authority="key", compat=False)


def ids(events: Sequence[Event]) -> list[str]:
    return [one.event_id for one in events]


def everything(store: EventStore) -> str:
    """All rows of all tables."""
    with across(store.engine).connect() as connection:
        return json.dumps([[list(row) for row in connection.execute(sa.select(table))] for table in METADATA.sorted_tables])


def test_nothing_of_an_erased_learner_is_left_and_all_of_the_others_is(store: EventStore, acme: TenantSession) -> None:
    done = acme.erase("ann", at=NOON + HOUR)
    # Statements 1, 2 and 4 and the event of 1 beside three; two versions and a duty; three aliases; Cem's manager.
    assert done == Erased(events=4, statements=3, decisions=1, catalogue=3, aliases=3, references=1)
    left = everything(store)
    assert not [name for name in ("ann", "a-0", "a-1") if f'"{name}"' in left or f'\\"{name}' in left or f"{name}@" in left]
    assert acme.learner("cem") == Learner(id="cem", org_unit="sales")
    assert [ids(acme.history(name)) for name in ("ann", "a-0", "bob")] == [[], [], ["e3"]]
    assert acme.statement(number(3), voided=True) is not None  # it was Bob's, and Ann took it back
    assert [one.decision_id for _, one in acme.decisions()] == ["d2"]
    assert [one.id for one in acme.assignments()] == ["other"]


@pytest.mark.parametrize("name", ["ann", ANN, "a-0"])
def test_a_learner_is_erased_by_any_name_they_have_or_had(acme: TenantSession, name: str) -> None:
    assert acme.erase(name, at=NOON + HOUR).events == 4
    assert acme.learner("ann") is None


def test_erasing_again_or_somebody_never_heard_of_does_no_harm(acme: TenantSession) -> None:
    acme.erase("ann", at=NOON + HOUR)
    assert acme.erase("ann", at=NOON + HOUR) == NOTHING
    assert acme.erase("nobody", at=NOON + HOUR) == NOTHING
    assert ids(acme.history("bob")) == ["e3"]


def test_what_was_before_the_erasure_is_suppressed_and_what_comes_after_starts_an_empty_learner(acme: TenantSession) -> None:
    acme.erase("ann", at=NOON + HOUR)
    old = [event(n, name) for n, name in enumerate(("ann", "a-0", "a-1", "bob"))]
    later = event(9, "a-1", at=NOON + 2 * HOUR)
    done = acme.append([*old, later, event(10, "cem")])
    assert done.outcomes == ("suppressed", "suppressed", "suppressed", "duplicate", "accepted", "accepted")
    assert (done.accepted, done.suppressed) == (2, 3)
    assert ids(acme.history("a-1")) == ["e9"]
    received = acme.receive(statements(said(1), said(2, verb="unheard-of"), said(5, at=NOON + 2 * HOUR), at=NOON + 3 * HOUR))
    assert ([one.statement_id for one in received.new], received.suppressed) == ([number(5)], 2)
    acme.record([decision("d1", "ann"), decision("d3", "ann", NOON + 2 * HOUR)])
    assert [one.decision_id for _, one in acme.decisions()] == ["d2", "d3"]


def test_what_an_erased_learner_took_back_stays_void_and_so_it_does_when_that_comes_late(acme: TenantSession) -> None:
    acme.append([event(20, "cem")])
    acme.receive(statements(said(6, who=BOB)))
    acme.erase("ann", at=NOON + HOUR)
    acme.receive(statements(voids(4, 3), voids(7, 6)))
    assert [acme.statement(number(n), voided=True) is None for n in (3, 6)] == [False, False]
    assert [acme.statement(number(n), voided=False) for n in (4, 7)] == [None, None]
    assert ids(acme.history("bob")) == ["e3"]


def test_statements_of_others_no_longer_name_who_was_erased(store: EventStore, acme: TenantSession) -> None:
    person, bob = {"mbox": ANN, "name": "Ann"}, {"mbox": BOB}
    taught = said(30, who=BOB, context={"instructor": person, "team": {"objectType": "Group", "member": [bob, person]}})
    about = said(31, who=BOB, object={"objectType": "Agent", **person})
    group = said(32, actor={"objectType": "Group", "name": "team", "member": [person, bob]})
    late = said(33, who=BOB, context={"instructor": person})
    acme.receive(statements(taught, about, group))
    assert acme.erase("ann", at=NOON + HOUR).references == 4  # and Cem's manager
    again = acme.receive(statements(taught, about, group, late, at=NOON + 2 * HOUR))
    assert (again.duplicates, [one.statement_id for one in again.new]) == (3, [number(33)])
    left = everything(store)
    assert "ann@" not in left
    assert '\\"Ann\\"' not in left
    kept = acme.statement(number(30), voided=False)
    assert kept is not None
    assert kept["context"] == {"instructor": NOBODY, "team": {"objectType": "Group", "member": [bob, NOBODY]}}
    later = said(34, who=BOB, at=NOON + 2 * HOUR, context={"instructor": person})
    acme.receive(statements(later, at=NOON + 2 * HOUR))
    assert ANN in json.dumps(acme.statement(number(34), voided=False))  # what she does afterwards is a new beginning
    assert acme.erase(ANN, at=NOON + 3 * HOUR).references == 1


def vouched(n: int, by: str, *, learner: str = "bob", at: datetime = NOON) -> Event:
    told = {"kind": "attested", "by": by, "level": 3}
    fields = {"verb": Verb.ATTESTED, "object_id": "skill:sql", "context": told}
    return event(n, learner, at=at).model_copy(update=fields)


def test_evidence_that_an_erased_learner_vouched_for_stays_and_names_them_no_longer(
    store: EventStore, acme: TenantSession
) -> None:
    """By whichever of their names they vouched; who only has a name like theirs goes on vouching."""
    evidence = [vouched(40, "ann"), vouched(41, "a-0"), vouched(42, "Ann"), vouched(43, "cem"), vouched(44, "x%_ann")]
    told = event(45, "bob").model_copy(update={"context": {"said": {"by": "dan"}, "by": "dan"}})
    acme.append([*evidence, told])
    acme.void(["e41"], by="v", at=NOON + HOUR)
    before, seen = acme.history("bob"), [seq for seq, _ in acme.events()]
    assert acme.erase("ann", at=NOON + HOUR).references == 3  # and Cem's manager
    after = acme.history("bob")
    assert sorted(ids(after)) == sorted(ids(before))
    assert {one.event_id: one.context.get("by") for one in after} == {
        **{"e3": None, "e40": NOBODY_ID, "e42": "Ann", "e43": "cem", "e44": "x%_ann", "e45": "dan"}
    }
    (changed,) = [one for one in after if one.event_id == "e40"]
    assert changed == vouched(40, "ann").model_copy(update={"context": {"kind": "attested", "by": NOBODY_ID, "level": 3}})
    assert [one.event_id for seq, one in acme.events() if seq > max(seen)] == ["e40"]  # who follows the log sees it anew
    assert '"a-0"' not in everything(store)
    assert '\\"ann\\"' not in everything(store)
    found = acme.export("bob")
    assert found is not None
    assert [one["event_id"] for one in found["events"] if one["voided_at"] is not None] == [number(3), "e41"]  # it stays void


def test_what_comes_late_and_names_an_erased_voucher_is_stored_without_the_name(store: EventStore, acme: TenantSession) -> None:
    acme.append([vouched(40, "ann")])
    acme.erase("ann", at=NOON + HOUR)
    late, later = vouched(46, "ann"), vouched(47, "ann", at=NOON + 2 * HOUR)
    assert acme.append([vouched(40, "ann"), late, later]).outcomes == ("duplicate", "accepted", "accepted")
    assert acme.append([late, vouched(46, "cem")]).outcomes == ("duplicate", "conflict")
    said_by = {one.event_id: one.context["by"] for one in acme.history("bob") if one.verb is Verb.ATTESTED}
    assert said_by == {"e40": NOBODY_ID, "e46": NOBODY_ID, "e47": "ann"}  # what she does afterwards is a new beginning
    assert acme.erase("ann", at=NOON + 3 * HOUR).references == 1
    assert '\\"ann\\"' not in everything(store)


def test_who_vouched_in_another_tenant_goes_on_doing_so(store: EventStore, acme: TenantSession) -> None:
    other = store.tenant("other")
    theirs = vouched(0, "ann").model_copy(update={"tenant": "other"})
    other.append([theirs])
    acme.erase("ann", at=NOON + HOUR)
    assert other.history("bob") == [theirs]


def test_a_clock_ahead_of_ours_does_not_bring_an_event_back(acme: TenantSession) -> None:
    ahead = event(8, at=NOON + timedelta(minutes=4))
    acme.append([ahead])
    acme.erase("ann", at=NOON)
    assert acme.append([ahead]).outcomes == ("suppressed",)


def test_other_tenants_keep_who_has_the_same_name(store: EventStore, acme: TenantSession) -> None:
    other = store.tenant("other")
    other.put([Learner(id="ann", manager_id="ann")], at=NOON)
    other.append([event(0, tenant="other")])
    acme.erase("ann", at=NOON + HOUR)
    assert (ids(other.history("ann")), other.learner("ann")) == (["e0"], Learner(id="ann", manager_id="ann"))
    assert other.append([event(1, tenant="other")]).outcomes == ("accepted",)


def test_a_name_that_is_somebody_elses_now_stays_theirs(acme: TenantSession) -> None:
    acme.put([Learner(id="ann", aliases=(ANN,)), Learner(id="dan", aliases=("a-1",))], at=NOON + HOUR)
    acme.erase("ann", at=NOON + 2 * HOUR)
    assert ids(acme.history("dan")) == ["e2"]
    assert acme.append([event(30, "a-1")]).outcomes == ("accepted",)


def test_erasing_is_all_or_nothing(store: EventStore, acme: TenantSession, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(store)
    monkeypatch.setattr("features.store.erasure.mark_names", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        acme.erase("ann", at=NOON)
    assert everything(store) == before


def test_who_writes_while_a_learner_is_erased_brings_nothing_back(store: EventStore) -> None:
    acme, started, ended = store.tenant("acme"), threading.Event(), threading.Event()

    def write() -> None:
        for n in range(10_000):
            acme.append([event(n)])
            acme.record([decision(f"d{n}", "ann")])
            if n == 5:
                started.set()
            if ended.is_set() and n > 10:
                return

    writers = [threading.Thread(target=write) for _ in range(2)]  # the same events: what one erasure took, both send again
    for writer in writers:
        writer.start()
    started.wait(30)
    assert acme.erase("ann", at=NOON).events > 0
    ended.set()
    for writer in writers:
        writer.join(30)
    assert acme.export("ann") is None


def test_hashes_of_a_name_differ_by_tenant_and_need_the_key(store: EventStore) -> None:
    for tenant in ("acme", "other"):
        store.tenant(tenant).erase("ann", at=NOON)
    with across(store.engine).connect() as connection:
        subjects = connection.exec_driver_sql("SELECT subject FROM erasures ORDER BY seq").scalars().all()
        keys = connection.exec_driver_sql("SELECT hash_key FROM erasure_keys ORDER BY tenant").scalars().all()
    assert subjects == [subject_of(key, "ann") for key in keys]
    assert len({*subjects, *keys}) == 4


def test_a_cached_history_forgets_who_vouched(store_url: str, acme: TenantSession) -> None:
    acme.append([vouched(40, "ann")])
    opened = EventStore.open(store_url, remember=100)
    session = opened.tenant("acme")
    assert [one.context.get("by") for one in session.history("bob")] == [None, "ann"]
    acme.erase("ann", at=NOON)
    assert [one.context.get("by") for one in session.history("bob")] == [None, NOBODY_ID]
    opened.close()


def test_a_cached_history_is_gone_with_its_learner(store_url: str, acme: TenantSession) -> None:
    opened = EventStore.open(store_url, remember=100)
    session = opened.tenant("acme")
    assert ids(session.history("ann")) == ["e0", "e2", number(1)]  # a-0 is no name of hers today
    acme.erase("ann", at=NOON)
    assert session.history("ann") == []
    opened.close()


def test_an_export_holds_all_that_an_erasure_would_take(acme: TenantSession) -> None:
    found = acme.export("a-1")
    assert found is not None
    assert (found["learner_id"], set(found["names"])) == ("ann", {"ann", "a-0", "a-1", ANN})
    assert [one["row"].get("manager_id") for one in found["learner"]] == [None, "bob"]
    assert [one["valid_to"] for one in found["learner"]] == [(NOON - 8 * HOUR).isoformat(), None]
    assert [one["row"]["id"] for one in found["assignments"]] == ["duty"]
    assert [one["event_id"] for one in found["events"]] == ["e0", "e1", "e2", number(1)]
    assert [one["id"] for one in found["statements"]] == [number(1), number(2), number(4)]
    assert [one["decision_id"] for one in found["decisions"]] == ["d1"]
    json.dumps(found)
    took = acme.erase("a-1", at=NOON)
    counts = {name: len(found[name]) for name in ("events", "statements", "decisions")}
    assert counts == {"events": took.events, "statements": took.statements, "decisions": took.decisions}
    assert took.catalogue == len(found["learner"]) + len(found["assignments"])
    assert acme.export("a-1") is None


def test_no_page_of_the_file_still_holds_what_was_deleted(tmp_path: Path) -> None:
    opened = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    session = opened.tenant("acme")
    session.append([event(n, "zacharias") for n in range(500)])
    session.erase("zacharias", at=NOON)
    opened.close()  # which moves the log into the file
    assert b"zacharias" not in (tmp_path / "events.db").read_bytes()
    assert not (tmp_path / "events.db-wal").exists()


def test_the_moment_of_an_erasure_is_known_of_every_name(acme: TenantSession) -> None:
    assert acme.erased_at("ann") is None
    acme.erase("a-1", at=NOON + HOUR)
    assert {acme.erased_at(name) for name in ("ann", "a-0", "a-1", ANN)} == {NOON + HOUR}
    assert acme.erased_at("bob") is None
