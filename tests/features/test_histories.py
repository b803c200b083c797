"""The cache of histories changes no answer, holds no more than it may, and forgets what was erased."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import Event, Verb
from features.histories import HistoryCache
from features.store import EVENTS, EventStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    opened = EventStore.open(f"sqlite:///{tmp_path}/events.db", remember=5)
    yield opened
    opened.close()


def event(event_id: str, learner: str = "ann", *, tenant: str = "acme", hour: int = 0, late: int = 0) -> Event:
    at = NOON + hour * HOUR
    fields = {"tenant": tenant, "event_id": event_id, "learner_id": learner, "verb": Verb.STARTED, "object_id": "excel"}
    return Event.model_validate({**fields, "occurred_at": at, "recorded_at": at + late * HOUR})


def ids(events: list[Event]) -> list[str]:
    return [one.event_id for one in events]


def test_what_was_read_is_kept_until_something_is_added(store: EventStore) -> None:
    acme = store.tenant("acme")
    acme.append([event("e2", hour=2)])
    first, again = acme.history("ann"), acme.history("ann")
    assert first[0] is again[0]
    first.clear()  # a caller's list is its own
    acme.append([event("e1", hour=1), event("b1", "ben")])
    assert ids(acme.history("ann")) == ["e1", "e2"]


def test_tenants_learners_and_moments_stay_apart(store: EventStore) -> None:
    acme, other = store.tenant("acme"), store.tenant("other")
    acme.append([event("late", late=5), event("e1", hour=1)])
    other.append([event("theirs", tenant="other")])
    for _ in range(2):
        assert ids(acme.history("ann", known_by=NOON + 4 * HOUR)) == ["e1"]
        assert ids(acme.history("ann", known_by=NOON + 5 * HOUR)) == ids(acme.history("ann")) == ["late", "e1"]
        assert ids(acme.history("ann", known_by=NOON)) == ids(acme.history("nobody")) == []
        assert ids(other.history("ann")) == ["theirs"]


def test_it_holds_no_more_than_it_may_and_the_least_used_goes(store: EventStore) -> None:
    acme, cache = store.tenant("acme"), store.histories
    assert cache is not None
    acme.append([event(f"{name}{n}", name, hour=n) for name in ("ann", "ben") for n in range(2)])
    acme.append([event(f"cy{n}", "cy", hour=n) for n in range(3)] + [event(f"di{n}", "di", hour=n) for n in range(6)])
    ann, ben = acme.history("ann")[0], acme.history("ben")[0]
    assert acme.history("ann")[0] is ann
    assert ids(acme.history("cy")) == ["cy0", "cy1", "cy2"]
    assert len(cache) == 5
    assert acme.history("ann")[0] is ann
    assert acme.history("ben")[0] is not ben
    assert len(acme.history("di")) == 6  # more than it may hold
    assert len(cache) == 0


def test_an_event_with_a_long_context_counts_as_several(store: EventStore) -> None:
    acme, cache = store.tenant("acme"), store.histories
    assert cache is not None
    acme.append([event("e1").model_copy(update={"context": {"said": "x" * 2_000}}), event("e2", "ben")])
    acme.history("ann")
    assert len(cache) == 3
    acme.append([event("e3").model_copy(update={"context": {"said": "x" * 9_000}})])
    assert ids(acme.history("ann")) == ["e1", "e3"]
    assert len(cache) == 0  # more than it may hold


def test_an_erased_learner_is_gone(store: EventStore) -> None:
    acme = store.tenant("acme")
    acme.append([event("e1"), event("e2", hour=1)])
    assert len(acme.history("ann")) == 2
    with store.engine.begin() as connection:
        connection.execute(sa.delete(EVENTS).where(EVENTS.c.learner_id == "ann"))
    assert acme.history("ann") == []


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.sampled_from("ab"), st.integers(0, 5), st.integers(0, 5)),
            st.tuples(st.just("read"), st.sampled_from("ab"), st.integers(0, 10)),
            st.tuples(st.just("void"), st.integers(0, 20), st.integers(0, 10)),
            st.tuples(st.just("drop")),
        ),
        min_size=8,
        max_size=20,
    )
)
def test_dropping_it_changes_no_answer(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, ...]]) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/events.db"
    plain, kept = EventStore.open(url), EventStore.open(url, remember=4)
    for number, (step, *values) in enumerate(steps):
        if step == "append":
            learner, hour, late = values
            plain.tenant("acme").append([event(f"e{number}", learner, hour=int(hour), late=int(late))])
        elif step == "void":
            number, hour = map(int, values)
            plain.tenant("acme").void([f"e{number}"], by="v", at=NOON + hour * HOUR)
        elif step == "drop" and kept.histories is not None:
            kept.histories.clear()
        elif step == "read":
            moment = NOON + int(values[1]) * HOUR
            read = [store.tenant("acme").history(values[0], known_by=moment) for store in (plain, kept, kept)]
            assert read[0] == read[1] == read[2]
    plain.close()
    kept.close()


def test_a_cache_of_nothing_keeps_nothing() -> None:
    cache = HistoryCache(0)
    assert cache.history("acme", "ann", 2**62, (1, 1, 1, 0), lambda: ((1, 1, 1, 0), [event("e1")], {}, 1)) == [event("e1")]
    assert len(cache) == 0
