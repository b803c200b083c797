"""Two ids that are one person, and are not after all: on SQLite and on PostgreSQL alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.catalogue import Item, Learner
from features.decisions import Decision, Randomisation
from features.erasures import erasures_of, replay
from features.events import Event, Evidence, Verb
from features.store import EventStore, MergeError, NotMergedError, TakenError, TenantSession

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TENANTS = count(1)
ANN, BOB = Learner(id="ann", aliases=("a-1",), role_id="clerk"), Learner(id="bob", aliases=("b-1",))


def event(name: str, learner: str, *, at: datetime = NOON, tenant: str = "acme", verb: Verb = Verb.STARTED) -> Event:
    fields = {"learner_id": learner, "verb": verb, "object_id": "excel", "occurred_at": at, "recorded_at": at}
    return Event.model_validate({"tenant": tenant, "event_id": name, **fields})


def ids(events: list[Event]) -> list[str]:
    return [one.event_id for one in events]


def merge(session: TenantSession, learner: str, into: str, at: datetime, occurred_at: datetime | None = None) -> str:
    return session.merge(learner, into, occurred_at=occurred_at or at, at=at).outcome


def unmerge(session: TenantSession, learner: str, into: str, at: datetime, occurred_at: datetime | None = None) -> str:
    return session.unmerge(learner, into, occurred_at=occurred_at or at, at=at).outcome


@pytest.fixture
def acme(store: EventStore) -> TenantSession:
    """Ann and Bob with an event under each of their names, and one of somebody that nobody knows."""
    session = store.tenant("acme")
    session.put([ANN, BOB, Item(id="excel", title="Excel")], at=NOON - HOUR)
    names = ("ann", "a-1", "bob", "b-1", "x")
    session.append([event(name, name, at=NOON + n * timedelta(minutes=1)) for n, name in enumerate(names)])
    return session


def test_two_ids_are_one_history_under_every_name_from_then_on(store: EventStore, acme: TenantSession) -> None:
    assert merge(acme, "ann", "bob", NOON + HOUR) == "accepted"
    for name in ("ann", "a-1", "bob", "b-1"):
        assert ids(acme.history(name)) == ["ann", "a-1", "bob", "b-1"]
        assert acme.learner(name) == BOB
    assert ids(acme.history("ann", known_by=NOON + HOUR - timedelta(microseconds=1))) == ["ann", "a-1"]
    assert acme.learner("ann", at=NOON + HOUR - timedelta(microseconds=1)) == ANN
    assert ids(acme.history("x")) == ["x"]
    assert ids([one for _, one in acme.events()]) == ["ann", "a-1", "bob", "b-1", "x"]
    assert [one.learner_id for _, one in acme.events()] == ["ann", "a-1", "bob", "b-1", "x"]  # no row was rewritten


def test_an_un_merge_gives_back_what_was_and_what_came_meanwhile(acme: TenantSession) -> None:
    merge(acme, "ann", "bob", NOON + HOUR)
    acme.append([event("meanwhile", "ann", at=NOON + 2 * HOUR), event("his", "b-1", at=NOON + 2 * HOUR)])
    assert unmerge(acme, "ann", "bob", NOON + 3 * HOUR) == "accepted"
    assert ids(acme.history("a-1")) == ["ann", "a-1", "meanwhile"]
    assert ids(acme.history("bob")) == ["bob", "b-1", "his"]
    assert (acme.learner("a-1"), acme.learner("bob")) == (ANN, BOB)
    assert len(acme.history("ann", known_by=NOON + 3 * HOUR - timedelta(microseconds=1))) == 6
    facts = [(one.learner_id, one.into, one.joined) for _, one in acme.merges()]
    assert facts == [("ann", "bob", True), ("ann", "bob", False)]
    assert merge(acme, "ann", "bob", NOON + 4 * HOUR) == "accepted"
    assert len(acme.history("ann")) == 6


def test_chains_join_and_come_apart_link_by_link(acme: TenantSession) -> None:
    merge(acme, "x", "ann", NOON + HOUR)
    merge(acme, "ann", "bob", NOON + HOUR)
    assert {tuple(ids(acme.history(name))) for name in ("x", "ann", "bob", "b-1")} == {("ann", "a-1", "bob", "b-1", "x")}
    unmerge(acme, "ann", "bob", NOON + 2 * HOUR)
    assert [ids(acme.history(name)) for name in ("x", "bob")] == [["ann", "a-1", "x"], ["bob", "b-1"]]


def test_who_is_unknown_may_be_merged_either_way(acme: TenantSession) -> None:
    merge(acme, "x", "ann", NOON + HOUR)
    merge(acme, "bob", "new", NOON + HOUR)
    assert acme.learner("x") == ANN
    assert acme.learner("new") == acme.learner("bob") == BOB  # until the catalogue knows the new id
    assert ids(acme.history("new")) == ["bob", "b-1"]
    acme.put([Learner(id="new", role_id="boss")], at=NOON + 2 * HOUR)
    assert acme.learner("b-1") == Learner(id="new", role_id="boss")


def test_a_merge_by_alias_is_one_of_the_learners(acme: TenantSession) -> None:
    done = acme.merge("a-1", "b-1", occurred_at=NOON, at=NOON + HOUR)
    assert (done.learner_id, done.into, done.outcome) == ("ann", "bob", "accepted")


def test_the_same_again_is_no_news(acme: TenantSession) -> None:
    assert [merge(acme, "ann", "bob", NOON + n * HOUR) for n in (1, 2)] == ["accepted", "duplicate"]
    assert [unmerge(acme, "ann", "bob", NOON + n * HOUR) for n in (3, 4)] == ["accepted", "duplicate"]
    assert len(list(acme.merges())) == 2


@pytest.mark.parametrize(
    ("call", "field", "words"),
    [
        (lambda session: merge(session, "ann", "x", NOON + 2 * HOUR), "into", "'ann' is merged into 'bob'; take that back"),
        (lambda session: unmerge(session, "ann", "x", NOON + 2 * HOUR), "into", "never merged"),
        (lambda session: merge(session, "bob", "ann", NOON + 2 * HOUR), "into", "the same person as 'bob' already"),
        (lambda session: merge(session, "x", "x", NOON + 2 * HOUR), "into", "'x' is the same learner"),
        (lambda session: merge(session, "b-1", "bob", NOON + 2 * HOUR), "into", "the same learner"),
        (lambda session: unmerge(session, "ann", "bob", NOON + 2 * HOUR, NOON), "occurred_at", "comes too late"),
        (lambda session: merge(session, "x", "bob", NOON, NOON + HOUR), "occurred_at", "in the future"),
    ],
)
def test_what_contradicts_is_refused_and_changes_nothing(
    acme: TenantSession, call: Callable[[TenantSession], Any], field: str, words: str
) -> None:
    merge(acme, "ann", "bob", NOON + HOUR)
    before = list(acme.merges())
    with pytest.raises((MergeError, NotMergedError), match=words) as refused:
        call(acme)
    assert getattr(refused.value, "field", "into") == field
    assert list(acme.merges()) == before


def test_a_ring_through_others_is_refused(acme: TenantSession) -> None:
    merge(acme, "ann", "bob", NOON + HOUR)
    merge(acme, "bob", "x", NOON + HOUR)
    with pytest.raises(MergeError, match="same person"):
        merge(acme, "x", "ann", NOON + HOUR)


def test_a_catalogue_that_closes_a_ring_leaves_one_person(acme: TenantSession) -> None:
    merge(acme, "ann", "x", NOON + HOUR)
    acme.put([Learner(id="ann", aliases=("x",))], at=NOON + 2 * HOUR)
    assert acme.learner("x") == acme.learner("ann") == Learner(id="ann", aliases=("x",))
    assert ids(acme.history("x")) == ids(acme.history("ann")) == ["ann", "x"]
    assert acme.people()["x"] == "ann"


def test_a_clock_that_went_back_makes_nothing_known_before_what_was_said_first(acme: TenantSession) -> None:
    merge(acme, "ann", "bob", NOON + 2 * HOUR)
    merge(acme, "x", "ann", NOON + HOUR)
    assert [one.recorded_at for _, one in acme.merges()] == [NOON + 2 * HOUR] * 2


def test_tenants_are_apart(store: EventStore, acme: TenantSession) -> None:
    other = store.tenant("other")
    other.append([event("theirs", "ann", tenant="other"), event("too", "bob", tenant="other")])
    merge(acme, "ann", "bob", NOON + HOUR)
    assert [ids(other.history(name)) for name in ("ann", "bob")] == [["theirs"], ["too"]]
    assert (list(other.merges()), other.people()) == ([], {})


def test_a_cached_history_knows_a_merge_and_its_end(store_url: str) -> None:
    cached = EventStore.open(store_url, remember=100)
    session = cached.tenant("acme")
    session.append([event("1", "ann"), event("2", "x", at=NOON + HOUR)])
    seen = [ids(session.history("ann"))]
    merge(session, "x", "ann", NOON + HOUR)
    seen.append(ids(session.history("ann")))
    unmerge(session, "x", "ann", NOON + 2 * HOUR)
    seen.append(ids(session.history("ann")))
    cached.close()
    assert seen == [["1"], ["1", "2"], ["1"]]


def test_counts_are_of_people(acme: TenantSession) -> None:
    acme.append([event("done", "x", verb=Verb.COMPLETED)])
    assert ([one.name for one in acme.unresolved()[0]], acme.counts().unknown_learners) == (["x"], 1)
    merge(acme, "x", "ann", NOON + HOUR)
    assert (acme.unresolved()[0], acme.counts().unknown_learners) == ([], 0)
    found = acme.learners_by_evidence()
    assert (found[Evidence.NONE], found[Evidence.COMPLETED]) == (2, 1)


def test_an_export_and_an_erasure_are_of_all_joined_ids_and_of_no_other(store: EventStore, acme: TenantSession) -> None:
    merge(acme, "ann", "bob", NOON + HOUR)
    merge(acme, "x", "bob", NOON + HOUR)
    unmerge(acme, "x", "bob", NOON + 2 * HOUR)
    chance = Randomisation(epsilon=0.1, seed=7, support=3)
    facts = {"tenant": "acme", "decided_at": NOON, "bundle": "b", "policy": "p", "randomisation": chance}
    acme.record([Decision(decision_id=name, learner_id=name, **facts) for name in ("ann", "bob", "x")])  # type: ignore[arg-type]
    exported = acme.export("a-1")
    assert exported is not None
    assert (exported["learner_id"], set(exported["names"])) == ("bob", {"ann", "a-1", "bob", "b-1"})
    assert [one["event_id"] for one in exported["events"]] == ["ann", "a-1", "bob", "b-1"]
    assert [one["row"]["id"] for one in exported["learner"]] == ["ann", "bob"]
    assert [(one["learner_id"], one["joined"]) for one in exported["merges"]] == [("ann", True), ("x", True), ("x", False)]
    assert [one["decision_id"] for one in exported["decisions"]] == ["ann", "bob"]

    done = acme.erase("ann", at=NOON + 3 * HOUR)
    assert (done.events, done.decisions, done.merges, acme.export("bob")) == (4, 2, 3, None)
    assert [ids(acme.history(name)) for name in ("ann", "b-1", "x")] == [[], [], ["x"]]
    again = [event(name, name) for name in ("ann", "a-1", "bob", "b-1")]
    assert set(acme.append(again).outcomes) == {"suppressed"}
    assert merge(acme, "ann", "bob", NOON + 4 * HOUR, NOON + HOUR) == "suppressed"
    acme.append([event("new", "ann", at=NOON + 5 * HOUR), event("newer", "bob", at=NOON + 5 * HOUR)])
    assert ids(acme.history("ann")) == ["new"]


def test_a_backup_from_before_an_erasure_brings_no_joined_id_back(store: EventStore, another_url: str) -> None:
    for url in (None, another_url):
        opened = store if url is None else EventStore.open(url)
        session = opened.tenant("acme")
        session.append([event("1", "ann"), event("2", "x")])
        merge(session, "x", "ann", NOON + HOUR)
        merge(session, "ann", "new", NOON + HOUR)  # an id that stands nowhere else
        if url is None:
            session.erase("ann", at=NOON + 2 * HOUR)
            done = erasures_of(store.engine.url.render_as_string(hide_password=False))
            continue
        with opened.engine.begin() as connection:
            assert replay(connection, done) == 3
        assert [session.history(name) for name in ("ann", "x")] == [[], []]
        assert list(session.merges()) == []
        opened.close()


@pytest.fixture
def another_url(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path}/backup.db"


NAMES = ("a", "b", "x", "y", "z")
steps = st.one_of(
    st.tuples(st.just("event"), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.sampled_from(["merge", "merge", "unmerge"]), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("put"), st.sampled_from(["a", "b"]), st.sampled_from(["", "x", "y", "xy", "z"])),
)


class Model:
    """Names with a line from each to the one above it; a person is what hangs together."""

    def __init__(self) -> None:
        self.into: dict[str, str] = {}
        self.ever: set[tuple[str, str]] = set()
        self.rows: dict[str, str] = {}
        self.events: list[tuple[str, str]] = []

    def owner(self, name: str) -> str:
        owners = [row for row, aliases in self.rows.items() if name in aliases]
        return max(owners) if owners and name not in self.rows and name not in self.into else name

    def person(self, name: str) -> set[str]:
        lines = [(one, self.into.get(one, self.owner(one))) for one in NAMES]
        found, size = {name}, 0
        while size < len(found):
            size = len(found)
            found |= {end for line in lines if found & set(line) for end in line}
        return found

    def take(self, what: str, one: str, other: str, number: int) -> bool:
        """Whether the step is allowed; it is done then."""
        if what == "event":
            self.events.append((str(number), one))
        elif what == "put":
            if any(set(other) & set(aliases) - set(self.rows.get(one, "")) for row, aliases in self.rows.items() if row != one):
                return False
            self.rows[one] = other
        else:
            one, other = self.owner(one), self.owner(other)
            if what == "unmerge":
                if (one, other) not in self.ever or self.into.get(one, other) != other:
                    return False
                self.into.pop(one, None)
            elif self.into.get(one) != other:
                if one in self.into or other in self.person(one):
                    return False
                self.into[one] = other
                self.ever.add((one, other))
        return True

    def histories(self) -> dict[str, list[str]]:
        return {name: [number for number, who in self.events if who in self.person(name)] for name in NAMES}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=st.lists(steps, min_size=1, max_size=14))
def test_any_walk_of_events_merges_and_aliases_gives_the_histories_of_a_plain_model(
    store: EventStore, walk: list[tuple[str, str, str]]
) -> None:
    session, model = store.tenant(f"t{next(TENANTS)}"), Model()
    wanted = []
    for number, (what, one, other) in enumerate(walk):
        at = NOON + number * HOUR
        allowed = model.take(what, one, other, number)
        if what == "event":
            session.append([event(str(number), one, at=at, tenant=session.tenant)])
        else:
            try:
                if what == "put":
                    session.put([Learner(id=one, aliases=tuple(other))], at=at)
                else:
                    (merge if what == "merge" else unmerge)(session, one, other, at)
                assert allowed
            except (MergeError, NotMergedError, TakenError):
                assert not allowed
        wanted.append((at, model.histories()))
    for at, histories in wanted[::3] + wanted[-1:]:
        assert {name: ids(session.history(name, known_by=at)) for name in NAMES} == histories
    people = session.people()
    for name in NAMES:
        row = session.learner(name)
        assert people.get(name, name) == people.get(row.id if row else name, row.id if row else name)
        same = {other for other in NAMES if people.get(other, other) == people.get(name, name)}
        assert same == model.person(name)
