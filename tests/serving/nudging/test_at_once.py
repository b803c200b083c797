"""Requests that come at once, on both databases: hours lie between one nudge and the next, whichever channel asks first."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import KEY, NOW, TENANT, Clock
from starlette.testclient import TestClient

from features.catalogue import Assignment
from features.nudges import Channel
from features.store import EventStore
from serving import service
from serving.runtime import Runtime
from serving.settings import Settings

HOUR = timedelta(hours=1)


@pytest.fixture
def settings(settings: Settings, store_url: str, tmp_path: Path) -> Settings:
    (tmp_path / "policy.toml").write_text("[nudges]\nholdout = 0\nfloor = 0.000001\n")
    return settings.model_copy(update={"store": store_url, "policy": tmp_path / "policy.toml"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(settings: Settings, store: EventStore, clock: Clock) -> Iterator[TestClient]:
    duties = [Assignment(id=f"d{n}", item_id="safe", learner_id="ana", due_at=NOW + 24 * HOUR) for n in range(16)]
    store.tenant(TENANT).put(duties, at=NOW - HOUR)
    service.pages.runtime = Runtime(settings, clock=clock)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def test_of_many_requests_one_speaks_and_the_next_hours_later(client: TestClient, store: EventStore, clock: Clock) -> None:
    def said(channel: Channel = Channel.PUSH) -> dict[str, Any]:
        answer = client.post("/v1/nudge", json={"learner_id": "ana", "channel": channel.value})
        found: dict[str, Any] = answer.json()
        return found

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(said, [*Channel] * 3))
    assert [one["arm"] for one in answers].count("deadline") == 1
    silent = [one for one in answers if one["arm"] == "nothing"]
    assert {(one["withheld"], one["next_allowed_at"]) for one in silent} == {("too_soon", "2026-06-01T16:00:00Z")}
    assert len(store.tenant(TENANT).nudges("ana", since=NOW - HOUR)) == 1
    clock.now = NOW + 4 * HOUR - timedelta(microseconds=1)
    assert said()["withheld"] == "too_soon"
    clock.now = NOW + 4 * HOUR
    assert said()["arm"] == "deadline"
