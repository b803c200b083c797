"""Learner tokens through the whole service: what one opens, and that it opens nothing else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from acme import NOW, TENANT
from starlette.routing import Route
from starlette.testclient import TestClient

from features.keys import NewKey, Scope
from features.store import EventStore
from serving import looked as looked_module
from serving import service
from serving.app import APIS
from serving.client import Client, ProblemError
from serving.payloads import TokenRequest
from serving.rates import Rates
from serving.runtime import Runtime
from serving.scopes import KEYED_PATHS, OPEN_PATHS, token_methods
from serving.settings import Settings

PATH = "/v1/tokens"
SECRET = "s" * 32
FEEDBACK = {"learner_id": "ana", "item_id": "calm", "feedback": "saved"}


@pytest.fixture
def signing(settings: Settings, store: EventStore) -> Iterator[TestClient]:
    with serving(settings, SECRET) as opened:
        yield opened


@contextmanager
def serving(settings: Settings, text: str) -> Iterator[TestClient]:
    """A service that signs with this secret."""
    service.pages.runtime = Runtime(settings.model_copy(update=secret(text)), clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi()) as opened:
        yield opened


def secret(text: str) -> dict[str, Any]:
    return {"token_secret": Settings(token_secret=text).token_secret}  # type: ignore[arg-type]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def key(store: EventStore, *scopes: Scope, **more: Any) -> NewKey:
    return store.keys().add(more.pop("tenant", TENANT), "lms", scopes, at=NOW - timedelta(days=1), **more)


def token(client: TestClient, given: NewKey, learner: str = "ana", **more: Any) -> dict[str, str]:
    answer = client.post(PATH, json={"learner_id": learner, **more}, headers=bearer(given.text))
    assert answer.status_code == 200, answer.text
    return bearer(answer.json()["token"])


def test_a_key_gives_a_token_for_one_learner(signing: TestClient, store: EventStore) -> None:
    made = key(store, Scope.RANK)
    answer = signing.post(PATH, json={"learner_id": "ana"}, headers=bearer(made.text))
    body = answer.json()
    assert (answer.status_code, body["learner_id"], body["scopes"]) == (200, "ana", ["rank"])
    assert body["expires_at"] == (NOW + timedelta(minutes=15)).isoformat().replace("+00:00", "Z")
    assert answer.headers["cache-control"] == "no-store"


def test_a_token_asks_for_its_learner_and_says_what_they_say(signing: TestClient, store: EventStore) -> None:
    with_token = token(signing, key(store, Scope.RANK, Scope.INGEST))
    asked = [
        signing.post("/v1/recommendations", json={"learner_id": "ana"}, headers=with_token),
        signing.post("/v1/rank", json={"learner_id": "ana", "candidates": ["calm"]}, headers=with_token),
        signing.get("/v1/learners/ana/skills", headers=with_token),
        signing.get("/v1/learners/ana/gaps", headers=with_token),
        signing.post("/v1/feedback", json=FEEDBACK, headers=with_token),
    ]
    assert [answer.status_code for answer in asked] == [200] * 5
    assert [one.object_id for one in store.tenant(TENANT).history("ana")] == ["calm"]


@pytest.mark.parametrize("other", ["ben", "", "ANA", "ana ", ["ana"], None, 1, {"ana": 1}])
def test_anybody_else_is_refused_by_name(signing: TestClient, store: EventStore, other: Any) -> None:
    with_token = token(signing, key(store, Scope.RANK, Scope.INGEST))
    for path, more in (("recommendations", {}), ("rank", {"candidates": ["calm"]}), ("feedback", FEEDBACK)):
        answer = signing.post(f"/v1/{path}", json={**more, "learner_id": other}, headers=with_token)
        assert (answer.status_code, answer.json()["field"]) == (403, "learner_id"), path
    assert store.tenant(TENANT).history("ben") == []


def test_anybody_else_in_the_path_is_refused_by_name(signing: TestClient, store: EventStore) -> None:
    with_token = token(signing, key(store, Scope.RANK))
    for name in ("ben", "nobody", "ana/skills", "ana%2Fskills", "ana%00", "%61na%20"):
        for what in ("skills", "gaps"):
            answer = signing.get(f"/v1/learners/{name}/{what}", headers=with_token)
            assert (answer.status_code, answer.json()["field"]) == (403, "learner_id"), name
    assert signing.get("/v1/learners/%61na/skills", headers=with_token).status_code == 200  # the same id, encoded


@pytest.mark.parametrize("body", [b"[]", b"null", b'"ana"', b"{}", b'[{"learner_id": "ana"}]'])
def test_a_body_that_names_nobody_is_refused(signing: TestClient, store: EventStore, body: bytes) -> None:
    with_token = token(signing, key(store, Scope.RANK, Scope.INGEST)) | {"Content-Type": "application/json"}
    for path in ("recommendations", "rank", "feedback"):
        assert signing.post(f"/v1/{path}", content=body, headers=with_token).status_code == 403


def test_a_name_that_stands_twice_is_refused(signing: TestClient, store: EventStore) -> None:
    with_token = token(signing, key(store, Scope.RANK)) | {"Content-Type": "application/json"}
    for first, second in (("ana", "ben"), ("ben", "ana")):
        body = f'{{"learner_id": "{first}", "learner_id": "{second}"}}'
        assert signing.post("/v1/recommendations", content=body, headers=with_token).status_code == 400


def test_no_other_route_opens_to_any_token(signing: TestClient, store: EventStore) -> None:
    with_token = token(signing, key(store, Scope.ADMIN))
    service.pages.runtime.token_rates = Rates(0)
    routes = [route for route in service.pages.app.routes if isinstance(route, Route)]
    tried = 0
    for path, methods in [*((route.path, route.methods or set()) for route in routes), *((api, {"POST"}) for api in APIS)]:
        plain = path.replace(":path}", "}")
        if not path.startswith(KEYED_PATHS) or path in OPEN_PATHS:
            continue
        for method in methods - token_methods(plain):
            answer = signing.request(method, plain.replace("{", "").replace("}", ""), headers=with_token)
            assert answer.status_code == 403, (method, path)
            tried += 1
    assert tried > 25
    assert signing.delete("/v1/learners/ana", headers=with_token).status_code == 403
    assert signing.post(PATH, json={"learner_id": "ana"}, headers=with_token).status_code == 403  # no token gives tokens


def test_a_token_is_good_for_its_scopes_only(signing: TestClient, store: EventStore) -> None:
    made = key(store, Scope.RANK, Scope.INGEST)
    rank, say = (token(signing, made, scopes=[scope]) for scope in ("rank", "feedback"))
    answers = [
        [signing.get("/v1/learners/ana/skills", headers=one), signing.post("/v1/feedback", json=FEEDBACK, headers=one)]
        for one in (rank, say)
    ]
    assert [[one.status_code for one in pair] for pair in answers] == [[200, 403], [403, 200]]
    assert "lacks the scope `feedback`" in answers[0][1].json()["detail"]


def test_no_key_gives_what_it_has_not(signing: TestClient, store: EventStore) -> None:
    rank, ingest = key(store, Scope.RANK), key(store, Scope.INGEST)
    refused = signing.post(PATH, json={"learner_id": "ana", "scopes": ["feedback"]}, headers=bearer(rank.text))
    assert (refused.status_code, refused.json()["field"]) == (403, "scopes")
    assert signing.post(PATH, json={"learner_id": "ana"}, headers=bearer(ingest.text)).status_code == 403
    with_token = token(signing, rank)
    assert signing.post("/v1/feedback", json=FEEDBACK, headers=with_token).status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "learner_id"),
        ({"learner_id": ""}, "learner_id"),
        ({"learner_id": "ana", "ttl_s": 0}, "ttl_s"),
        ({"learner_id": "ana", "ttl_s": 3601}, "ttl_s"),
        ({"learner_id": "ana", "ttl_s": "60"}, "ttl_s"),
        ({"learner_id": "ana", "ttl_s": True}, "ttl_s"),
        ({"learner_id": "ana", "scopes": []}, "scopes"),
        ({"learner_id": "ana", "scopes": ["admin"]}, "scopes.0"),
        ({"learner_id": "ana", "tenant": "other"}, "tenant"),
        ([], "body"),
    ],
)
def test_a_wrong_wish_is_refused_by_its_field(signing: TestClient, store: EventStore, body: Any, field: str) -> None:
    answer = signing.post(PATH, json=body, headers=bearer(key(store, Scope.RANK).text))
    assert (answer.status_code, answer.json().get("field")) == (400, field)


def test_a_token_ends(signing: TestClient, store: EventStore) -> None:
    with_token = token(signing, key(store, Scope.RANK), ttl_s=60)
    service.pages.runtime.keys._clock = lambda: NOW + timedelta(seconds=59)
    assert signing.get("/v1/learners/ana/skills", headers=with_token).status_code == 200
    service.pages.runtime.keys._clock = lambda: NOW + timedelta(seconds=60)
    answer = signing.get("/v1/learners/ana/skills", headers=with_token)
    assert (answer.status_code, "has expired" in answer.json()["detail"]) == (401, True)
    assert 'nextwise_refused_total{reason="expired_token"} 1.0' in signing.get("/metrics").text


def test_a_token_of_a_revoked_key_opens_nothing(
    signing: TestClient, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looked_module, "TTL_S", 0.0)
    made = key(store, Scope.RANK)
    with_token = token(signing, made)
    assert signing.get("/v1/learners/ana/skills", headers=with_token).status_code == 200
    store.keys().revoke(made.key.key_id, at=NOW)
    answer = signing.get("/v1/learners/ana/skills", headers=with_token)
    assert (answer.status_code, "key that gave this token" in answer.json()["detail"]) == (401, True)


def test_each_tenants_token_opens_its_own_tenant(signing: TestClient, store: EventStore) -> None:
    ours, theirs = key(store, Scope.RANK, Scope.INGEST), key(store, Scope.RANK, Scope.INGEST, tenant="other")
    for made in (ours, theirs):
        given = signing.post("/v1/feedback", json={**FEEDBACK, "event_id": "f1"}, headers=token(signing, made))
        assert given.json()["outcome"] == "accepted"
    assert [len(store.tenant(name).history("ana")) for name in (TENANT, "other")] == [1, 1]


def test_every_replica_with_the_secret_reads_it_and_no_other(store: EventStore, settings: Settings) -> None:
    with serving(settings, SECRET) as first:
        with_token = token(first, key(store, Scope.RANK))
    for text, status in ((SECRET, 200), ("t" * 32, 401)):
        with serving(settings, text) as replica:
            answer = replica.get("/v1/learners/ana/skills", headers=with_token)
        assert answer.status_code == status
        assert status == 200 or answer.headers["www-authenticate"].startswith("Bearer")


def test_without_a_secret_the_route_says_what_to_set(client: TestClient) -> None:
    answer = client.post(PATH, json={"learner_id": "ana"})
    assert (answer.status_code, "NEXTWISE_TOKEN_SECRET" in answer.json()["detail"]) == (409, True)


def test_a_page_takes_no_id_of_an_event_from_the_host(signing: TestClient, store: EventStore) -> None:
    """Else it could keep the host's next events out, or ask which ids there are."""
    made = key(store, Scope.RANK, Scope.INGEST)
    event = {"learner_id": "ben", "verb": "completed", "object_id": "calm", "occurred_at": "2026-05-31T09:00:00Z"}
    signing.post("/v1/events", json={**event, "event_id": "7001"}, headers=bearer(made.text))
    with_token = token(signing, made)
    said = [signing.post("/v1/feedback", json={**FEEDBACK, "event_id": "7001"}, headers=with_token) for _ in range(2)]
    assert [one.json()["outcome"] for one in said] == ["accepted", "duplicate"]
    assert len({one.json()["event_id"] for one in said}) == 1
    again = signing.post("/v1/events", json={**event, "event_id": "7002"}, headers=bearer(made.text))
    assert again.json()["accepted"] == 1


def test_a_token_is_told_of_and_names_nobody(signing: TestClient, store: EventStore) -> None:
    made = key(store, Scope.RANK)
    token(signing, made, ttl_s=60)
    row = list(store.tenant(TENANT).audit())[-1]
    assert (row.action, row.by, json.loads(row.details)) == (
        "token issued",
        made.key.key_id,
        {"ttl_s": 60, "scopes": ["rank"]},
    )
    assert [one.seq for one in store.tenant(TENANT).audit(learner_id="ana")] == [row.seq]


def test_no_token_is_given_that_cannot_be_told_of(signing: TestClient, store: EventStore) -> None:
    made = key(store, Scope.RANK)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE audit")
    assert signing.post(PATH, json={"learner_id": "ana"}, headers=bearer(made.text)).status_code == 503


def test_a_page_uses_up_nothing_of_its_key(settings: Settings, store: EventStore) -> None:
    made = key(store, Scope.RANK)
    with serving(settings, SECRET) as client:
        ana, ben = token(client, made), token(client, made, "ben")
        answers = [client.get("/v1/learners/ana/skills", headers=ana) for _ in range(60)]
        refused = [one for one in answers if one.status_code == 429]
        assert refused
        assert "with this token" in refused[0].json()["detail"]
        assert client.get("/v1/learners/ben/skills", headers=ben).status_code == 200
        assert client.get("/v1/learners/ana/skills", headers=bearer(made.text)).status_code == 200


def test_the_client_asks_for_one(signing: TestClient, store: EventStore) -> None:
    nextwise = Client("", key(store, Scope.RANK).text, http=signing)
    given = nextwise.token(TokenRequest(learner_id="ana", ttl_s=60))
    assert Client("", given.token, http=signing).skills("ana").learner_id == "ana"
    with pytest.raises(ProblemError, match="403"):
        Client("", given.token, http=signing).skills("ben")
