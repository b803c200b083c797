"""Rates: a burst, then a steady rate, each key for itself; over HTTP a 429 that says when to come again."""

from collections.abc import Iterator

import pytest
from acme import KEY, NOW, TENANT
from starlette.testclient import TestClient

from features.keys import Scope
from features.store import EventStore
from serving import rates
from serving.rates import Rates
from serving.runtime import Runtime
from serving.settings import Settings


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_and_then_the_rate_and_each_name_for_itself() -> None:
    clock = Clock()
    found = Rates(10, burst_s=2, timer=clock)
    assert [found.take("a") for _ in range(20)] == [0.0] * 20
    assert found.take("a") == pytest.approx(0.1)
    assert found.take("b") == 0
    clock.now = 0.25
    assert [found.take("a") for _ in range(2)] == [0.0] * 2
    assert found.take("a") == pytest.approx(0.05)
    clock.now = 1_000
    assert [found.take("a") for _ in range(20)] == [0.0] * 20
    assert found.take("a") > 0


def test_without_a_rate_there_is_no_limit_and_slower_than_one_a_second_works() -> None:
    assert all(Rates(0).take("a") == 0 for _ in range(10_000))
    clock = Clock()
    slow = Rates(0.1, timer=clock)
    assert (slow.take("a"), slow.take("a")) == (0, 10)


def test_it_remembers_no_more_names_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_REMEMBERED", 3)
    clock = Clock()
    found = Rates(1, burst_s=1, timer=clock)
    for name in ("a", "b", "c", "d"):
        found.take(name)
    assert found.take("d") > 0
    assert found.take("a") == 0  # forgotten, and so with a full bucket


@pytest.fixture
def limited(settings: Settings, store: EventStore) -> Iterator[TestClient]:
    from serving import service

    service.pages.runtime = Runtime(settings.model_copy(update={"rate_per_s": 2.0}), clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def test_too_many_requests_are_told_when_to_come_again(limited: TestClient, store: EventStore) -> None:
    answers = [limited.get("/v1/ingest/health") for _ in range(8)]
    refused = [one for one in answers if one.status_code == 429]
    assert 1 <= len(refused) <= 5
    assert refused[0].headers["content-type"] == "application/problem+json"
    assert int(refused[0].headers["retry-after"]) >= 1
    assert 'nextwise_refused_total{reason="rate"}' in limited.get("/metrics").text  # needs no key
    other = store.keys().add(TENANT, "other", [Scope.INGEST], at=NOW)
    assert limited.get("/v1/ingest/health", headers={"Authorization": f"Bearer {other.text}"}).status_code == 200
