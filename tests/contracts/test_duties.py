"""Duties and leaves as the catalogue's versions have them, on SQLite and on PostgreSQL alike."""

from datetime import UTC, datetime, timedelta

from features.catalogue import Assignment, Learner
from features.duties import Leave
from features.store import EventStore, TenantSession

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANN = Learner(id="ann", aliases=("a-1",), audiences=("office",))


def names(session: TenantSession, learner: str, hours: int) -> list[tuple[str, datetime]]:
    at = NOON + hours * HOUR
    return [(one.assignment.id, one.since) for one in session.duties(learner, at=at)]


def test_duties_are_those_that_stand_for_an_id_or_an_audience(store: EventStore, acme: TenantSession) -> None:
    acme.put([ANN, Learner(id="bob")], at=NOON)
    given = {"office": {"audience": "office"}, "hers": {"learner_id": "a-1"}, "his": {"learner_id": "bob"}}
    rows = [Assignment(id=name, item_id="i", **who) for name, who in given.items()]
    acme.put(rows, at=NOON)
    store.tenant("other").put([*rows, ANN], at=NOON)
    acme.put([rows[1].model_copy(update={"urgent": True})], at=NOON + 2 * HOUR)
    acme.retire("assignment", ["office"], at=NOON + 3 * HOUR)
    assert names(acme, "ann", -1) == []
    assert names(acme, "ann", 0) == names(acme, "a-1", 1) == [("hers", NOON), ("office", NOON)]
    assert names(acme, "ann", 3) == [("hers", NOON)]
    assert [one.assignment.urgent for one in acme.duties("ann", at=NOON + 2 * HOUR)] == [True, False]
    assert names(acme, "nobody", 0) == []
    acme.merge("bob", "ann", occurred_at=NOON, at=NOON + 4 * HOUR)
    assert names(acme, "bob", 4) == [("hers", NOON), ("his", NOON)]
    assert names(acme, "bob", 3) == [("his", NOON)]


def test_leaves_are_the_times_in_which_a_row_said_so(acme: TenantSession) -> None:
    for hours, changes in enumerate([{}, {"status": "leave"}, {"status": "leave", "org_unit": "x"}, {}, {"status": "leave"}]):
        acme.put([ANN.model_copy(update=changes)], at=NOON + hours * HOUR)
    first, second = Leave(NOON + HOUR, NOON + 3 * HOUR), Leave(NOON + 4 * HOUR, None)
    assert acme.leaves("a-1", at=NOON + 9 * HOUR) == [first, second]
    assert acme.leaves("ann", at=NOON + 3 * HOUR) == [first]
    assert acme.leaves("ann", at=NOON + 2 * HOUR) == [Leave(NOON + HOUR, None)]
    assert acme.leaves("ann", at=NOON) == acme.leaves("nobody", at=NOON) == []
