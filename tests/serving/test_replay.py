"""Logged decisions are made again offline, whatever was learned of their past since."""

from datetime import timedelta

import pytest
from acme import CUSTOMERS, NOW, TENANT, event
from starlette.testclient import TestClient

from features.catalogue import Assignment, Item
from features.decisions import Decision
from features.events import Verb
from features.store import EventStore
from serving import service
from serving.prepared import Prepared
from serving.replay import replay


def _ask(client: TestClient) -> list[str]:
    bodies = [
        ("/v1/recommendations", {"learner_id": "ana", "limit": 3, "types": ["course"], "max_minutes": 60}),
        ("/v1/recommendations", {"learner_id": "off"}),
        ("/v1/recommendations", {"learner_id": "nobody"}),
        ("/v1/rank", {"learner_id": "ben", "candidates": ["calm", "lead", "data", "nope"], "languages": ["en"]}),
    ]
    return [client.post(path, json=body).json()["decision_id"] for path, body in bodies for _ in range(5)]


def _same(replayed: Decision, logged: Decision) -> None:
    assert [(i.item_id, i.position, i.propensity, i.source, i.reasons) for i in replayed.slate] == [
        (i.item_id, i.position, i.propensity, i.source, i.reasons) for i in logged.slate
    ]
    assert [item.score for item in replayed.slate] == pytest.approx([item.score for item in logged.slate], abs=1e-5)
    parts = ("features", "removed", "events_read", "fallback", "randomisation", "request", "candidates", "versions")
    assert all(getattr(replayed, name) == getattr(logged, name) for name in parts)


def test_replay_equals_the_log_and_late_events_change_nothing(client: TestClient, store: EventStore, stock: Prepared) -> None:
    session = store.tenant(TENANT)
    session.append([event("ana", Verb.COMPLETED, "data"), event("ben", Verb.STARTED, "calm")])
    logged = [session.decision(one) for one in _ask(client)]
    late = {"recorded_at": NOW + timedelta(minutes=1)}
    session.append(
        [
            event("ana", Verb.REVOKED, "data", at=NOW - timedelta(days=1), **late),
            event("ana", Verb.COMPLETED, "calm", at=NOW - timedelta(days=30), **late),
            event("ben", Verb.COMPLETED, "lead", at=NOW - timedelta(hours=1), **late),
            event("ben", Verb.COMPLETED, "data", at=NOW - timedelta(days=9), **late, backfill=True),  # history, imported now
            event("ana", Verb.STARTED, "lead", at=NOW - timedelta(days=8), recorded_at=NOW - timedelta(days=8)),
        ]
    )
    session.void([event("ana", Verb.COMPLETED, "data").event_id], by="v", at=NOW + timedelta(minutes=2))
    policy = service.pages.runtime.policy
    assert len(logged) == 20
    for decision in logged:
        assert decision is not None
        _same(replay(session, stock, policy, decision), decision)


def test_replay_knows_the_duties_of_then(client: TestClient, store: EventStore, stock: Prepared) -> None:
    session = store.tenant(TENANT)
    push = {"id": "push", "title": "New protocol", "duration_s": 600}
    duties = [
        {"id": "a", "item_id": "push", "audience": CUSTOMERS, "urgent": True},
        {"id": "b", "item_id": "safe", "learner_id": "ana"},
    ]
    assert client.put("/v1/items", json=push).status_code == client.put("/v1/assignments", json=duties).status_code == 200
    logged = [session.decision(one) for one in _ask(client)]
    later = NOW + timedelta(minutes=1)
    session.put(
        [Item(id="push", title="Newer", audiences=("leaders",)), Assignment(id="c", item_id="calm", learner_id="ana")], at=later
    )
    session.retire("assignment", ["b"], at=later)
    assert logged[0] is not None
    assert logged[0].slate[0].item_id == "push"
    for decision in logged:
        assert decision is not None
        again = replay(session, stock, service.pages.runtime.policy, decision)
        _same(again, decision)
        assert (again.rows, again.shortfall) == (decision.rows, decision.shortfall)


def test_decisions_under_other_rules_are_refused(client: TestClient, store: EventStore, stock: Prepared) -> None:
    decision = store.tenant(TENANT).decision(_ask(client)[0])
    assert decision is not None
    older = decision.model_copy(update={"versions": {**decision.versions, "rules": "3"}})
    with pytest.raises(ValueError, match="rules"):
        replay(store.tenant(TENANT), stock, service.pages.runtime.policy, older)


def test_late_events_do_change_later_answers(client: TestClient, store: EventStore) -> None:
    before = client.post("/v1/recommendations", json={"learner_id": "ana"}).json()
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "calm", at=NOW - timedelta(days=30), recorded_at=NOW)])
    after = client.post("/v1/recommendations", json={"learner_id": "ana"}).json()
    shown = [{item["item_id"] for row in answer["rows"] for item in row["items"]} for answer in (before, after)]
    assert "calm" in shown[0] - shown[1]


def test_another_bundle_or_policy_is_refused(client: TestClient, store: EventStore, stock: Prepared) -> None:
    decision = store.tenant(TENANT).decision(_ask(client)[0])
    assert decision is not None
    with pytest.raises(ValueError, match="was made by"):
        replay(store.tenant(TENANT), stock, service.pages.runtime.policy, decision.model_copy(update={"bundle": "other"}))
