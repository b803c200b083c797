"""Export and erasure over HTTP: all of one learner and nothing of another's, gone at once, and gone for good."""

from pathlib import Path
from urllib.parse import quote

import pytest
from acme import LEARNERS, NOW, TENANT
from starlette.testclient import TestClient

from features.keys import Scope
from features.store import EventStore
from features.xapi.mentions import NOBODY_ID
from serving import service
from serving.decision_log import Spool
from serving.runtime import Runtime
from serving.settings import Settings
from serving.xapi import HEADER

ANA, EXPORT = "/v1/learners/ana", "/v1/learners/ana/export"
OLD = {"event_id": "e1", "learner_id": "ana", "verb": "completed", "object_id": "calm", "occurred_at": "2026-05-31T09:00:00Z"}
ACCOUNT = {"account": {"homePage": "https://lms.example", "name": "a/skills"}}
STATEMENT = {
    "id": "00000000-0000-0000-0000-000000000001",
    "actor": ACCOUNT,
    "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
    "object": {"id": "https://lms.example/calm"},
    "timestamp": "2026-05-31T09:00:00Z",
}
V1 = {HEADER: "1.0.3"}


def test_an_export_is_one_document_of_all_that_is_stored(client: TestClient) -> None:
    client.post("/v1/events", json=OLD)
    decision = client.post("/v1/recommendations", json={"learner_id": "ana"}).json()["decision_id"]
    found = client.get(EXPORT)
    assert (found.status_code, found.headers["content-type"]) == (200, "application/json")
    body = found.json()
    assert [one["event_id"] for one in body["events"]] == ["e1"]
    assert [one["decision_id"] for one in body["decisions"]] == [decision]
    assert body["learner"][0]["row"]["role_id"] == LEARNERS[0].role_id
    assert body["statements"] == body["assignments"] == []
    schema = service.pages.document["components"]["schemas"]["LearnerExport"]
    assert list(body) == schema["required"] == list(schema["properties"])


def test_an_erased_learner_is_gone_and_what_was_before_is_acknowledged_and_not_stored(
    client: TestClient, store: EventStore
) -> None:
    client.post("/v1/events", json=OLD)
    client.post("/v1/recommendations", json={"learner_id": "ana"})
    assert client.get(ANA + "/skills").json()["skills"]
    for _ in range(2):
        gone = client.delete(ANA)
        assert (gone.status_code, gone.content) == (204, b"")
    assert [client.get(path).status_code for path in (EXPORT, ANA + "/skills", ANA + "/gaps")] == [404, 404, 404]
    assert client.post("/v1/events", json=OLD).json() == {
        "accepted": 0,
        "results": [{"index": 0, "event_id": "e1", "outcome": "suppressed"}],
    }
    assert store.tenant(TENANT).export("ana") is None
    assert 'nextwise_events_total{outcome="suppressed"} 1.0' in client.get("/metrics").text


def test_evidence_stays_with_whom_it_is_of_when_its_voucher_is_erased(client: TestClient) -> None:
    told = {"skill": "analysis", "kind": "attested", "by": "ben", "level": 3, "occurred_at": OLD["occurred_at"]}
    assert client.put("/v1/learners", json={"id": "ben"}).status_code == 200
    client.post("/v1/evidence", json={"event_id": "v1", "learner_id": "ana", **told})
    before = client.get(ANA + "/skills").json()
    assert client.delete("/v1/learners/ben").status_code == 204
    assert client.get("/v1/learners/ben/export").status_code == 404
    assert client.get(ANA + "/skills").json() == before
    assert "ben" not in client.get(EXPORT).text
    (kept,) = client.get(EXPORT).json()["events"]
    assert kept["context"] == {"kind": "attested", "by": NOBODY_ID, "level": 3}
    again = client.post("/v1/evidence", json={"event_id": "v1", "learner_id": "ana", **told})
    assert (again.status_code, again.json()["field"]) == (400, "by")  # nobody of that name can vouch any more
    assert "ben" not in client.get(EXPORT).text


def test_an_erased_learner_who_comes_back_is_a_new_one(client: TestClient, store: EventStore) -> None:
    client.post("/v1/events", json=OLD)
    client.delete(ANA)
    later = {**OLD, "event_id": "e2", "object_id": "data", "occurred_at": "2026-06-01T12:04:00Z"}
    assert client.post("/v1/events", json=later).json()["accepted"] == 1
    assert [one.event_id for one in store.tenant(TENANT).history("ana")] == ["e2"]


def test_old_statements_are_answered_with_their_ids(client: TestClient, store: EventStore) -> None:
    path = "/xapi/statements"
    assert client.post(path, json=STATEMENT, headers=V1).status_code == 200
    name = quote("https://lms.example|a/skills", safe="")
    assert client.get(f"/v1/learners/{name}/export").json()["statements"][0]["id"] == STATEMENT["id"]
    assert client.delete(f"/v1/learners/{name}").status_code == 204  # the learner `a/skills`, not the skills of `a`
    again = client.post(path, json=STATEMENT, headers=V1)
    assert (again.status_code, again.json()) == (200, [STATEMENT["id"]])
    assert client.get(path, params={"statementId": str(STATEMENT["id"])}, headers=V1).status_code == 404
    assert store.tenant(TENANT).counts().events == 0
    assert 'nextwise_statements_total{outcome="suppressed"} 1.0' in client.get("/metrics").text


def test_to_erase_somebody_never_heard_of_looks_the_same(client: TestClient) -> None:
    known, unknown = client.delete(ANA), client.delete("/v1/learners/nobody")
    assert (known.status_code, known.content, known.headers) == (unknown.status_code, unknown.content, unknown.headers)
    assert client.get("/v1/learners/nobody/export").status_code == 404


@pytest.mark.parametrize("name", ["", "%00", "x" * 257])
def test_what_is_no_id_is_refused(client: TestClient, name: str) -> None:
    for answer in (client.delete(f"/v1/learners/{name}"), client.get(f"/v1/learners/{name}/export")):
        assert (answer.status_code, answer.json()["field"]) == (400, "learner_id")


@pytest.mark.parametrize("scope", Scope)
def test_both_need_an_admins_key(settings: Settings, store: EventStore, scope: Scope) -> None:
    service.pages.runtime = Runtime(settings.model_copy(update={"dev_key": ""}), clock=lambda: NOW)
    key = store.keys().add(TENANT, "hr", [scope], at=NOW)
    headers = {"Authorization": f"Bearer {key.text}"}
    with TestClient(service.Nextwise.to_asgi(), headers=headers) as client:
        answers = client.get(EXPORT), client.delete(ANA)
    admin = scope is Scope.ADMIN
    assert [answer.status_code for answer in answers] == ([200, 204] if admin else [403, 403])
    assert (store.tenant(TENANT).learner("ana") is None) is admin


def test_another_tenants_learner_of_the_same_name_stays(client: TestClient, store: EventStore) -> None:
    store.tenant("other").put([LEARNERS[0]], at=NOW)
    client.delete(ANA)
    assert store.tenant("other").learner("ana") == LEARNERS[0]


def test_decisions_that_waited_in_a_spool_do_not_come_back(settings: Settings, store: EventStore, client: TestClient) -> None:
    client.post("/v1/recommendations", json={"learner_id": "ana"})
    client.post("/v1/recommendations", json={"learner_id": "ben"})
    waiting = [one for _, one in store.tenant(TENANT).decisions()]
    left = Path(settings.spool) / "left"
    spool = Spool(left)
    spool.append(waiting)
    assert client.delete(ANA).status_code == 204
    spool.replay(lambda tenant, decisions: store.tenant(tenant).record(decisions))
    assert [one.learner_id for _, one in store.tenant(TENANT).decisions()] == ["ben"]
    assert not list(left.iterdir())


def test_while_the_store_is_down_nothing_is_promised(client: TestClient, store: EventStore, file: Path) -> None:
    assert client.get(EXPORT).status_code == client.post("/v1/events", json=OLD).status_code == 200
    store.close()
    file.rename(file.with_suffix(".moved"))
    answers = client.delete(ANA), client.get(EXPORT)
    assert [answer.status_code for answer in answers] == [503, 503]
    assert all("retry-after" in answer.headers for answer in answers)
