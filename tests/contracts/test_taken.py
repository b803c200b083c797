"""A name leads to one learner: nobody gets another's by a row, on SQLite and on PostgreSQL alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from features.catalogue import Item, Learner
from features.store import EventStore, TakenError, TenantSession
from features.store import catalogue as rows

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANN, BOB = Learner(id="ann", aliases=("a-1", "mail")), Learner(id="bob")


@pytest.fixture
def acme(store: EventStore) -> TenantSession:
    session = store.tenant("acme")
    session.put([ANN, BOB, Item(id="bobs", title="Bob's", aliases=("mail",))], at=NOON)
    return session


@pytest.mark.parametrize(
    ("taking", "field", "words"),
    [
        (Learner(id="bob", aliases=("mail",)), "aliases", "aliases: 'mail' of learner 'bob' is an alias of learner 'ann'"),
        (Learner(id="new", aliases=("x", "mail")), "aliases", "'mail' of learner 'new' is an alias of learner 'ann'"),
        (Learner(id="ann", aliases=("bob",)), "aliases", "'bob' of learner 'ann' is the id of another learner"),
        (Learner(id="mail"), "id", "id: 'mail' of learner 'mail' is an alias of learner 'ann'"),
    ],
)
@pytest.mark.parametrize("sync", [False, True], ids=["put", "sync"])
def test_a_name_of_another_is_refused_and_nothing_is_stored(
    acme: TenantSession, taking: Learner, field: str, words: str, sync: bool
) -> None:
    before = acme.learners()
    others = [row for row in (ANN, BOB) if row.id != taking.id] if sync else [Learner(id="zoe")]
    store = acme.put if not sync else lambda given, at: acme.sync("learner", given, at=at)
    with pytest.raises(TakenError, match=words) as refused:
        store([*others, taking], at=NOON + HOUR)
    assert (refused.value.row_id, refused.value.field) == (taking.id, field)
    assert acme.learners() == before


def test_two_rows_of_one_batch_do_not_share_a_name(acme: TenantSession) -> None:
    with pytest.raises(TakenError, match="'x' of learner 'cem' is an alias of learner 'dan'"):
        acme.put([Learner(id="cem", aliases=("x",)), Learner(id="dan", aliases=("x",))], at=NOON + HOUR)


@pytest.mark.parametrize("turned", [False, True], ids=["from first", "to first"])
@pytest.mark.parametrize("sync", [False, True], ids=["put", "sync"])
def test_a_name_moves_where_both_rows_come_together(acme: TenantSession, turned: bool, sync: bool) -> None:
    moved = [Learner(id="ann", aliases=("a-1",)), Learner(id="bob", aliases=("mail",))]
    given = moved[::-1] if turned else moved
    acme.sync("learner", given, at=NOON + HOUR) if sync else acme.put(given, at=NOON + HOUR)
    assert acme.learner("mail") == moved[1]


def test_they_may_come_further_apart_than_a_transaction_reaches(acme: TenantSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_BATCH", 1)
    acme.put([Learner(id="bob", aliases=("mail",)), Learner(id="ann")], at=NOON + HOUR)
    assert acme.learner("mail") == Learner(id="bob", aliases=("mail",))


@pytest.mark.parametrize(
    "leave",
    [
        lambda session: session.put([ANN.model_copy(update={"status": "ended"})], at=NOON + HOUR),
        lambda session: session.retire("learner", ["ann"], at=NOON + HOUR),
        lambda session: session.put([Learner(id="ann")], at=NOON + HOUR),
    ],
    ids=["ended", "retired", "given up"],
)
def test_who_has_left_or_gave_it_up_keeps_no_name(acme: TenantSession, leave: Callable[[TenantSession], object]) -> None:
    leave(acme)
    again = Learner(id="abe", aliases=("mail",))  # before `ann` in the alphabet
    acme.put([again], at=NOON + 2 * HOUR)
    assert acme.learner("mail") == again
    assert acme.people()["mail"] == "abe"
    assert acme.shared_names() == []


def test_who_comes_back_does_not_get_it_back(acme: TenantSession) -> None:
    acme.put([ANN.model_copy(update={"status": "ended"}), Learner(id="new", aliases=("mail",))], at=NOON + HOUR)
    with pytest.raises(TakenError, match="'mail' of learner 'ann' is an alias of learner 'new'"):
        acme.put([ANN], at=NOON + 2 * HOUR)


def test_a_snapshot_that_leaves_somebody_out_frees_their_names(acme: TenantSession) -> None:
    acme.sync("learner", [BOB, Learner(id="new", aliases=("mail",))], at=NOON + HOUR, most_vanish=1)
    assert acme.shared_names() == []


def test_what_was_shared_before_stays_workable_and_is_named(acme: TenantSession, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Learner(id="bob", aliases=("mail",))
    with monkeypatch.context() as older:
        older.setattr(rows, "check_names", lambda *_: None)  # as an older program stored it
        acme.put([shared], at=NOON + HOUR)
    assert acme.shared_names() == ["mail"]
    acme.sync("learner", [ANN, shared.model_copy(update={"org_unit": "sales"})], at=NOON + 2 * HOUR)
    with pytest.raises(TakenError):
        acme.put([Learner(id="bob", aliases=("mail", "a-1"))], at=NOON + 3 * HOUR)
    acme.merge("bob", "ann", occurred_at=NOON + 3 * HOUR, at=NOON + 3 * HOUR)
    assert acme.shared_names() == []  # it is one person


def test_tenants_do_not_share_names(store: EventStore, acme: TenantSession) -> None:
    other = store.tenant("other")
    other.put([Learner(id="bob", aliases=("mail", "ann"))], at=NOON)
    assert (other.learner("mail"), acme.learner("mail")) == (Learner(id="bob", aliases=("mail", "ann")), ANN)
