"""The doctor: what it finds in a service that is well, and in each way in which it is not."""

from datetime import datetime, timedelta

import httpx
import pytest
from acme import NOW, TENANT, event
from starlette.testclient import TestClient
from typer.testing import CliRunner

from features.catalogue import Learner
from features.events import Verb
from features.keys import Scope
from features.store import EventStore
from serving import service
from serving.cli import app
from serving.doctor import Finding, examine


def found(http: httpx.Client, key: str = "test-key", *, learner: str | None = None, now: datetime = NOW) -> dict[str, Finding]:
    return {one.check: one for one in examine(http, key, learner=learner, now=lambda: now)}


def test_a_service_that_is_well(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([event("ana", Verb.STARTED, "calm", at=NOW - timedelta(hours=1))])
    seen = found(client, learner="ana", now=NOW)
    assert {name: one.verdict for name, one in seen.items() if one.verdict != "ok"} == {"clock": "look"}  # no server, no Date
    assert set(seen) == {"service", "clock", "ready", "key", "events", "unknown learners", "unknown items", "ranking"}
    assert "learner ana is shown" in seen["ranking"].words


def test_what_should_be_looked_at(client: TestClient) -> None:
    assert found(client)["events"].verdict == "look"
    headers = {"X-Experience-API-Version": "1.0.3"}
    said = {"actor": {"mbox": "mailto:x@lms.example"}, "object": {"id": "https://lms.example/7"}}
    client.post("/xapi/statements", json=[{**said, "verb": {"id": "http://adlnet.gov/expapi/verbs/passed"}}], headers=headers)
    client.post("/xapi/statements", json=[{**said, "verb": {"id": "http://lms.example/flown"}}], headers=headers)
    client.post("/xapi/statements", json=[said], headers=headers)
    seen = found(client, now=NOW + timedelta(hours=30))
    assert "https://lms.example/7" in seen["unknown items"].words
    assert "mailto:x@lms.example" in seen["unknown learners"].words
    assert "verb (1)" in seen["refused"].words
    assert "http://lms.example/flown (1)" in seen["not understood"].words
    assert "30.0 h ago" in seen["events"].words
    assert {one.verdict for name, one in seen.items() if name not in ("service", "ready", "key", "ranking")} == {"look"}


def test_a_wrong_key_and_one_without_the_scope(client: TestClient, store: EventStore) -> None:
    wrong = found(client, "wrong")
    assert (wrong["key"].verdict, wrong["ranking"].verdict) == ("bad", "bad")
    ranks = store.keys().add(TENANT, "ranks", [Scope.RANK], at=NOW)
    half = found(client, ranks.text)
    assert (half["key"].verdict, half["ranking"].verdict) == ("bad", "ok")
    assert "--scope ingest" in half["key"].words


def test_a_store_that_is_down_is_no_fault_of_the_key(client: TestClient) -> None:
    found(client)  # the key is known from now on

    def down(*_: object) -> None:
        raise OSError("the disk is gone")

    storage = service.pages.runtime._storage
    storage.read = storage.write = down  # type: ignore[method-assign, assignment]
    seen = found(client)
    assert (seen["ready"].verdict, seen["key"].verdict, seen["ranking"].verdict) == ("bad", "look", "look")
    assert "the disk is gone" in seen["ready"].words
    assert "while the store is down" in seen["key"].words
    assert "fallback: history_unavailable" in seen["ranking"].words


def test_a_service_that_stops_answering() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/livez":
            return httpx.Response(200)
        raise httpx.ReadTimeout("timed out")

    http = httpx.Client(base_url="http://x.example", transport=httpx.MockTransport(answer))
    last = list(examine(http, "k", learner=None))[-1]
    assert (last.check, last.verdict) == ("service", "bad")
    assert "it stopped answering (ReadTimeout: timed out)" in last.words


def test_somebody_who_may_see_nothing(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).put([Learner(id="gone", status="ended")], at=NOW - timedelta(days=1))
    seen = found(client, learner="gone")
    assert seen["ranking"].verdict == "look"
    assert "PUT /v1/items" in seen["ranking"].words


@pytest.mark.parametrize(("ahead", "verdict"), [(0, "ok"), (90, "look"), (400, "bad"), (-400, "look")])
def test_the_clocks(ahead: int, verdict: str) -> None:
    date = {"Date": "Sun, 01 Mar 2026 12:00:00 GMT"}
    http = httpx.Client(base_url="http://x.example", transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=date)))
    now = datetime.fromisoformat("2026-03-01T12:00:00+00:00") + timedelta(seconds=ahead)
    clock = next(one for one in examine(http, "k", learner=None, now=lambda: now) if one.check == "clock")
    assert clock.verdict == verdict


def test_where_nothing_or_something_else_answers() -> None:
    done = CliRunner().invoke(app, ["doctor", "--url", "http://127.0.0.1:9", "--key", "k"])
    assert done.exit_code == 1
    assert "is the URL right" in done.output
    http = httpx.Client(base_url="http://x.example", transport=httpx.MockTransport(lambda _: httpx.Response(404)))
    (other,) = examine(http, "k", learner=None)
    assert "something else" in other.words
