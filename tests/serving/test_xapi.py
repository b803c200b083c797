"""`/xapi/statements` and the health of the intake, through the whole service."""

import base64
import gzip
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from acme import ITEMS, NOW, TENANT, publish
from starlette.testclient import TestClient

from features.catalogue import Item, Learner
from features.keys import Scope
from features.store import EventStore, catalogue
from features.xapi.repair import DRESSED_ID
from features.xapi.repair_agents import OLD_ACTOR, SEVERAL
from serving import service, xapi
from serving.doctor import examine
from serving.prepared import Prepared
from serving.replay import replay
from serving.xapi import HEADER

ADL = "http://adlnet.gov/expapi/verbs/"
VOIDED = ADL + "voided"
V1 = {HEADER: "1.0.3"}
PATH = "/xapi/statements"


def number(n: int) -> str:
    return str(uuid.UUID(int=n))


def said(n: int, verb: str = "initialized", thing: str = "sql-1", learner: str = "ana", **fields: Any) -> dict[str, Any]:
    actor = {"account": {"homePage": "https://lms.example", "name": learner}}
    body = {"id": number(n), "actor": actor, "verb": {"id": ADL + verb}, "object": {"id": f"https://lms.example/{thing}"}}
    return body | {"timestamp": NOW.isoformat()} | fields


def learner(name: str = "ana") -> str:
    return f"https://lms.example|{name}"


def seen(store: EventStore, name: str = "ana") -> list[str]:
    return [event.event_id for event in store.tenant(TENANT).history(learner(name))]


def test_a_batch_is_stored_and_answered_with_its_ids(client: TestClient, store: EventStore) -> None:
    answer = client.post(PATH, json=[said(1), said(2, "completed")], headers=V1)
    assert (answer.status_code, answer.json()) == (200, [number(1), number(2)])
    assert answer.headers[HEADER] == "1.0.3"
    assert client.post(PATH, json=said(3), headers={HEADER: "2.0.0"}).headers[HEADER] == "2.0.0"
    assert seen(store) == [number(1), number(2), number(3)]


def test_one_that_is_wrong_refuses_the_batch_and_is_named(client: TestClient, store: EventStore) -> None:
    answer = client.post(PATH, json=[said(1), said(2) | {"verb": {"id": "done"}}], headers=V1)
    assert (answer.status_code, answer.json()["field"]) == (400, "1.verb.id")
    assert answer.headers["content-type"] == "application/problem+json"
    single = client.post(PATH, json=said(2) | {"verb": {"id": "done"}}, headers=V1)
    assert (single.status_code, single.json()["field"]) == (400, "verb.id")
    assert seen(store) == []


def test_the_same_again_is_200_and_other_content_409(client: TestClient, store: EventStore) -> None:
    for _ in range(2):
        assert client.post(PATH, json=said(1), headers=V1).status_code == 200
    answer = client.post(PATH, json=[said(2), said(1, "failed")], headers=V1)
    assert (answer.status_code, answer.json()["field"]) == (409, "id")
    assert seen(store) == [number(1)]


@pytest.mark.parametrize("version", [None, "0.95", "3.0.0", "1.0.3; x", ""])
def test_the_version_must_be_spoken(client: TestClient, version: str | None) -> None:
    answer = client.post(PATH, json=said(1), headers={} if version is None else {HEADER: version})
    assert (answer.status_code, answer.json()["field"]) == (400, HEADER)


def test_put_takes_one_under_the_id_of_the_query(client: TestClient, store: EventStore) -> None:
    body = said(1)
    del body["id"]
    for _ in range(2):
        answer = client.put(PATH, params={"statementId": number(1).upper()}, json=body, headers=V1)
        assert (answer.status_code, answer.content) == (204, b"")
    assert seen(store) == [number(1)]
    for params, given, field in [
        ({"statementId": number(2)}, said(1), "id"),
        ({"statementId": "2"}, body, "statementId"),
        ({}, body, "statementId"),
        ({"statementId": number(2)}, [body], "body"),
        ({"statementId": number(2)}, body | {"id": 7}, "id"),
    ]:
        answer = client.put(PATH, params=params, json=given, headers=V1)
        assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_a_stored_statement_can_be_read_and_a_voided_one_only_as_such(client: TestClient, store: EventStore) -> None:
    client.post(PATH, json=said(1), headers=V1)
    found = client.get(PATH, params={"statementId": number(1)}, headers=V1).json()
    assert (found["object"], found["stored"]) == (said(1)["object"], NOW.isoformat())
    void = said(2, object={"objectType": "StatementRef", "id": number(1)}) | {"verb": {"id": VOIDED}}
    assert client.post(PATH, json=void, headers=V1).status_code == 200
    assert seen(store) == []
    assert client.get(PATH, params={"statementId": number(1)}, headers=V1).status_code == 404
    assert client.get(PATH, params={"voidedStatementId": number(1)}, headers=V1).json() == found
    again = said(3, object={"objectType": "StatementRef", "id": number(2)}) | {"verb": {"id": VOIDED}}
    answer = client.post(PATH, json=again, headers=V1)
    assert (answer.status_code, "cannot be voided" in answer.json()["detail"]) == (400, True)
    assert client.get(PATH, headers=V1).json()["field"] == "statementId"


def test_a_statement_is_in_the_next_answer(client: TestClient, store: EventStore) -> None:
    first = client.post("/v1/recommendations", json={"learner_id": "ana", "limit": 1}).json()["rows"][0]["items"][0]["item_id"]
    known = store.tenant(TENANT).catalogue().items[first]
    store.tenant(TENANT).put([known.model_copy(update={"aliases": (f"https://lms.example/{first}",)})], at=NOW)
    done = said(1, "passed", thing=first, actor={"account": {"homePage": "https://lms.example", "name": "ana"}})
    person = store.tenant(TENANT).learner("ana")
    assert person is not None
    store.tenant(TENANT).put([person.model_copy(update={"aliases": (learner(),)})], at=NOW)
    assert client.post(PATH, json=done, headers=V1).status_code == 200
    assert client.get("/v1/learners/ana/skills").status_code == 200
    assert [event.event_id for event in store.tenant(TENANT).history("ana")] == [number(1)]


@pytest.mark.parametrize(
    ("raw", "media", "status"),
    [
        (b"[", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[NaN]", "application/json", 400),
        (b"{}", "multipart/mixed; boundary=x", 415),
        (json.dumps([[[[]]]]).encode(), "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (json.dumps({"id": "\ud800"}).encode(), "application/json", 400),
        (json.dumps([{"actor": None}] * 1_001).encode(), "application/json", 400),
        (b"7", "application/json", 400),
        (b'{"result": {"score": {"raw": 1e999}}}', "application/json", 400),
    ],
)
def test_what_is_no_statement_is_a_problem_and_never_a_500(client: TestClient, raw: bytes, media: str, status: int) -> None:
    answer = client.post(PATH, content=raw, headers={**V1, "Content-Type": media})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_empty_batch_is_an_empty_answer(client: TestClient) -> None:
    assert client.post(PATH, json=[], headers=V1).json() == []


def test_gzip_and_a_wrong_method(client: TestClient) -> None:
    packed = gzip.compress(json.dumps(said(1)).encode(), mtime=0)
    headers = {**V1, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert client.post(PATH, content=packed, headers=headers).status_code == 200
    wrong = client.delete(PATH, headers=V1)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, POST, PUT")
    assert wrong.json()["detail"] == "DELETE is not allowed here; use GET or POST or PUT"


@pytest.mark.parametrize("path", ["/xapi//statements", "//xapi/statements", "/xapi/statements/", "/xapi/statements//"])
def test_slashes_too_many_in_the_endpoint_do_not_matter(client: TestClient, store: EventStore, path: str) -> None:
    assert client.post(f"http://testserver{path}", json=said(1), headers=V1).status_code == 200
    assert seen(store) == [number(1)]
    unkeyed = client.post(f"http://testserver{path}", json=said(2), headers=V1 | {"Authorization": ""})
    assert unkeyed.status_code == 401


def test_without_a_key_only_about_answers(client: TestClient) -> None:
    nobody = {"Authorization": ""}
    assert client.post(PATH, json=said(1), headers={**V1, **nobody}).status_code == 401
    assert "2.0.0" in client.get("/xapi/about", headers=nobody).json()["version"]


def test_an_id_in_braces_is_one_id_wherever_a_compat_key_writes_it(client: TestClient, store: EventStore) -> None:
    braces, urn = f"{{{number(1)}}}", f"urn:uuid:{number(1)}"
    assert client.post(PATH, json=said(1, id=braces), headers=V1).json()["field"] == "id"
    strict = client.put(PATH, params={"statementId": urn}, json=said(1, id=urn), headers=V1)
    assert (strict.status_code, strict.json()["field"]) == (400, "statementId")
    key = store.keys().add(TENANT, "storyline", [Scope.INGEST], at=NOW, compat=True)
    headers = {**V1, "Authorization": f"Bearer {key.text}"}
    assert client.put(PATH, params={"statementId": urn}, json=said(1, id=braces), headers=headers).status_code == 204
    assert client.post(PATH, json=said(1, id=urn), headers=headers).json() == [number(1)]
    assert client.get(PATH, params={"statementId": braces}, headers=headers).json()["id"] == number(1)
    voiding = said(2, object={"objectType": "StatementRef", "id": braces}) | {"verb": {"id": VOIDED}}
    assert client.post(PATH, json=voiding, headers=headers).status_code == 200
    assert client.get(PATH, params={"voidedStatementId": number(1)}, headers=V1).status_code == 200
    found = {one["what"]: one["count"] for one in client.get("/v1/ingest/health").json()["repairs"]}
    assert found == {DRESSED_ID: 2}  # of the two that were news


def test_an_old_actor_with_two_identifiers_and_a_scorm_timespan_is_one_learner_in_compat_mode(
    client: TestClient, store: EventStore
) -> None:
    key = store.keys().add(TENANT, "captivate", [Scope.INGEST], at=NOW, compat=True)
    account = {"accountServiceHomePage": "https://lms.example", "accountName": "ana"}
    actor = {"name": ["Ana"], "mbox": ["mailto:ana@acme.example"], "account": [account], "objectType": ["Person"]}
    wrong = said(1, actor=actor, result={"duration": "0000:12:34.5"})
    assert client.post(PATH, json=wrong, headers=V1).status_code == 400
    assert client.post(PATH, json=wrong, headers={**V1, "Authorization": f"Bearer {key.text}"}).status_code == 200
    (event,) = store.tenant(TENANT).history(learner())
    assert (event.event_id, event.result and event.result.duration_s) == (number(1), 754.5)
    found = {one["what"]: one["count"] for one in client.get("/v1/ingest/health").json()["repairs"]}
    assert found == {OLD_ACTOR: 1, SEVERAL: 1, "duration as SCORM writes it": 1}


def test_times_that_the_standards_allow_are_taken(client: TestClient, store: EventStore) -> None:
    times = ["2016-12-31T23:59:60Z", "2016-12-31T24:00:00Z", "1985-02-03T09:00:00Z"]
    assert client.post(PATH, json=[said(n, timestamp=at) for n, at in enumerate(times)], headers=V1).status_code == 200
    said_by = [event.occurred_at.isoformat() for event in store.tenant(TENANT).history(learner())]
    assert said_by == ["1985-02-03T09:00:00+00:00", *["2017-01-01T00:00:00+00:00"] * 2]
    kept = client.get(PATH, params={"statementId": number(0)}, headers=V1).json()
    assert kept["timestamp"] == times[0]  # as it came


def test_a_key_in_compat_mode_repairs_and_counts(client: TestClient, store: EventStore) -> None:
    """As an LMS's form sends it: its field `key` is the key's id, its field `secret` the key."""
    key = store.keys().add(TENANT, "moodle", [Scope.INGEST], at=NOW, compat=True)
    basic = base64.b64encode(f"{key.key.key_id}:{key.text}".encode()).decode()
    wrong = said(1, actor={"account": {"homePage": "https://lms.example", "name": 7}})
    assert client.post(PATH, json=[wrong, said(2)], headers=V1).status_code == 400  # the development key is strict
    assert client.post(PATH, json=[wrong, said(2)], headers={"Authorization": f"Basic {basic}"}).status_code == 200
    assert seen(store, "7") == [number(1)]
    stored = store.tenant(TENANT).statement(number(1), voided=False)
    assert stored is not None
    assert stored["authority"]["account"]["name"] == key.key.key_id
    found = {one["what"]: one["count"] for one in client.get("/v1/ingest/health").json()["repairs"]}
    assert found == {"account name as a number": 1, xapi.OLD_VERSION: 1}


def test_health_says_what_was_understood_and_what_was_not(client: TestClient, store: EventStore) -> None:
    empty = client.get("/v1/ingest/health").json()
    assert (empty["last_statement_at"], empty["last_event_at"], empty["unresolved_items"]["count"]) == (None, None, 0)
    store.tenant(TENANT).put([Item(id="x", title="X", aliases=("https://lms.example/known",))], at=NOW)
    client.post(PATH, json=[said(1), said(2), said(3, "flown"), said(4, thing="known")], headers=V1)
    client.post(PATH, json=said(5) | {"verb": {"id": "done"}}, headers=V1)
    found = client.get("/v1/ingest/health").json()
    assert found["last_statement_at"] == found["last_event_at"] == NOW.isoformat().replace("+00:00", "Z")
    assert found["last_event_lag_s"] == 0
    assert found["unresolved_items"]["count"] == 1
    assert [(one["what"], one["count"]) for one in found["unresolved_items"]["most"]] == [("https://lms.example/sql-1", 2)]
    assert found["unresolved_learners"]["events"] == 3
    assert [(one["what"], one["count"]) for one in found["not_understood"]] == [(f"unknown verb: {ADL}flown", 1)]
    assert [(one["what"], one["count"]) for one in found["refused"]] == [("verb.id", 1)]


def test_a_part_that_came_before_its_item_counts_from_the_bundle_that_knows_it(
    client: TestClient, store: EventStore, stock: Prepared, bundles: Path
) -> None:
    course = Item(id="course", title="Course", aliases=("https://lms.example/course",), skills={"analysis": 3})
    above = {"contextActivities": {"grouping": [{"id": "https://lms.example/course"}]}}
    client.post(PATH, json=said(1, "answered", "quiz", context=above), headers=V1)
    client.post(PATH, json=said(2, "completed", "quiz", context=above), headers=V1)
    ask = {"learner_id": learner(), "candidates": ["course", "calm"]}
    before = client.post("/v1/rank", json=ask).json()
    assert before["removed"] == {"unknown_item": ["course"]}
    assert client.get("/v1/ingest/health").json()["unresolved_items"]["events"] == 2
    store.tenant(TENANT).put([course], at=NOW)
    assert client.get("/v1/ingest/health").json()["unresolved_items"]["events"] == 0
    publish(bundles, items=(*ITEMS, course))
    deadline = time.monotonic() + 10
    while client.post("/v1/rank", json=ask).json()["bundle"] == before["bundle"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.post("/v1/rank", json=ask).json()["removed"] == {"in_progress": ["course"]}
    logged = store.tenant(TENANT).decision(before["decision_id"])
    assert logged is not None
    again = replay(store.tenant(TENANT), stock, service.pages.runtime.policy, logged)
    assert (again.removed, again.features, again.rows) == (logged.removed, logged.features, logged.rows)


def test_a_name_of_two_learners_is_named(client: TestClient, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "check_names", lambda *_: None)  # as an older program stored them
    assert client.get("/v1/ingest/health").json()["shared_names"] == []
    people = [Learner(id="one", aliases=("shared", "own")), Learner(id="two", aliases=("shared", "two")), Learner(id="own")]
    store.tenant(TENANT).put(people, at=NOW)
    assert client.get("/v1/ingest/health").json()["shared_names"] == ["own", "shared"]
    shared = next(one for one in examine(client, "test-key", learner=None, now=lambda: NOW) if one.check == "shared names")
    assert (shared.verdict, "own, shared" in shared.words) == ("bad", True)


def test_metrics_count_statements(client: TestClient) -> None:
    client.post(PATH, json=[said(1), said(2)], headers=V1)
    client.post(PATH, json=said(1), headers=V1)
    client.post(PATH, json=said(1, "failed"), headers=V1)
    lines = client.get("/metrics").text.splitlines()
    for outcome, count in (("stored", 2), ("duplicate", 1), ("refused", 1)):
        assert f'nextwise_statements_total{{outcome="{outcome}"}} {count}.0' in lines
