"""Each check passes on a sound log and fails on the one flaw it looks for."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.catalogue import CatalogueRow, Item, Learner, Role, Skill
from features.checks import Check, check
from features.events import Event
from features.store import EventStore, TenantSession

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATALOGUE: list[CatalogueRow] = [
    Item(id="a", title="A", skills={"sql": 1}),
    Item(id="b", title="B", prerequisites=("a",), aliases=("old-b",)),
    Skill(id="sql", name="SQL"),
    Learner(id="ann"),
    Learner(id="bob"),
]
LOG = [("ann", "started", "a"), ("ann", "completed", "old-b"), ("bob", "started", "b"), ("bob", "known", "skill:sql")]


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[TenantSession]:
    store = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    yield store.tenant("acme")
    store.close()


def log(session: TenantSession, rows: list[tuple[str, str, str]], *, first: datetime = NOON, step: timedelta) -> None:
    session.append([_event(n, row, first + n * step) for n, row in enumerate(rows)])


def _event(n: int, row: tuple[str, str, str], at: datetime) -> Event:
    learner, verb, thing = row
    body = {"tenant": "acme", "event_id": str(n), "learner_id": learner, "verb": verb, "object_id": thing}
    return Event.model_validate({**body, "occurred_at": at, "recorded_at": at})


def failures(session: TenantSession) -> dict[str, str]:
    found: list[Check] = check(session, now=NOON + timedelta(days=1))
    return {one.name: one.detail for one in found if not one.passed}


MINUTE = timedelta(minutes=1)


def test_a_sound_log_passes_every_check(acme: TenantSession) -> None:
    acme.put(CATALOGUE, at=NOON)
    log(acme, LOG, step=MINUTE)
    assert failures(acme) == {}
    names = [one.name for one in check(acme, now=NOON + timedelta(days=1))]
    assert names[:5] == ["events", "verbs", "times", "learners", "items"]


@pytest.mark.parametrize(
    ("rows", "name", "words"),
    [
        ([("ann", "started", "a"), ("ann", "started", "b")], "learners", "only 1 learner took up an item"),
        ([("ann", "started", "a"), ("bob", "started", "a")], "items", "only 1 item was taken up"),
        (
            [*LOG, ("eve", "started", "a"), *[("zoe", "saved", "a")] * 9],
            "known learners",
            "2 unknown with 10 events, for example 'eve'",
        ),
        ([*LOG, *[("ann", "saved", "gone")] * 9], "known items and skills", "1 unknown with 9 events, for example 'gone'"),
    ],
)
def test_a_flaw_is_named(acme: TenantSession, rows: list[tuple[str, str, str]], name: str, words: str) -> None:
    acme.put(CATALOGUE, at=NOON)
    log(acme, rows, step=MINUTE)
    assert list(failures(acme)) == [name]
    assert words in failures(acme)[name]


def test_a_log_in_which_no_one_took_up_anything_cannot_teach(acme: TenantSession) -> None:
    acme.put(CATALOGUE, at=NOON)
    log(acme, [("ann", "shown", "a"), ("bob", "shown", "b")], step=MINUTE)
    assert set(failures(acme)) == {"verbs", "learners", "items"}


def test_times_in_the_future(acme: TenantSession) -> None:
    acme.put(CATALOGUE, at=NOON)
    log(acme, LOG, first=NOON + timedelta(days=2), step=MINUTE)
    assert list(failures(acme)) == ["times"]


def test_times_that_no_log_has(acme: TenantSession) -> None:
    acme.put(CATALOGUE, at=NOON)
    log(acme, LOG, step=MINUTE)
    # Such an event is refused today, but a store may hold it from before.
    acme.append_prepared([acme.prepare(_event(9, LOG[0], NOON)) | {"occurred_at": 0}])
    assert list(failures(acme)) == ["times"]


def test_a_log_exported_twice(acme: TenantSession) -> None:
    acme.put(CATALOGUE, at=NOON)
    log(acme, [row for row in LOG for _ in range(2)], step=timedelta(0))
    assert failures(acme)["repeats"].endswith("50.0% of events equal another in all but the id")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Item(id="c", title="C", skills={"gone": 1}), "c -> skill gone"),
        (Item(id="c", title="C", prerequisites=("gone",)), "c -> item gone"),
        (Role(id="r", name="R", expects={"gone": 1}), "r -> skill gone"),
        (Learner(id="eve", role_id="gone"), "eve -> role gone"),
    ],
)
def test_ids_that_lead_nowhere(acme: TenantSession, row: CatalogueRow, words: str) -> None:
    acme.put([*CATALOGUE, row], at=NOON)
    log(acme, LOG, step=MINUTE)
    assert failures(acme) == {"references": f"1 unknown ids, for example {words}"}


def test_without_a_learner_file_all_learners_are_stubs_and_that_is_said(acme: TenantSession) -> None:
    acme.put([row for row in CATALOGUE if not isinstance(row, Learner)], at=NOON)
    log(acme, LOG, step=MINUTE)
    assert failures(acme) == {}
    assert any("all learners are stubs" in one.detail for one in check(acme, now=NOON + timedelta(days=1)))
