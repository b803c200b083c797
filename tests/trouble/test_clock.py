"""The clock of the service goes back by an hour: what was acknowledged before stays known, and no limit opens."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import KEY, NOW, TENANT, Clock
from starlette.testclient import TestClient

from features.catalogue import Assignment
from features.nudges import Choice, NudgeChoice
from features.store import EventStore
from serving import service
from serving.runtime import Runtime
from serving.settings import Settings

HOUR = timedelta(hours=1)
POLICY = "[nudges]\nholdout = 0\nfloor = 0.000001\nweekly_budget = 1\n"
SECRET = "a secret of forty letters, for tokens too"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(settings: Settings, store: EventStore, clock: Clock, tmp_path: Path) -> Iterator[TestClient]:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    more = {"policy": path, "token_secret": SECRET, "public_url": "https://learn.example"}
    service.pages.runtime = Runtime(Settings(**(settings.model_dump(exclude_none=True) | more)), clock=clock)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def ranked(client: TestClient) -> dict[str, Any]:
    answer = client.post("/v1/rank", json={"learner_id": "ana", "candidates": ["calm", "data"]})
    found: dict[str, Any] = answer.json()
    return found


def nudged(client: TestClient, **more: str) -> dict[str, Any]:
    answer = client.post("/v1/nudge", json={"learner_id": "ana", "channel": "json"} | more)
    found: dict[str, Any] = answer.json()
    return found


def test_what_was_acknowledged_before_is_in_the_next_ranking(client: TestClient, store: EventStore, clock: Clock) -> None:
    event = {"event_id": "e1", "learner_id": "ana", "verb": "completed", "object_id": "calm", "occurred_at": NOW.isoformat()}
    assert client.post("/v1/events", json=event).status_code == 200
    clock.now -= HOUR
    answer = ranked(client)
    assert answer["removed"]["finished"] == ["calm"]
    decision = store.tenant(TENANT).decision(answer["decision_id"])
    assert decision is not None
    assert (decision.events_read, decision.decided_at) == (("e1",), NOW)  # never before what it knows


def test_a_changed_row_is_known_and_another_change_says_that_the_clock_went_back(client: TestClient, clock: Clock) -> None:
    assert client.put("/v1/learners", json={"id": "ana", "status": "ended"}).status_code == 200
    clock.now -= HOUR
    assert ranked(client)["removed"] == {"learner_ended": ["calm", "data"]}
    refused = client.put("/v1/learners", json={"id": "ana", "status": "active"})
    assert (refused.status_code, "clock" in refused.json()["detail"]) == (409, True)


def test_the_weekly_budget_stays_spent(client: TestClient, store: EventStore, clock: Clock) -> None:
    duties = [Assignment(id=f"d{n}", item_id="safe", learner_id="ana", due_at=NOW + timedelta(days=1)) for n in range(3)]
    store.tenant(TENANT).put(duties, at=NOW - 2 * HOUR)
    assert nudged(client)["arm"] == "deadline"
    clock.now -= HOUR
    assert nudged(client)["withheld"] == "weekly_budget"


def test_an_opt_out_holds_that_came_after_a_resume_of_the_clock_before(
    client: TestClient, store: EventStore, clock: Clock
) -> None:
    session = store.tenant(TENANT)
    session.put([Assignment(id="d", item_id="safe", learner_id="ana", due_at=NOW + timedelta(days=1))], at=NOW - 2 * HOUR)
    card = nudged(client, format="plain")["card"]
    service.pages.runtime.settings.policy.write_text(POLICY.replace("budget = 1", "budget = 9"))  # type: ignore[union-attr]
    resumed = NudgeChoice(action_id="r", learner_id="ana", choice=Choice.RESUME, occurred_at=NOW, recorded_at=NOW)
    session.choose_nudges(resumed)
    clock.now -= HOUR
    link = next(one["url"] for one in card["actions"] if one["action"] == "stop")
    assert client.post(link.removeprefix("https://learn.example")).status_code == 200
    assert nudged(client)["withheld"] == "stopped"


def test_a_token_ends_no_earlier_and_rates_go_on(client: TestClient, clock: Clock) -> None:
    token = client.post("/v1/tokens", json={"learner_id": "ana", "ttl_s": 60}).json()["token"]
    clock.now -= HOUR
    assert client.get("/v1/learners/ana/skills", headers={"Authorization": f"Bearer {token}"}).status_code in (200, 404)
    clock.now += HOUR + timedelta(seconds=61)
    assert client.get("/v1/learners/ana/skills", headers={"Authorization": f"Bearer {token}"}).status_code == 401
