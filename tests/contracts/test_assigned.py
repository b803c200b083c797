"""What is assigned, as rankings read it, on both databases: a store that keeps it says the same as one that does not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from features.catalogue import Assignment, CatalogueRow, Item, Learner
from features.duties import Assigned, Leave
from features.store import EventStore, TenantSession

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANN = Learner(id="ann", aliases=("a-1",), audiences=("office",))
OFFICE = Assignment(id="office", item_id="safety", audience="office")


@pytest.fixture
def keeping(store: EventStore, store_url: str) -> Iterator[TenantSession]:
    """Another replica of the same tenant, which keeps what it read."""
    opened = EventStore.open(store_url, remember=10)
    yield opened.tenant("acme")
    opened.close()


def of(session: TenantSession, hours: int, learner: str = "ann") -> Assigned:
    at = NOON + hours * HOUR
    return session.assigned(session.learner(learner, at=at), session.names_of(learner, at=at), at=at)


def names(found: Assigned) -> list[str]:
    return [duty.assignment.id for duty in found.duties]


def test_what_is_kept_follows_every_change(acme: TenantSession, keeping: TenantSession) -> None:
    changes: list[list[CatalogueRow]] = [
        [ANN, Learner(id="bob")],
        [OFFICE, Assignment(id="hers", item_id="x", learner_id="a-1"), Assignment(id="his", item_id="x", learner_id="bob")],
        [Item(id="safety", title="Safety", aliases=("x",))],
        [OFFICE.model_copy(update={"urgent": True})],
    ]
    expected = [[], ["hers", "office"], ["hers", "office"], ["hers", "office"], ["hers"]]
    for hours, rows in enumerate([*changes, []]):
        if rows:
            acme.put(rows, at=NOON + hours * HOUR)
        else:
            acme.retire("assignment", ["office"], at=NOON + hours * HOUR)
        assert of(acme, hours) == of(keeping, hours)
        assert names(of(keeping, hours)) == expected[hours]
    assert names(of(keeping, 9, "bob")) == ["his"]
    assert of(keeping, 9).items == {"x": Item(id="safety", title="Safety", aliases=("x",))}
    then = of(acme, 3)  # of the past: as it was
    assert (names(then), then.duties[1].assignment.urgent, then.known_at) == (["hers", "office"], True, NOON + 3 * HOUR)
    assert of(acme, 1).items == {}
    acme.erase("ann", at=NOON + 6 * HOUR)
    assert names(of(keeping, 9)) == names(of(acme, 9)) == []


def test_leaves_are_those_of_the_duties(acme: TenantSession, keeping: TenantSession) -> None:
    for hours, changes in enumerate([{}, {"status": "leave"}, {"status": "leave", "org_unit": "x"}, {}, {"status": "leave"}]):
        acme.put([ANN.model_copy(update=changes)], at=NOON + hours * HOUR)
    for session in (acme, keeping):
        for hours in (0, 2, 3, 9):
            assert list(of(session, hours).leaves) == session.leaves("ann", at=NOON + hours * HOUR)
    assert of(acme, 9).leaves == (Leave(NOON + HOUR, NOON + 3 * HOUR), Leave(NOON + 4 * HOUR, None))


def test_another_tenant_has_none_of_it(store: EventStore, acme: TenantSession) -> None:
    acme.put([ANN, OFFICE], at=NOON)
    store.tenant("other").put([ANN], at=NOON)
    assert names(of(store.tenant("other"), 1)) == []


def test_it_is_one_read(acme: TenantSession, keeping: TenantSession, monkeypatch: pytest.MonkeyPatch) -> None:
    acme.put([ANN, OFFICE], at=NOON)
    of(keeping, 1)
    learner, own = keeping.learner("ann", at=NOON), keeping.names_of("ann", at=NOON)
    fetched = []
    fetch = keeping._fetch
    monkeypatch.setattr(keeping, "_fetch", lambda *given: fetched.append(given) or fetch(*given))
    monkeypatch.setattr(keeping, "_standing", None)
    assert names(keeping.assigned(learner, own, at=NOON)) == ["office"]
    assert len(fetched) == 1
