"""Merging over HTTP: rankings, skills and feedback of one person, and replays of what was decided before."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from acme import NOW, TENANT, event
from starlette.testclient import TestClient

from features.events import Verb
from features.keys import Scope
from features.store import EventStore
from serving import service
from serving.client import Client
from serving.clock import Clock
from serving.payloads import MergeIn, RankRequest
from serving.prepared import Prepared
from serving.replay import replay
from serving.runtime import Runtime
from serving.settings import Settings

MERGE, UNMERGE = "/v1/learners/guest/merge", "/v1/learners/guest/unmerge"
ANA = {"into": "ana"}


@pytest.fixture
def now() -> list[datetime]:
    return [NOW]


@pytest.fixture
def later(client: TestClient, now: list[datetime]) -> Callable[[], None]:
    service.pages.runtime.clock = Clock(lambda: now[0])

    def later() -> None:
        now[0] += timedelta(minutes=1)

    return later


def removed(client: TestClient, learner: str) -> dict[str, Any]:
    found: dict[str, Any] = client.post("/v1/rank", json={"learner_id": learner, "candidates": ["calm", "data", "safe"]}).json()
    return dict(found["removed"])


def test_every_answer_is_of_the_person_until_it_is_taken_back(
    client: TestClient, store: EventStore, later: Callable[[], None]
) -> None:
    store.tenant(TENANT).append([event("guest", Verb.COMPLETED, "calm"), event("ana", Verb.COMPLETED, "data")])
    apart = [removed(client, name) for name in ("guest", "ana")]
    assert apart == [{"finished": ["calm"]}, {"finished": ["data"]}]
    answer = client.post(MERGE, json=ANA)
    assert (answer.status_code, answer.json()) == (200, {"learner_id": "guest", "into": "ana", "outcome": "accepted"})
    assert removed(client, "guest") == removed(client, "ana") == {"finished": ["calm", "data"]}
    for name in ("guest", "ana"):
        assert {one["skill"] for one in client.get(f"/v1/learners/{name}/skills").json()["skills"]} == {"listening", "analysis"}
        assert client.get(f"/v1/learners/{name}/gaps").json()["role"] == "agent"
    feedback = {"learner_id": "guest", "item_id": "safe", "feedback": "not_relevant"}
    assert client.post("/v1/feedback", json=feedback).status_code == 200
    assert removed(client, "ana") == {"finished": ["calm", "data"], "dismissed": ["safe"]}
    assert client.get("/v1/ingest/health").json()["unresolved_learners"]["count"] == 0
    later()
    assert client.post(UNMERGE, json=ANA).json()["outcome"] == "accepted"
    assert [removed(client, name) for name in ("guest", "ana")] == [apart[0] | {"dismissed": ["safe"]}, apart[1]]
    assert client.get("/v1/ingest/health").json()["unresolved_learners"]["count"] == 1


def test_a_decision_is_replayed_as_it_was_before_a_merge_and_after_its_end(
    client: TestClient, store: EventStore, stock: Prepared, later: Callable[[], None]
) -> None:
    session, policy = store.tenant(TENANT), service.pages.runtime.policy
    session.append([event("guest", Verb.COMPLETED, "calm"), event("ana", Verb.COMPLETED, "data")])
    decided = list[str]()

    def ask() -> None:
        answers = [client.post("/v1/recommendations", json={"learner_id": name}).json() for name in ("guest", "ana")]
        decided.extend(answer["decision_id"] for answer in answers)
        later()

    ask()
    client.post(MERGE, json=ANA)
    ask()
    client.post(UNMERGE, json=ANA)
    ask()
    logged = [session.decision(name) for name in decided]
    assert [len(one.events_read) for one in logged if one] == [1, 1, 2, 2, 1, 1]
    for one in logged:
        assert one is not None
        again = replay(session, stock, policy, one)
        assert again.model_copy(update={"stages_ms": {}}) == one.model_copy(update={"stages_ms": {}})


def test_the_same_again_is_no_news_and_a_contradiction_a_conflict(client: TestClient) -> None:
    assert [client.post(MERGE, json=ANA).json()["outcome"] for _ in range(2)] == ["accepted", "duplicate"]
    other = client.post(MERGE, json={"into": "ben"})
    assert (other.status_code, other.json()["field"]) == (409, "into")
    assert other.json()["detail"] == "into: 'guest' is merged into 'ana'; take that back first"
    ring = client.post("/v1/learners/ana/merge", json={"into": "guest"})
    assert (ring.status_code, ring.json()["field"]) == (409, "into")
    early = client.post(UNMERGE, json={"into": "ana", "occurred_at": "2026-01-01T00:00:00Z"})
    assert (early.status_code, early.json()["field"]) == (409, "occurred_at")


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        (MERGE, {}, 400, "into"),
        (MERGE, {"into": ""}, 400, "into"),
        (MERGE, {"into": "ana", "more": 1}, 400, "more"),
        ("/v1/learners/%00/merge", ANA, 400, "learner_id"),
        (UNMERGE, ANA, 404, "into"),
        (MERGE, {"into": "guest"}, 409, "into"),
        (MERGE, {"into": "ana", "occurred_at": "2026-06-02T00:00:00Z"}, 409, "occurred_at"),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, path: str, body: Any, status: int, field: str) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.json()["field"]) == (status, field)


@pytest.mark.parametrize("scope", [Scope.SYNC, Scope.INGEST])
def test_it_takes_a_key_that_may_sync(settings: Settings, store: EventStore, scope: Scope) -> None:
    service.pages.runtime = Runtime(settings.model_copy(update={"dev_key": ""}), clock=lambda: NOW)
    key = store.keys().add(TENANT, "hr", [scope], at=NOW)
    with TestClient(service.Nextwise.to_asgi(), headers={"Authorization": f"Bearer {key.text}"}) as client:
        answers = client.post(MERGE, json=ANA), client.post(UNMERGE, json=ANA)
    assert [answer.status_code for answer in answers] == ([200, 200] if scope is Scope.SYNC else [403, 403])


def test_another_tenants_ids_are_out_of_reach(client: TestClient, store: EventStore) -> None:
    other = store.tenant("other")
    other.merge("guest", "ana", occurred_at=NOW, at=NOW)
    assert client.post(UNMERGE, json=ANA).status_code == 404
    assert len(list(other.merges())) == 1


def test_by_the_client(client: TestClient) -> None:
    nextwise = Client("", "test-key", http=client)
    assert nextwise.merge("guest", MergeIn(into="ana")).outcome == "accepted"
    assert nextwise.unmerge("guest", MergeIn(into="ana", occurred_at=NOW)).outcome == "accepted"
    assert nextwise.rank(RankRequest(learner_id="guest", candidates=("calm",))).rows
