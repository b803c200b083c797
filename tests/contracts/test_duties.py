"""Duties and leaves as the catalogue's versions have them, on SQLite and on PostgreSQL alike."""

from datetime import UTC, datetime, timedelta

from features.catalogue import Assignment, Learner
from features.duties import Leave
from features.events import Event, Verb
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


def test_the_leaves_of_everybody_are_those_of_each(acme: TenantSession) -> None:
    for hours, changes in enumerate([{}, {"status": "leave"}, {}, {"status": "leave"}]):
        acme.put([ANN.model_copy(update=changes), Learner(id="bob")], at=NOON + hours * HOUR)
    for hours in (0, 1, 2, 9):
        at = NOON + hours * HOUR
        mine = tuple(acme.leaves("ann", at=at))
        assert acme.everybodys_leaves(at=at) == ({"ann": mine} if mine else {})


def test_an_assignment_stands_since_it_was_first_stored(acme: TenantSession) -> None:
    row = Assignment(id="a", item_id="i", audience="office")
    acme.put([row], at=NOON)
    acme.put([row.model_copy(update={"urgent": True})], at=NOON + HOUR)
    assert (acme.stands_since("a"), acme.stands_since("b")) == (NOON, None)


def test_what_touches_an_object_is_found_for_many_names_at_once(store: EventStore, acme: TenantSession) -> None:
    def did(name: str, who: str, thing: str, hours: int, **more: object) -> Event:
        given = {"tenant": "acme", "event_id": name, "learner_id": who, "verb": Verb.STARTED, "object_id": thing}
        return Event.model_validate({**given, "occurred_at": NOON, "recorded_at": NOON + hours * HOUR, **more})

    within = {"within": ["i", "course"]}
    acme.append(
        [did("late", "ann", "i", 2), did("first", "ann", "i", 0), did("other", "ann", "I", 0), did("bobs", "bob", "j", 0)]
    )
    acme.append(
        [did("part", "bob", "chapter", 0, source="xapi", context=within), did("his", "bob", "chapter", 0, context=within)]
    )
    acme.void(["first"], by="x", at=NOON + HOUR)
    store.tenant("other").append([did("theirs", "ann", "i", 0).model_copy(update={"tenant": "other"})])

    def found(*objects: str, hours: int = 3, names: tuple[str, ...] = ("ann", "bob", "nobody")) -> dict[str, list[str]]:
        read = acme.touching(names, objects, known_by=NOON + hours * HOUR)
        return {who: [event.event_id for event in events] for who, events in read.items()}

    assert found("i", "j") == {"ann": ["late"], "bob": ["bobs", "part"]}
    assert found("i", hours=0) == {"ann": ["first"], "bob": ["part"]}
    assert found("i", names=("ann",)) == {"ann": ["late"]}
