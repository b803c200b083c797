"""ETags through the whole service: what has not changed is not sent again, and what has is."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from acme import NOW, TENANT, event
from starlette.testclient import TestClient

from features.catalogue import Assignment
from features.store import EventStore
from serving import service
from serving.clock import Clock

BEFORE = quote((NOW - timedelta(hours=1)).isoformat())


@pytest.fixture
def seen(client: TestClient, store: EventStore) -> TestClient:
    store.tenant(TENANT).put([Assignment(id="duty", item_id="safe", learner_id="ana")], at=NOW - timedelta(days=9))
    store.tenant(TENANT).append([event("ana", "completed", "data")])
    return client


def asked(client: TestClient, path: str, tag: str = "") -> Any:
    return client.get(path, headers={"If-None-Match": tag} if tag else {})


STABLE = (
    "/v1/items/calm",
    "/v1/learners/ana",
    f"/v1/learners/ana/skills?at={BEFORE}",
    f"/v1/learners/ana/gaps?at={BEFORE}",
    "/v1/learners/ana/duties",
    "/v1/assignments/duty/report",
)


@pytest.mark.parametrize("path", STABLE)
def test_what_the_caller_has_is_not_sent_again(seen: TestClient, path: str) -> None:
    first = asked(seen, path)
    assert (first.status_code, first.headers["cache-control"]) == (200, "private, no-cache")
    service.pages.runtime.clock = Clock(lambda: NOW + timedelta(minutes=1))
    again = asked(seen, path, first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["cache-control"]) == (first.headers["etag"], "private, no-cache")


@pytest.mark.parametrize("path", STABLE[-2:])
def test_what_happened_since_is_sent(seen: TestClient, store: EventStore, path: str) -> None:
    first = asked(seen, path).headers["etag"]
    assert first.startswith('W/"')  # two answers that say the same were made at different moments
    store.tenant(TENANT).append([event("ana", "completed", "safe", at=NOW - timedelta(minutes=1))])
    assert asked(seen, path, first).status_code == 200


def test_a_changed_row_is_sent(seen: TestClient) -> None:
    first = asked(seen, "/v1/items/calm").headers["etag"]
    assert seen.put("/v1/items", json={"id": "calm", "title": "Calmer calls"}).status_code == 200
    assert asked(seen, "/v1/items/calm", first).status_code == 200


@pytest.mark.parametrize("of", ["skills", "gaps"])
def test_what_fades_has_none(seen: TestClient, of: str) -> None:
    answer = asked(seen, f"/v1/learners/ana/{of}", "*")
    assert (answer.status_code, "etag" in answer.headers) == (200, False)


def test_any_of_several_tags_will_do(seen: TestClient) -> None:
    tag = asked(seen, "/v1/items/calm").headers["etag"]
    assert asked(seen, "/v1/items/calm", f'"x", W/{tag.removeprefix("W/")}').status_code == 304
    assert asked(seen, "/v1/items/calm", "*").status_code == 304
    assert asked(seen, "/v1/items/calm", '"x"').status_code == 200
    assert asked(seen, "/v1/items/nothing", "*").status_code == 404


def test_a_recorded_decision_does_not_change(seen: TestClient) -> None:
    made = seen.post("/v1/recommendations", json={"learner_id": "ana"}).json()["decision_id"]
    tag = asked(seen, f"/v1/decisions/{made}").headers["etag"]
    assert asked(seen, f"/v1/decisions/{made}", tag).status_code == 304
