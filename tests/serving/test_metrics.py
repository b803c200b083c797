"""What the service counts: by class of status, in queues, on the disk, and over workers of which one has died."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from acme import NOW, TENANT
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, request_response
from starlette.testclient import TestClient

from features.decisions import Decision
from serving import middleware, service
from serving.bundles import Bundles
from serving.metrics import Metrics
from serving.middleware import TIME_OUT

ROOT = Path(__file__).parents[2]
RECOMMEND, EVENTS, NUDGE = "/v1/recommendations", "/v1/events", "/v1/nudge"
EVENT = {"event_id": "e1", "learner_id": "ana", "verb": "completed", "object_id": "calm", "occurred_at": NOW.isoformat()}


def value(client: TestClient, name: str, **labels: str) -> float:
    """Of one sample; 0 where there is none."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    found = [one.value for family in families for one in family.samples if one.name == name and one.labels == labels]
    return found[0] if found else 0.0


def test_answers_are_timed_by_route_and_class_of_status(client: TestClient) -> None:
    for body in ({"learner_id": "ana"}, {"learner_id": "ana"}, {}):
        client.post(RECOMMEND, json=body)
    name = "nextwise_request_seconds_count"
    assert value(client, name, **{"route": RECOMMEND, "class": "2xx"}) == 2
    assert value(client, name, **{"route": RECOMMEND, "class": "4xx"}) == 1


def test_reading_and_recording_are_stages_too(client: TestClient) -> None:
    client.post(RECOMMEND, json={"learner_id": "ana"})
    for stage in ("read", "hydrate", "retrieve", "filter", "score", "rerank", "record"):
        assert value(client, "nextwise_stage_seconds_count", stage=stage) == 1


def test_a_group_of_events_is_timed_until_rankings_know_it(client: TestClient) -> None:
    client.post(EVENTS, json=[EVENT, EVENT | {"event_id": "e2"}])
    assert value(client, "nextwise_event_known_seconds_count") == 1
    assert value(client, "nextwise_event_lag_seconds_count") == 2


def test_statements_are_timed_as_well(client: TestClient) -> None:
    statement = {
        "actor": {"mbox": "mailto:ana@acme.example"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
        "object": {"id": "https://lms.acme.example/calm"},
    }
    client.post("/xapi/statements", json=statement, headers={"X-Experience-API-Version": "1.0.3"})
    assert value(client, "nextwise_event_known_seconds_count") == 1


def test_nudges_are_counted_by_arm_and_by_what_withheld_them(client: TestClient) -> None:
    answer = client.post(NUDGE, json={"learner_id": "nobody", "channel": "push"}).json()
    assert answer["arm"] == "nothing"
    assert value(client, "nextwise_nudges_total", arm="nothing", withheld=answer["withheld"] or "no") == 1


def test_what_is_at_work_is_counted_until_it_ends_though_nobody_waits_any_more(client: TestClient) -> None:
    runtime, begun, ended = service.pages.runtime, threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        ended.wait(10)

    async def hangs() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(runtime._in(runtime._reports, work), 0.05)

    assert client.portal is not None
    client.portal.call(hangs)
    assert begun.is_set()
    assert value(client, "nextwise_waiting", queue="reports") == 1
    ended.set()
    runtime._reports.submit(lambda: None).result()
    assert value(client, "nextwise_waiting", queue="reports") == 0


def test_the_request_that_asks_is_in_progress(client: TestClient) -> None:
    assert value(client, "nextwise_requests_in_progress") == 1
    assert value(client, "nextwise_workers") == 1


def test_decisions_that_wait_for_the_store_are_seen(tmp_path: Path) -> None:
    metrics = Metrics(Bundles(tmp_path), tmp_path / "spool")
    assert "nextwise_spool_files 0.0" in metrics.render().decode()
    (tmp_path / "spool").mkdir()
    for name in ("decisions-1-a.jsonl", "decisions-2-b.jsonl"):
        (tmp_path / "spool" / name).write_bytes(b"x" * 50)
    text = metrics.render().decode()
    assert "nextwise_spool_files 2.0" in text
    assert "nextwise_spool_bytes 100.0" in text


WORKERS = """
import os, sys
from pathlib import Path
from serving.bundles import Bundles
from serving.metrics import Metrics
from serving.middleware import TIME_OUT

folder = Path(sys.argv[1])
metrics = Metrics(Bundles(folder), folder, str(folder))
child = os.fork()
metrics.workers.set(1)
metrics.waiting.labels("reports").inc(5 if child == 0 else 1)
metrics.answered("/v1/rank", 200, 0.01)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
sys.stdout.write(metrics.render().decode())
"""


def test_workers_are_added_up_and_a_dead_one_has_nothing_in_hand(tmp_path: Path) -> None:
    code = [sys.executable, "-W", "ignore", "-c", WORKERS, str(tmp_path)]
    more = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": "", "OPENBLAS_NUM_THREADS": "1"}
    text = subprocess.run(code, cwd=ROOT, env=more, capture_output=True, text=True, check=True, timeout=60).stdout
    assert 'nextwise_requests_total{route="/v1/rank",status="200"} 2.0' in text
    assert 'nextwise_request_seconds_count{class="2xx",route="/v1/rank"} 2.0' in text
    assert "nextwise_workers 1.0" in text
    assert 'nextwise_waiting{queue="reports"} 1.0' in text


@pytest.fixture
def bento_patience(client: TestClient) -> Any:
    """BentoML's layer around the front door that gives a request up."""
    client.get("/livez")
    layer: Any = client.app
    while not isinstance(layer, TimeoutMiddleware):
        layer = getattr(layer, "middleware_stack", None) or layer.app
    return layer


async def hangs(*_: Any) -> None:
    await asyncio.sleep(60)


def test_a_request_that_bentoml_gave_up_is_counted(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, bento_patience: Any
) -> None:
    """It answers in our place, and cancels us."""
    monkeypatch.setattr(bento_patience, "timeout", 0.1)
    monkeypatch.setattr("serving.app.skills.skills", hangs)
    assert client.get("/v1/learners/ana/skills").status_code == TIME_OUT
    assert value(client, "nextwise_requests_total", route="/v1/learners/{learner_id}/skills", status="504") == 1


@pytest.mark.parametrize("route", [RECOMMEND, "/v1/rank", "/v1/explain"])
def test_what_takes_too_long_is_a_problem_and_counted(client: TestClient, monkeypatch: pytest.MonkeyPatch, route: str) -> None:
    """BentoML's 504 was `{"error": ...}` without `Retry-After`: the front door is the first to give up."""
    monkeypatch.setattr(middleware, "PATIENCE_S", 0.1)
    monkeypatch.setattr(service.pages.runtime, "decide", hangs)
    monkeypatch.setattr("serving.app.questions.explain", hangs)
    body = {"learner_id": "ana"} | ({"candidates": ["calm"]} if route == "/v1/rank" else {})
    answer = client.post(route, json=body | ({"items": ["calm"]} if route == "/v1/explain" else {}))
    assert (answer.status_code, answer.headers["content-type"]) == (TIME_OUT, "application/problem+json")
    assert answer.headers["retry-after"] == "2"
    assert "0.1 s" in answer.json()["detail"]
    assert value(client, "nextwise_requests_total", route=route, status="504") == 1


def test_what_is_on_its_way_is_not_given_up(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow reader of a long answer gets all of it, as from BentoML."""

    async def slowly(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one "
            await asyncio.sleep(0.3)
            yield b"two"

        return StreamingResponse(pieces())

    monkeypatch.setattr(middleware, "PATIENCE_S", 0.1)
    route = next(one for one in service.pages.app.routes if isinstance(one, Route) and one.path == "/livez")
    monkeypatch.setattr(route, "app", request_response(slowly))
    answer = client.get("/livez")
    assert (answer.status_code, answer.text) == (200, "one two")


def test_the_front_door_gives_up_before_bentoml(bento_patience: Any) -> None:
    assert bento_patience.timeout - 1 < middleware.PATIENCE_S < bento_patience.timeout


def test_fallbacks_are_counted_by_name(client: TestClient) -> None:
    decision = Decision.model_validate_json(_decision(client))
    service.pages.runtime.metrics.decided(decision.model_copy(update={"fallback": "model_failed"}))
    assert value(client, "nextwise_fallbacks_total", fallback="model_failed") == 1


def _decision(client: TestClient) -> str:
    client.post(RECOMMEND, json={"learner_id": "ana"})
    store = service.pages.runtime._storage
    ((_, made),) = store.read(lambda opened: list(opened.tenant(TENANT).decisions()))
    return made.model_dump_json()
