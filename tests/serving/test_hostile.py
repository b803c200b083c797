"""Whatever is sent anywhere is answered: never a 5xx, each refusal a problem in words, nothing of it in the log as a failure.

Bodies are valid ones with something in them exchanged for something hostile, so that they get past the first check.
"""

import json
import logging
from collections import Counter
from copy import deepcopy
from typing import Any
from urllib.parse import unquote

import pytest
from acme import NOW, TENANT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.testclient import TestClient

from benchmarks.hostile_requests import CALLS, FORGED, Hostile, fault_of, hostile, places, routes
from features.keys import Scope
from features.store import EventStore
from serving.settings import Settings

HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**40, 0.1, -0.0, 1e308]),
    st.sampled_from(
        ["", " ", "\x00", "\n{}", "\u2028", "\U0001f600" * 40, "x" * 300, "a" * 70_000, "'; DROP TABLE events; --"]
    ),
    st.sampled_from(["%00", "../../etc/passwd", "\u202egnp", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "P99999999999D"]),
    st.sampled_from([[], {}, [[]], [{}], {"": None}, {"a": {"a": {"a": [1]}}}]),
    st.text(max_size=20),
)


@st.composite
def attacks(draw: st.DrawFn) -> tuple[str, str, Any]:
    method, path = draw(st.sampled_from(sorted(CALLS)))
    body = deepcopy(CALLS[method, path])
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([place for place in places(body) if place] or [()])) or ("",)
        spot = body
        for step in way:
            spot = spot[step]
        if isinstance(spot, dict) and draw(st.booleans()):
            spot[draw(st.sampled_from(["more", "id", "objectType", "", "\x00", "learner_id"]))] = deepcopy(draw(HOSTILE))
        else:
            spot[last] = deepcopy(draw(HOSTILE))
    return method, path, body


@pytest.fixture(name="settings")
def with_secret(settings: Settings) -> Settings:
    """With a secret, so that tokens are given too."""
    return settings.model_copy(update={"token_secret": SecretStr("a secret of forty letters, for tokens too")})


def test_the_calls_are_right_as_they_are(client: TestClient) -> None:
    headers = {"X-Experience-API-Version": "1.0.3"}
    for (method, path), body in CALLS.items():
        answer = client.request(method, path, json=body, headers=headers)
        if path == "/v1/slates/replay":  # right but for the signature, which only a service can give
            assert answer.status_code == 403
            continue
        assert answer.status_code in (200, 204), f"{method} {path}: {answer.text}"
        results = answer.json().get("results", ()) if answer.content and isinstance(answer.json(), dict) else ()
        assert all(one["outcome"] == "accepted" for one in results), answer.text


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(attack=attacks())
def test_no_body_makes_it_fail(client: TestClient, caplog: pytest.LogCaptureFixture, attack: tuple[str, str, Any]) -> None:
    method, path, body = attack
    headers = {"X-Experience-API-Version": "1.0.3", "Content-Type": "application/json"}
    answer = client.request(method, path, content=json.dumps(body).encode(), headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["detail"]
        assert len(problem["detail"]) < 2_000
        assert problem.get("field") or answer.status_code not in (400, 422), answer.text
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "path", ["/v1/learners/%00/skills", "/v1/learners/%ff/gaps", "/v1/items/%0a", "/v1/%2e%2e/%2e%2e", "/xapi/"]
)
def test_no_path_makes_it_fail(client: TestClient, path: str) -> None:
    for method in ("GET", "PUT", "DELETE", "POST", "PATCH"):
        answer = client.request(method, path, content=b"{}", headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, f"{method} {path}: {answer.text}"


@pytest.mark.parametrize(
    "query", ["at=now", "at=9999-12-31T23:59:59%2B14:00", "at=", "at=a&at=b", "skill=%00", "limit=1e9", "%00=%00"]
)
def test_no_query_makes_it_fail(client: TestClient, query: str) -> None:
    for path in ("/v1/learners/ana/skills", "/v1/learners/ana/gaps", "/xapi/statements", "/v1/ingest/health"):
        answer = client.get(f"{path}?{query}", headers={"X-Experience-API-Version": "1.0.3"})
        assert answer.status_code < 500, f"{path}?{query}: {answer.text}"


FORMS = {("POST", "/nudges/act")}
"""What takes no JSON: see `tests/serving/cards/test_acts.py`."""


def test_every_route_that_takes_a_body_is_called(client: TestClient) -> None:
    taken = {(method, path.partition("?")[0]) for method, path in CALLS} | FORMS
    for path in routes():
        allowed = client.patch(path, content=b"{}", headers={"Content-Type": "application/json"}).headers.get("allow", "")
        assert {(method, path) for method in ("POST", "PUT") if method in allowed} <= taken


async def ask(client: TestClient, one: Hostile) -> tuple[int, str, bytes]:
    """The answer as a server would pass it on, which hands over what no client library would send."""
    path, _, query = one.target.partition("?")
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": ""},
        **{"server": ("nextwise", 80), "client": ("testclient", 1), "state": {}, "method": one.method},
        **{"path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "headers": list(one.headers)},
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": one.body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await client.app(scope, receive, send)
    media = dict(sent[0]["headers"]).get(b"content-type", b"").decode("latin-1")
    return sent[0]["status"], media, b"".join(message.get("body", b"") for message in sent[1:])


def test_whatever_is_sent_to_any_route_is_answered(
    client: TestClient, store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    """`python -m benchmarks.hostile` sends a hundred thousand of these, and looks at memory."""
    assert client.portal is not None
    keys = "test-key", store.keys().add(TENANT, "emitter", [Scope.ADMIN], at=NOW, compat=True).text
    statuses: Counter[int] = Counter()
    for number, one in enumerate(hostile(1, 400, keys=keys, routes=routes())):
        status, media, body = client.portal.call(ask, client, one)
        assert fault_of(one, status, media, body) is None, f"request {number}: {one.method} {one.target}"
        statuses[status] += 1
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert not [line for line in caplog.text.splitlines() if line.startswith(FORGED)]
    assert set(statuses) >= {200, 400, 401, 404, 405, 415}
