"""The audit log as the store keeps it, on SQLite and on PostgreSQL alike."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from features.audit import COMMAND_LINE, Act, AuditRow, verify
from features.catalogue import Item, Learner
from features.events import Event, Verb
from features.keys import Scope
from features.store import EventStore, TenantSession, VanishError
from features.store.chain import chains
from features.store.tables import AUDIT, AUDIT_KEYS, ERASURE_KEYS, ERASURES, EVENTS
from features.store.wall import across
from features.xapi.intake import check, take_in

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXCEL, WORD = Item(id="excel", title="Excel"), Item(id="word", title="Word")
ANN = Learner(id="ann", aliases=("mailto:ann.smith@acme.example", "a-1"), manager_id="bob")


def told(session: TenantSession) -> list[tuple[str, dict[str, object]]]:
    return [(row.action, json.loads(row.details)) for row in session.audit()]


def event(event_id: str, learner_id: str = "ann") -> Event:
    body = {"tenant": "acme", "learner_id": learner_id, "verb": Verb.STARTED, "object_id": "excel"}
    return Event.model_validate({**body, "event_id": event_id, "occurred_at": NOON, "recorded_at": NOON})


def statement(name: int, verb: str, thing: dict[str, object]) -> dict[str, object]:
    actor = {"name": "Ann Smith", "mbox": "mailto:Ann.Smith@acme.example"}
    ids = f"00000000-0000-0000-0000-{name:012}"
    return {"id": ids, "actor": actor, "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}"}, "object": thing}


def receive(session: TenantSession, *bodies: dict[str, object]) -> None:
    given = check(bodies, compat=False)
    session.receive(take_in(given, tenant="acme", now=NOON, known=lambda _: False, authority="key", compat=False))


def test_keys_are_told_of_by_their_ids(store: EventStore) -> None:
    keys = store.keys()
    old = keys.add("acme", "Ann's laptop", [Scope.RANK, Scope.INGEST], at=NOON).key
    new = keys.rotate(old.key_id, at=NOON).key
    keys.revoke(new.key_id, at=NOON)
    keys.revoke(new.key_id, at=NOON)  # closed already: nothing happened
    keys.add("other", "lms", [Scope.RANK], at=NOON)
    assert told(store.tenant("acme")) == [
        ("key added", {"key_id": old.key_id, "scopes": ["ingest", "rank"]}),
        ("key rotated", {"key_id": old.key_id, "new_key_id": new.key_id}),
        ("key revoked", {"key_id": new.key_id}),
    ]
    assert {row.by for row in store.tenant("acme").audit()} == {COMMAND_LINE}


def test_a_change_of_the_catalogue_is_told_of_with_who_did_it_and_no_change_is_not(store: EventStore) -> None:
    acme = store.tenant("acme", by="k1234567")
    acme.put([EXCEL, ANN], at=NOON)
    acme.put([EXCEL], at=NOON)
    acme.put([EXCEL.model_copy(update={"title": "Excel 2"}), WORD], at=NOON)
    assert acme.retire("item", ["word"], at=NOON) == 1
    assert acme.retire("item", ["word"], at=NOON) == 0
    acme.sync("item", [EXCEL], at=NOON)
    assert told(acme) == [
        ("catalogue changed", {"kinds": ["item", "learner"], "inserted": 2, "changed": 0}),
        ("catalogue changed", {"kinds": ["item"], "inserted": 1, "changed": 1}),
        ("catalogue retired", {"kind": "item", "retired": 1}),
        ("catalogue synced", {"kind": "item", "inserted": 0, "changed": 1, "unchanged": 0, "retired": 0}),
    ]
    assert {row.by for row in acme.audit()} == {"k1234567"}


def test_what_is_refused_leaves_no_row(acme: TenantSession) -> None:
    acme.put([EXCEL, WORD], at=NOON)
    before = told(acme)
    with pytest.raises(VanishError):
        acme.sync("item", [EXCEL], at=NOON)
    with pytest.raises(ValueError, match="too late"):
        acme.put([WORD.model_copy(update={"title": "Word 2"})], at=datetime(2020, 1, 1, tzinfo=UTC))
    assert told(acme) == before


def test_nothing_happens_where_its_row_cannot_be_written(acme: TenantSession, store: EventStore) -> None:
    acme.append([event("e1")])
    with across(store.engine).begin() as connection:
        connection.exec_driver_sql("DROP TABLE audit")
    with pytest.raises(DBAPIError):
        acme.erase("ann", at=NOON)
    with pytest.raises(DBAPIError):
        store.keys().add("acme", "lms", [Scope.RANK], at=NOON)
    assert len(acme.history("ann")) == 1
    assert store.keys().listed() == []


def test_single_events_and_statements_are_not_told_of_and_voidings_are(acme: TenantSession) -> None:
    acme.append([event("e1")])
    receive(acme, statement(1, "completed", {"id": "https://lms.example/1"}))
    assert told(acme) == []
    refers = {"objectType": "StatementRef", "id": "00000000-0000-0000-0000-000000000001"}
    receive(acme, statement(2, "voided", refers))
    receive(acme, statement(2, "voided", refers))  # the same again is no news
    acme.void(["e1", "to come"], by="v", at=NOON)
    assert told(acme) == [("events voided", {"named": 1, "stood": 1}), ("events voided", {"named": 2, "stood": 1})]


def test_an_import_is_told_of_by_its_counts_and_not_by_its_name(acme: TenantSession) -> None:
    acme.record_import({"source": "ann-smith.csv", "format": "csv", "rows": 3, "accepted": 2, "duplicates": 1})
    assert told(acme) == [("file ingested", {"format": "csv", "rows": 3, "accepted": 2, "duplicates": 1})]


def test_a_learner_is_one_pseudonym_under_every_name_and_another_in_each_tenant(store: EventStore) -> None:
    acme, other = store.tenant("acme"), store.tenant("other")
    for session in (acme, other):
        session.put([ANN], at=NOON)
        session.tell(Act.LEARNER_EXPORTED, "a-1")
        session.tell(Act.LEARNER_EXPORTED, "ann", outcome="nothing stored")
    mine, theirs = ([row for row in session.audit() if row.subject] for session in (acme, other))
    assert len({row.subject for row in mine}) == len({row.subject for row in theirs}) == 1
    assert mine[0].subject != theirs[0].subject
    assert [row.outcome for row in mine] == ["done", "nothing stored"]
    assert [row.seq for row in acme.audit(learner_id="a-1")] == [2, 3]
    assert list(acme.audit(learner_id="bob")) == list(store.tenant("none").audit(learner_id="ann")) == []


def test_no_row_says_anything_of_a_person_who_was_exported_and_erased(acme: TenantSession, store: EventStore) -> None:
    acme.put([ANN, EXCEL], at=NOON)
    acme.append([event("e1"), event("e2", "a-1")])
    receive(acme, statement(1, "completed", {"id": "https://lms.example/1"}))
    assert acme.export("a-1") is not None
    acme.tell(Act.LEARNER_EXPORTED, "a-1")
    acme.tell(Act.TOKEN_ISSUED, "mailto:ann.smith@acme.example", {"ttl_s": 900})
    acme.erase("mailto:ann.smith@acme.example", at=NOON)
    acme.tell(Act.LEARNER_EXPORTED, "ann", outcome="nothing stored")
    with across(store.engine).connect() as connection:
        rows = [list(row) for table in (AUDIT, AUDIT_KEYS) for row in connection.execute(sa.select(table))]
        marks = connection.execute(sa.select(ERASURES.c.subject)).scalars().all()
        keys = [connection.execute(sa.select(table.c.hash_key)).scalar() for table in (AUDIT_KEYS, ERASURE_KEYS)]
    text = json.dumps(rows).lower()
    assert not [name for name in ("ann", "smith", "a-1", "bob", "mailto", "excel") if name in text]
    subjects = {row.subject for row in acme.audit() if row.subject}
    assert len(subjects) == 1
    assert not subjects & set(marks)  # the list of the erased says nothing of who stands here
    assert keys[0] != keys[1]
    erased = next(row for row in acme.audit() if row.action == "learner erased")
    assert json.loads(erased.details)["events"] == 3


@pytest.mark.parametrize("change", ["UPDATE audit SET outcome = 'x'", "UPDATE audit SET seq = 9", "DELETE FROM audit"])
def test_no_row_is_changed_or_removed_by_accident(acme: TenantSession, store: EventStore, change: str) -> None:
    acme.put([EXCEL], at=NOON)
    with pytest.raises(DBAPIError, match="the audit log only grows"), across(store.engine).begin() as connection:
        connection.exec_driver_sql(change)
    assert verify(acme.audit()).rows == 1


def test_what_is_changed_on_purpose_is_found(acme: TenantSession, store: EventStore) -> None:
    for n in range(4):
        acme.put([Item(id=f"i{n}", title="x")], at=NOON)
    postgresql = store.engine.dialect.name == "postgresql"
    with across(store.engine).begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER " + ("audit_only_grows ON audit" if postgresql else "audit_update"))
        connection.exec_driver_sql("UPDATE audit SET by = 'nobody' WHERE seq = 3".replace("by", '"by"'))
    assert verify(acme.audit()).broken == "row 3 was changed: its hash is not that of what it says"


def test_concurrent_writers_make_one_chain(store: EventStore) -> None:
    def write(n: int) -> None:
        session = store.tenant("acme", by=f"k{n}")
        for m in range(5):
            session.put([Item(id=f"i{n}-{m}", title="x")], at=NOON)
            session.tell(Act.LEARNER_EXPORTED, f"l{n}")
            session.record_import({"rows": m})

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(6)))
    found = verify(store.tenant("acme").audit())
    assert (found.rows, found.broken) == (90, None)
    with across(store.engine).connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(AUDIT_KEYS)).scalar() == 1


def test_each_tenant_has_a_chain_of_its_own(store: EventStore) -> None:
    for name in ("acme", "other", "acme"):
        store.tenant(name).tell(Act.LEARNER_EXPORTED, "ann")
    assert [row.seq for row in store.tenant("acme").audit()] == [1, 2]
    assert [row.tenant for row in store.tenant("other").audit()] == ["other"]
    with across(store.engine).connect() as connection:
        assert chains(connection) == ["acme", "other"]


def test_a_chain_is_read_from_a_number_on(acme: TenantSession) -> None:
    for _ in range(5):
        acme.tell(Act.LEARNER_EXPORTED, "ann")
    found: list[AuditRow] = list(acme.audit(after=2, limit=2))
    assert [row.seq for row in found] == [3, 4]


def test_an_event_that_waits_for_no_audit_is_stored_while_another_writes_there(acme: TenantSession, store: EventStore) -> None:
    """Ingest takes no lock of the audit log: on PostgreSQL it goes on while one is held."""
    from features.store.locks import writing

    if store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time, whatever it writes")
    with writing(store.engine, AUDIT.name, "acme"):
        assert acme.append([event("e1")]).accepted == 1
    with across(store.engine).connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(EVENTS)).scalar() == 1
