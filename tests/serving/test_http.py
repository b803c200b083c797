"""The service over HTTP: answers, credentials, and that nothing a client sends is a 500."""

import gzip
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acme import KEY, NOW, TENANT
from starlette.testclient import TestClient

from features.store import EventStore
from serving import service
from serving.body import MAX_BODY, check_json
from serving.problems import RefusedError
from serving.runtime import REST_S, Runtime
from serving.settings import Settings

RECOMMEND, RANK, EVENTS = "/v1/recommendations", "/v1/rank", "/v1/events"
EVENT = {
    "event_id": "e1",
    "learner_id": "ana",
    "verb": "completed",
    "object_id": "calm",
    "occurred_at": "2026-05-31T09:00:00+02:00",
}


def shown(client: TestClient, learner: str = "ana") -> list[str]:
    rows = client.post(RECOMMEND, json={"learner_id": learner}).json()["rows"]
    return [item["item_id"] for row in rows for item in row["items"]]


def test_the_answer_is_the_recorded_decision(client: TestClient, store: EventStore) -> None:
    answer = client.post(RECOMMEND, json={"learner_id": "ana", "limit": 3, "surface": "home"}).json()
    decision = store.tenant(TENANT).decision(answer["decision_id"])
    assert decision is not None
    assert json.loads(json.dumps(decision.answer())) == answer
    assert (decision.surface, decision.request) == ("home", {"learner_id": "ana", "limit": 3, "surface": "home"})


def test_rank_explains_what_it_leaves_out(client: TestClient) -> None:
    answer = client.post(RANK, json={"learner_id": "ana", "candidates": ["lead", "calm", "x"]}).json()
    assert [item["item_id"] for item in answer["rows"][0]["items"]] == ["calm"]
    assert answer["removed"] == {"other_audience": ["lead"], "unknown_item": ["x"]}


@pytest.mark.parametrize(
    "headers", [{"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic test-key"}]
)
@pytest.mark.parametrize("path", [RECOMMEND, RANK, EVENTS, "/v1/none"])
def test_without_the_key_nothing_is_said(client: TestClient, path: str, headers: dict[str, str]) -> None:
    answer = client.post(path, json={"learner_id": "ana"}, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"].split()[0]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


BAD: list[tuple[str, Any, str]] = [
    (RECOMMEND, {}, "learner_id"),
    (RECOMMEND, {"learner_id": 7}, "learner_id"),
    (RECOMMEND, {"learner_id": ""}, "learner_id"),
    (RECOMMEND, {"learner_id": "a\u0000b"}, "learner_id"),
    (RECOMMEND, {"learner_id": "x" * 257}, "learner_id"),
    (RECOMMEND, {"learner_id": "ana", "limit": 0}, "limit"),
    (RECOMMEND, {"learner_id": "ana", "limit": 10_000}, "limit"),
    (RECOMMEND, {"learner_id": "ana", "limit": "5"}, "limit"),
    (RECOMMEND, {"learner_id": "ana", "limit": 2.5}, "limit"),
    (RECOMMEND, {"learner_id": "ana", "limit": True}, "limit"),
    (RECOMMEND, {"learner_id": "ana", "k": 5}, "k"),
    (RECOMMEND, {"learner_id": "ana", "tenant": "other"}, "tenant"),
    (RECOMMEND, {"learner_id": "ana", "candidates": ["calm"]}, "candidates"),
    (RECOMMEND, {"learner_id": "ana", "surface": "home\u0007"}, "surface"),
    (RECOMMEND, {"learner_id": "ana", "surface": "home\u0085"}, "surface"),
    (RECOMMEND, {"learner_id": "ana", "surface": ""}, "surface"),
    (RECOMMEND, {"learner_id": "ana", "max_minutes": -1}, "max_minutes"),
    (RECOMMEND, {"learner_id": "ana", "types": ["poem"]}, "types.0"),
    (RECOMMEND, {"learner_id": "ana", "languages": ["English"]}, "languages.0"),
    (RECOMMEND, {"learner_id": "ana", "exclude": ["x"] * 1001}, "exclude"),
    (RECOMMEND, {"learner_id": "ana", "exclude": "calm"}, "exclude"),
    (RANK, {"learner_id": "ana"}, "candidates"),
    (RANK, {"learner_id": "ana", "candidates": []}, "candidates"),
    (RANK, {"learner_id": "ana", "candidates": ["x"] * 1001}, "candidates"),
    (RANK, {"learner_id": "ana", "candidates": ["x", None]}, "candidates.1"),
    (EVENTS, {**EVENT, "verb": "liked"}, "verb"),
    (EVENTS, {**EVENT, "tenant": "acme"}, "tenant"),
    (EVENTS, {**EVENT, "recorded_at": "2026-01-01T00:00:00Z"}, "recorded_at"),
    (EVENTS, {**EVENT, "backfill": True}, "backfill"),
    (EVENTS, {**EVENT, "occurred_at": "2026-05-31T09:00:00"}, "occurred_at"),
    (EVENTS, {**EVENT, "occurred_at": 1_780_000_000}, "occurred_at"),
    (EVENTS, {**EVENT, "occurred_at": "2027-01-01T00:00:00Z"}, "occurred_at"),
    (EVENTS, {**EVENT, "result": {"score": 2}}, "result.score"),
    (EVENTS, {**EVENT, "result": {"score": "0.5"}}, "result.score"),
    (EVENTS, {**EVENT, "result": {"completion": 1}}, "result.completion"),
    (EVENTS, [], "body"),
    (EVENTS, "calm", "body"),
    (EVENTS, [EVENT] * 1001, "body"),
]


@pytest.mark.parametrize(("path", "body", "field"), BAD)
def test_bad_input_is_a_400_that_names_the_field(client: TestClient, path: str, body: Any, field: str) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["field"] == field
    assert field in answer.json()["detail"]


RAW: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"{", 400),
    (b"null", 400),
    (b'"x"', 400),
    (b'{"learner_id": "ana", "max_minutes": NaN}', 400),
    (b'{"learner_id": "ana", "max_minutes": Infinity}', 400),
    (b'{"learner_id": "ana", "max_minutes": 1e400}', 400),
    (b'{"learner_id": "ana", "limit": ' + b"9" * 5000 + b"}", 400),
    (b'{"learner_id": "ana", "learner_id": "ben"}', 400),
    (b'{"learner_id": "\xff\xfe"}', 400),
    (b'{"learner_id": "\\ud800"}', 400),
    (b"[" * 100_000, 400),
    (b'{"learner_id": "ana"} x', 400),
    (b'{"learner_id": "' + b"x" * MAX_BODY + b'"}', 413),
]


@pytest.mark.parametrize("path", [RECOMMEND, RANK, EVENTS])
@pytest.mark.parametrize(("raw", "status"), RAW)
def test_a_broken_body_is_refused(client: TestClient, path: str, raw: bytes, status: int) -> None:
    answer = client.post(path, content=raw, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"]


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e400", '{"deep": [1e400]}'])
def test_a_context_that_is_no_number_is_refused(client: TestClient, store: EventStore, value: str) -> None:
    raw = json.dumps({**EVENT, "context": {"x": 7}}).replace('"x": 7', f'"x": {value}').encode()
    assert client.post(EVENTS, content=raw, headers={"Content-Type": "application/json"}).status_code == 400
    assert store.tenant(TENANT).history("ana") == []


def test_many_keys_are_read_in_time_and_the_one_that_stands_twice_is_named() -> None:
    body = "{" + ", ".join(f'"k{n}": 0' for n in [*range(60_000), 59_999]) + "}"
    began = time.perf_counter()
    with pytest.raises(RefusedError, match="k59999: this field stands twice"):
        check_json(body.encode())
    assert time.perf_counter() - began < 2  # quadratic: minutes


def test_what_a_stranger_asks_for_makes_no_metric(client: TestClient) -> None:
    for n in range(20):
        client.post(f"/v1/zz{n}", json={}, headers={"Authorization": ""})
        client.post(f"/v1/zz{n}", json={})
        client.get(f"/zz{n}")
    text = client.get("/metrics").text
    assert "zz" not in text
    assert 'nextwise_requests_total{route="unknown",status="401"} 20.0' in text
    assert 'nextwise_requests_total{route="unknown",status="404"} 40.0' in text
    client.post(RECOMMEND, json={"learner_id": "ana"}, headers={"Authorization": ""})
    assert f'nextwise_requests_total{{route="{RECOMMEND}",status="401"}} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize("path", [RECOMMEND, EVENTS])
def test_another_media_type_or_coding_is_a_415(client: TestClient, path: str) -> None:
    multipart = client.post(path, files={"learner_id": b"ana"})
    form = client.post(path, data={"learner_id": "ana"})
    pickle = client.post(path, content=b"x", headers={"Content-Type": "application/vnd.bentoml+pickle"})
    brotli = client.post(path, content=b"x", headers={"Content-Type": "application/json", "Content-Encoding": "br"})
    missing = client.post(path, content=b"{}")
    for answer, field in [(multipart, "content-type"), (form, "content-type"), (pickle, "content-type")]:
        assert (answer.status_code, answer.json()["field"]) == (415, field)
    assert (brotli.status_code, brotli.json()["field"]) == (415, "content-encoding")
    assert missing.status_code == 415


def test_gzip_is_read_and_a_bomb_is_not(client: TestClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps({"learner_id": "ana"}).encode())
    assert client.post(RECOMMEND, content=body, headers=headers).status_code == 200
    bomb = gzip.compress(b" " * 20_000_000)
    assert client.post(RECOMMEND, content=bomb, headers=headers).status_code == 413
    for broken in (body[:-4], b"plain", body + body):
        assert client.post(RECOMMEND, content=broken, headers=headers).status_code == 400


def test_wrong_methods_and_paths_are_problems_too(client: TestClient) -> None:
    for method, path, status in [("GET", RECOMMEND, 405), ("GET", EVENTS, 405), ("POST", "/v1/no", 404), ("GET", "/no", 404)]:
        answer = client.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_an_event_changes_the_next_answer(client: TestClient) -> None:
    assert "calm" in shown(client)
    answer = client.post(EVENTS, json=EVENT)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert "calm" not in shown(client)


def test_a_batch_reports_each_event(client: TestClient, store: EventStore) -> None:
    client.post(EVENTS, json=EVENT)
    rows = [EVENT, {**EVENT, "object_id": "data"}, {**EVENT, "event_id": "e2"}, {**EVENT, "event_id": "e3", "verb": "liked"}, 7]
    answer = client.post(EVENTS, json=rows).json()
    assert [row["outcome"] for row in answer["results"]] == ["duplicate", "conflict", "accepted", "invalid", "invalid"]
    assert [row.get("field") for row in answer["results"]] == [None, "event_id", None, "verb", None]
    assert answer["accepted"] == 1
    assert [event.event_id for event in store.tenant(TENANT).history("ana")] == ["e1", "e2"]


def test_a_single_conflict_is_a_409_and_a_repeat_is_harmless(client: TestClient) -> None:
    assert [client.post(EVENTS, json=EVENT).json()["results"][0]["outcome"] for _ in range(2)] == ["accepted", "duplicate"]
    conflict = client.post(EVENTS, json={**EVENT, "object_id": "data"})
    assert (conflict.status_code, conflict.json()["field"]) == (409, "event_id")


def test_tenant_and_clock_are_the_services_own(client: TestClient, store: EventStore) -> None:
    client.post(EVENTS, json=EVENT)
    (event,) = store.tenant(TENANT).history("ana")
    assert (event.tenant, event.recorded_at, event.backfill) == (TENANT, NOW, False)


def test_an_unknown_learner_or_item_is_taken_as_a_stub(client: TestClient) -> None:
    assert client.post(EVENTS, json={**EVENT, "learner_id": "new", "object_id": "new"}).json()["accepted"] == 1
    assert "lead" not in shown(client, "new")


def test_health_and_metrics(client: TestClient) -> None:
    client.post(EVENTS, json=EVENT)
    client.post(RECOMMEND, json={"learner_id": "off"})
    assert [client.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]
    text = client.get("/metrics", headers={"Authorization": ""}).text
    assert 'nextwise_requests_total{route="/v1/recommendations",status="200"} 1.0' in text
    assert 'nextwise_fallbacks_total{fallback="personalisation_off"} 1.0' in text
    assert 'nextwise_stage_seconds_bucket{le="0.001",stage="score"}' in text
    assert "nextwise_event_lag_seconds_count 1.0" in text
    assert 'nextwise_bundle_info{bundle="' in text
    assert 'nextwise_bundle_age_seconds{tenant="acme"}' in text


@pytest.fixture
def bare(settings: Settings) -> Iterator[TestClient]:
    """The service with no bundle published."""
    shutil.rmtree(settings.bundles)
    service.pages.runtime = Runtime(settings, clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def test_without_a_bundle_it_says_so_and_when_to_come_again(bare: TestClient) -> None:
    answer = bare.post(RECOMMEND, json={"learner_id": "ana"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "no bundle" in answer.json()["detail"]
    ready = bare.get("/readyz")
    assert ready.status_code == 503
    assert "python -m training publish" in ready.json()["detail"]
    assert bare.get("/livez").status_code == 200


def test_a_store_that_is_down_degrades_by_name_and_nothing_is_lost(
    settings: Settings, tmp_path: Path, store: EventStore
) -> None:
    """The database is a folder: nothing can be read or written. Then it is a file again."""
    down = settings.model_copy(update={"store": f"sqlite:///{tmp_path}/down.db"})
    (tmp_path / "down.db").mkdir()
    service.pages.runtime = Runtime(down, clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as client:
        answer = client.post(RECOMMEND, json={"learner_id": "ana"}).json()
        assert answer["fallback"] == "history_unavailable"
        assert answer["rows"]
        assert "not writable" in client.get("/readyz").json()["detail"]
        assert client.post(EVENTS, json=EVENT).status_code == 503
        (tmp_path / "down.db").rmdir()
        time.sleep(REST_S)
        later = client.post(RECOMMEND, json={"learner_id": "ana"}).json()
        assert later["fallback"] is None
    opened = EventStore.open(down.store)
    assert {one.decision_id for _, one in opened.tenant(TENANT).decisions()} == {answer["decision_id"], later["decision_id"]}
    opened.close()


RULE = {"id": "r", "kind": "exclude", "match": {"items": ["calm"]}}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/recommendations", {"learner_id": "ana", "rules": [RULE, RULE]}, "rules"),
        ("/v1/recommendations", {"learner_id": "ana", "rows": [{"row": "new"}, {"row": "new"}]}, "rows"),
        ("/v1/rank", {"learner_id": "ana", "candidates": ["calm"], "rules": [RULE, RULE]}, "rules"),
        ("/v1/rules:dry-run", {}, "rules"),
        ("/v1/rules:dry-run", {"rules": [RULE, RULE]}, "rules"),
        ("/v1/rules:dry-run", [], "body"),
        ("/v1/explain", [], "body"),
        ("/v1/explain", {"learner_id": "ana", "items": ["calm"], "decision_id": "d", "limit": 2}, "limit"),
        ("/v1/feedback", 7, "body"),
        (
            "/v1/feedback",
            {"learner_id": "ana", "item_id": "calm", "feedback": "saved", "until": "2026-06-02T00:00:00Z"},
            "until",
        ),
        ("/v1/nudge", 7, "body"),
        ("/v1/events", 7, "body"),
        ("/v1/events", [], "body"),
        ("/v1/tokens", [], "body"),
        ("/v1/learners/ana/merge", [], "body"),
    ],
)
def test_whatever_is_wrong_the_answer_names_the_field(client: TestClient, path: str, body: Any, field: str) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text


def test_an_empty_body_is_the_body_that_is_wrong(client: TestClient) -> None:
    for path in ("/v1/recommendations", "/v1/rank", "/v1/events", "/v1/explain", "/v1/rules:dry-run", "/v1/nudge"):
        answer = client.post(path, content=b"", headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["field"]) == (400, "body"), answer.text


@pytest.mark.parametrize("path", ["/v1/nudge", "/v1/feedback", "/v1/learners/ana/merge", "/v1/explain", "/v1/rank"])
def test_what_is_no_object_is_said_in_words_of_json(client: TestClient, path: str) -> None:
    """It said "a valid dictionary or instance of NudgeIn"."""
    assert client.post(path, json=[]).json()["detail"] == "body: Input should be an object"
