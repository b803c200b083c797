"""Whatever is sent anywhere is answered: never a 5xx, each refusal a problem in words, nothing of it in the log as a failure.

Bodies are valid ones with something in them exchanged for something hostile, so that they get past the first check.
"""

import json
import logging
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from acme import NOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

AT = NOW.isoformat()
STATEMENT = {
    "id": "8f87ccde-bb56-4c2e-ab83-44982ef22df0",
    "actor": {"account": {"homePage": "https://lms.example", "name": "ana"}},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/completed", "display": {"en": "did"}},
    "object": {"id": "https://lms.example/1", "definition": {"type": "http://a.example/t", "name": {"en": "One"}}},
    "result": {
        "score": {"raw": 1, "min": 0, "max": 2, "scaled": 0.5},
        "duration": "PT1M",
        "extensions": {"http://a.example/x": 1},
    },
    "context": {"contextActivities": {"parent": [{"id": "https://lms.example"}]}, "language": "en"},
    "timestamp": AT,
}
CALLS: dict[tuple[str, str], Any] = {
    ("POST", "/v1/recommendations"): {"learner_id": "ana", "limit": 3, "exclude": ["calm"], "max_minutes": 9.5, "surface": "x"},
    ("POST", "/v1/rank"): {"learner_id": "ana", "candidates": ["calm", "data"], "types": ["course"], "languages": ["en"]},
    ("POST", "/v1/events"): [
        {
            "event_id": "e",
            "learner_id": "ana",
            "verb": "completed",
            "object_id": "calm",
            "occurred_at": AT,
            "result": {"score": 1},
        }
    ],
    ("POST", "/v1/evidence"): [
        {"event_id": "v", "learner_id": "ana", "skill": "data", "kind": "attested", "by": "ben", "level": 2, "occurred_at": AT}
    ],
    ("POST", "/v1/feedback"): {"learner_id": "ana", "item_id": "calm", "feedback": "later", "until": AT},
    ("POST", "/v1/learners/guest/merge"): {"into": "ben", "occurred_at": AT},
    ("POST", "/xapi/statements"): [STATEMENT],
    ("PUT", "/xapi/statements?statementId=8f87ccde-bb56-4c2e-ab83-44982ef22df0"): STATEMENT,
    ("PUT", "/v1/items"): [{"id": "n", "title": "New", "skills": {"data": 1}, "valid_for": "P1Y", "available_from": AT}],
    ("PUT", "/v1/skills"): [{"id": "s", "name": "S"}],
    ("PUT", "/v1/roles"): [{"id": "r", "name": "R", "expects": {"s": 1}}],
    ("PUT", "/v1/learners"): [{"id": "new", "aliases": ["alias"], "spells": [{"since": AT}], "timezone": "Europe/Paris"}],
    ("PUT", "/v1/assignments"): [{"id": "a", "item_id": "n", "learner_id": "ana", "due_at": AT}],
}
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


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a body."""
    yield path
    parts = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, part in parts:
        yield from places(part, (*path, name))


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


def test_the_calls_are_right_as_they_are(client: TestClient) -> None:
    headers = {"X-Experience-API-Version": "1.0.3"}
    for (method, path), body in CALLS.items():
        answer = client.request(method, path, json=body, headers=headers)
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
