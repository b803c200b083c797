"""More than the service can do, and a store that does not answer at all: who waits is told when to come again."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from acme import KEY, NOW
from running import RECOMMEND
from starlette.testclient import TestClient

from features.store import EventStore
from serving import middleware, service
from serving import runtime as runtime_module
from serving.runtime import Runtime
from serving.settings import Settings


@pytest.fixture
def client(settings: Settings, store: EventStore) -> Iterator[TestClient]:
    service.pages.runtime = Runtime(settings, clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def test_more_requests_at_once_than_are_worked_at_are_told_when_to_come_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "MOST_AT_ONCE", 3)
    gate, begun = threading.Event(), list[int]()
    whole = service.pages.runtime._storage.read

    def slowly(work: Callable[[EventStore], Any]) -> Any:
        begun.append(1)
        gate.wait(5)
        return whole(work)

    monkeypatch.setattr(service.pages.runtime._storage, "read", slowly)

    async def flood() -> list[httpx.Response]:
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://host", headers=KEY) as asking:
            waiting = [asyncio.create_task(asking.get("/v1/items/calm")) for _ in range(3)]
            await asyncio.sleep(0.1)
            late = [await asking.post(RECOMMEND, json={"learner_id": "ana"}) for _ in range(2)]
            live = await asking.get("/livez")
            gate.set()
            first = await asyncio.gather(*waiting)
            return [*first, live, await asking.post(RECOMMEND, json={"learner_id": "ana"}), *late]

    *answered, late, later = client.portal.call(flood)  # type: ignore[union-attr]
    assert [one.status_code for one in answered] == [200] * 5
    assert [(one.status_code, one.headers["retry-after"]) for one in (late, later)] == [(503, "1")] * 2
    assert "at once" in late.json()["detail"]
    assert 'nextwise_refused_total{reason="at_once"} 2.0' in client.get("/metrics").text


def test_a_store_that_never_answers_is_not_waited_for(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "READ_S", 0.2)
    gate = threading.Event()
    monkeypatch.setattr(service.pages.runtime._storage, "read", lambda work: gate.wait(10))
    try:
        answer = client.get("/v1/items/calm")
        nudge = client.post("/v1/nudge", json={"learner_id": "ana", "channel": "slack"})
        assert client.get("/livez").status_code == 200
    finally:
        gate.set()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "0.2 s" in answer.json()["detail"]
    assert (nudge.status_code, nudge.json()["withheld"]) == (200, "history_unavailable")


def test_a_server_that_vanished_from_the_network_is_noticed(postgresql_url: str) -> None:
    """Without a word from it the system itself would wait for a quarter of an hour."""
    store = EventStore.open(postgresql_url)
    with store.engine.connect() as connection:
        said = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    store.close()
    wanted = {"tcp_user_timeout": "10000", "keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3"}
    assert wanted.items() <= said.items()
