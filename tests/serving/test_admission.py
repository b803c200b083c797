"""Keys over HTTP: both ways to send one, what each may do, and what a refused one is told."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import NOW, TENANT, publish
from starlette.routing import Route
from starlette.testclient import TestClient

from features.keys import NewKey, Scope, new_text
from features.store import EventStore, KeyRows
from serving import looked as looked_module
from serving import runtime as runtime_module
from serving import service
from serving.app import APIS
from serving.runtime import Runtime
from serving.scopes import BY_ROUTE, KEYED_PATHS, OPEN_PATHS, scope_of
from serving.settings import Settings

RECOMMEND, RANK, EVENTS, SKILLS = "/v1/recommendations", "/v1/rank", "/v1/events", "/v1/learners/ana/skills"
ASK = {"learner_id": "ana"}
EVENT = {"event_id": "e1", "learner_id": "ana", "verb": "completed", "object_id": "calm", "occurred_at": "2026-05-31T09:00:00Z"}


@pytest.fixture
def keyless(settings: Settings, store: EventStore) -> Iterator[TestClient]:
    """The service without a development key, asked without any key."""
    service.pages.runtime = Runtime(settings.model_copy(update={"dev_key": ""}), clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi()) as opened:
        yield opened


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was read of a key is believed without another look."""
    monkeypatch.setattr(looked_module, "TTL_S", 0.0)
    monkeypatch.setattr(runtime_module, "REST_S", 0.0)


def made(store: EventStore, *scopes: Scope, tenant: str = TENANT, **more: Any) -> NewKey:
    return store.keys().add(tenant, "lms", scopes, at=NOW - timedelta(days=1), **more)


def bearer(key: NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def refused(client: TestClient, reason: str) -> float:
    name = f'nextwise_refused_total{{reason="{reason}"}}'
    found = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_a_stored_key_opens_its_tenant_as_bearer_and_as_basic(keyless: TestClient, store: EventStore) -> None:
    key = made(store, Scope.RANK)
    for headers in (bearer(key), basic(key.key.key_id, key.text), basic(key.text, "")):
        answer = keyless.post(RECOMMEND, json=ASK, headers=headers)
        assert answer.status_code == 200
        assert store.tenant(TENANT).decision(answer.json()["decision_id"]) is not None


def test_two_tenants_keys_lead_to_two_tenants(keyless: TestClient, store: EventStore, settings: Settings) -> None:
    ours, theirs = made(store, Scope.INGEST), made(store, Scope.INGEST, tenant="other")
    for key in (ours, theirs):
        assert keyless.post(EVENTS, json=EVENT, headers=bearer(key)).json()["accepted"] == 1  # none is the other's duplicate
    assert [len(store.tenant(name).history("ana")) for name in (TENANT, "other")] == [1, 1]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        ({"Authorization": f"Bearer nw_abcd2345_{'A' * 43}"}, "unknown"),
        ({"Authorization": "Basic ====="}, "unknown"),
        ({"Authorization": "Bearer nextwise-development-key"}, "unknown"),
    ],
)
def test_who_has_no_key_is_told_both_ways_to_send_one(keyless: TestClient, headers: dict[str, str], reason: str) -> None:
    answer = keyless.post(EVENTS, content=b"not even JSON", headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (401, "authorization")
    assert [part.split()[0] for part in answer.headers["www-authenticate"].split(", ")[:2]] == ["Bearer", "Basic"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert refused(keyless, reason) == 1


@pytest.mark.parametrize("scope", Scope)
def test_each_route_opens_to_its_scope_and_to_admin_only(keyless: TestClient, store: EventStore, scope: Scope) -> None:
    headers = bearer(made(store, scope))
    asked = [
        (RECOMMEND, Scope.RANK, keyless.post(RECOMMEND, json=ASK, headers=headers)),
        (RANK, Scope.RANK, keyless.post(RANK, json={**ASK, "candidates": ["calm"]}, headers=headers)),
        (SKILLS, Scope.RANK, keyless.get(SKILLS, headers=headers)),
        ("gaps", Scope.RANK, keyless.get("/v1/learners/ana/gaps", headers=headers)),
        (EVENTS, Scope.INGEST, keyless.post(EVENTS, json=EVENT, headers=headers)),
        ("health", Scope.INGEST, keyless.get("/v1/ingest/health", headers=headers)),
    ]
    for route, needed, answer in asked:
        assert answer.status_code == (200 if scope in (needed, Scope.ADMIN) else 403), route
        if answer.status_code == 403:
            assert f"lacks the scope `{needed}`" in answer.json()["detail"]
            assert f"keys add ... --scope {needed}" in answer.json()["detail"]
    assert refused(keyless, "scope") == sum(answer.status_code == 403 for _, _, answer in asked)


def test_a_key_that_may_not_is_refused_before_the_body_is_read(keyless: TestClient, store: EventStore) -> None:
    headers = bearer(made(store, Scope.RANK))
    assert keyless.post(EVENTS, content=b"{", headers=headers).status_code == 403
    assert keyless.post("/v1/none", content=b"{", headers=headers).status_code == 404


def test_another_tenants_things_are_refused_by_the_keys_own_scopes_alone(keyless: TestClient, store: EventStore) -> None:
    """The same words whether or not what is asked for exists, and whoever has it."""
    headers = bearer(made(store, Scope.INGEST, tenant="other"))
    answers = [keyless.get(f"/v1/learners/{name}/skills", headers=headers) for name in ("ana", "nobody")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert len({answer.text for answer in answers}) == 1
    assert TENANT not in answers[0].text


def test_an_expired_key_is_told_so(keyless: TestClient, store: EventStore) -> None:
    answer = keyless.post(RECOMMEND, json=ASK, headers=bearer(made(store, Scope.RANK, expires_at=NOW)))
    assert (answer.status_code, "has expired" in answer.json()["detail"]) == (401, True)
    assert refused(keyless, "expired") == 1


@pytest.mark.usefixtures("at_once")
def test_a_revoked_key_opens_nothing_and_is_told_so(keyless: TestClient, store: EventStore) -> None:
    key = made(store, Scope.RANK)
    assert keyless.get(SKILLS, headers=bearer(key)).status_code == 200
    store.keys().revoke(key.key.key_id, at=NOW)
    answer = keyless.get(SKILLS, headers=bearer(key))
    assert (answer.status_code, "was revoked" in answer.json()["detail"]) == (401, True)
    assert refused(keyless, "revoked") == 1


@pytest.mark.usefixtures("at_once")
def test_both_keys_of_a_rotation_open_until_the_old_one_ends(keyless: TestClient, store: EventStore) -> None:
    old = made(store, Scope.RANK)
    new = store.keys().rotate(old.key.key_id, at=NOW)
    assert [keyless.get(SKILLS, headers=bearer(key)).status_code for key in (old, new)] == [200, 200]
    service.pages.runtime.keys._clock = lambda: NOW + timedelta(hours=24)
    assert [keyless.get(SKILLS, headers=bearer(key)).status_code for key in (old, new)] == [401, 200]


@pytest.mark.usefixtures("at_once")
def test_with_the_store_gone_a_known_key_ranks_on_and_an_unknown_one_is_a_503(
    keyless: TestClient, store: EventStore, file: Path
) -> None:
    known, other = made(store, Scope.RANK), made(store, Scope.RANK)
    assert keyless.post(RECOMMEND, json=ASK, headers=bearer(known)).json()["fallback"] is None
    away = file.rename(file.with_name("away.db"))
    answer = keyless.post(RECOMMEND, json=ASK, headers=bearer(known))
    assert (answer.status_code, answer.json()["fallback"]) == (200, "history_unavailable")
    unknown = keyless.post(RECOMMEND, json=ASK, headers=bearer(other))
    assert (unknown.status_code, unknown.headers["retry-after"]) == (503, "2")
    assert keyless.post(RECOMMEND, json=ASK, headers={"Authorization": "Bearer junk"}).status_code == 401
    away.rename(file)
    assert keyless.post(RECOMMEND, json=ASK, headers=bearer(other)).json()["fallback"] is None


def test_a_server_is_asked_in_another_thread(postgresql_url: str, settings: Settings, bundles: Path) -> None:
    there = settings.model_copy(update={"store": postgresql_url, "dev_key": "", "deadline_ms": 5000.0})
    opened = EventStore.open(postgresql_url)
    key = made(opened, Scope.RANK)
    service.pages.runtime = Runtime(there, clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi()) as client:
        assert client.post(RECOMMEND, json=ASK, headers=bearer(key)).json()["fallback"] is None
        assert client.post(RECOMMEND, json=ASK, headers=bearer(replace(key, text=new_text()[1]))).status_code == 401
    opened.close()


def test_a_key_of_a_tenant_without_a_bundle_keeps_nobody_from_being_ready(keyless: TestClient, store: EventStore) -> None:
    key = made(store, Scope.RANK, tenant="other")
    answer = keyless.post(RECOMMEND, json=ASK, headers=bearer(key))
    assert (answer.status_code, "no bundle is loaded for tenant other" in answer.json()["detail"]) == (503, True)
    assert keyless.get("/readyz").status_code == 200


def test_the_development_keys_tenant_must_have_a_bundle(settings: Settings, store: EventStore) -> None:
    publish(settings.bundles, tenant="other")
    service.pages.runtime = Runtime(settings.model_copy(update={"dev_tenant": "third"}), clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi()) as client:
        ready = client.get("/readyz")
    assert (ready.status_code, "development key opens tenant third" in ready.json()["detail"]) == (503, True)


def test_every_keyed_route_says_its_scope() -> None:
    """One that does not needs `admin`; say so in the table when that is meant."""
    mounted = [route.path.replace(":path}", "}") for route in service.pages.app.routes if isinstance(route, Route)]
    keyed = {path for path in (*APIS, *mounted) if path.startswith(KEYED_PATHS)}
    assert keyed - OPEN_PATHS <= set(BY_ROUTE)
    assert scope_of("GET", "/v1/nothing/yet") is Scope.ADMIN
    assert scope_of("DELETE", "/v1/learners/{learner_id}") is Scope.ADMIN
    assert scope_of("GET", "/v1/learners/{learner_id}") is Scope.SYNC


def test_a_flood_of_wrong_keys_is_told_when_to_come_again_and_known_keys_go_on(
    keyless: TestClient, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, looks = made(store, Scope.RANK), []
    assert keyless.get(SKILLS, headers=bearer(key)).status_code == 200
    find = KeyRows.find
    monkeypatch.setattr(KeyRows, "find", lambda rows, key_hash: looks.append(key_hash) or find(rows, key_hash))
    answers = [keyless.get(SKILLS, headers=bearer(replace(key, text=new_text()[1]))) for _ in range(60)]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert len(looks) == sum(answer.status_code == 401 for answer in answers) < 40
    last = answers[-1]
    assert (last.status_code, last.headers["content-type"]) == (429, "application/problem+json")
    assert int(last.headers["retry-after"]) >= 1
    assert keyless.get(SKILLS, headers=bearer(key)).status_code == 200
    assert keyless.get(SKILLS).status_code == 401
    assert refused(keyless, "unknown_rate") == 60 - len(looks)
