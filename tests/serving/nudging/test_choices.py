"""A page of settings: what holds about nudges, what a learner chooses, and that the next nudge knows it; on both databases."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import KEY, NOW, TENANT, Clock
from starlette.testclient import TestClient

from features.catalogue import Assignment, Learner
from features.nudges import Choice
from features.store import EventStore
from serving import service
from serving.client import Client
from serving.nudging.payloads import NudgeChoiceIn
from serving.runtime import Runtime, StoreDownError
from serving.settings import Settings

DAY = timedelta(days=1)
PATH = "/v1/learners/ana/nudges"
POLICY = "[nudges]\nholdout = 0\nfloor = 0.000001\nleast_hours_between = 0\n"
TOMORROW = (NOW + DAY).isoformat().replace("+00:00", "Z")


@pytest.fixture
def settings(settings: Settings, store_url: str, tmp_path: Path) -> Settings:
    (tmp_path / "policy.toml").write_text(POLICY)
    more = {"store": store_url, "policy": tmp_path / "policy.toml", "token_secret": "a secret of forty letters, for tokens too"}
    return Settings(**(settings.model_dump(exclude_none=True) | more))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(settings: Settings, store: EventStore, clock: Clock) -> Iterator[TestClient]:
    duties = [Assignment(id=f"d{n}", item_id="safe", learner_id="ana", due_at=NOW + 3 * DAY) for n in range(9)]
    store.tenant(TENANT).put([*duties, Learner(id="ana", aliases=("mailto:ana@acme.example",))], at=NOW - DAY)
    service.pages.runtime = Runtime(settings, clock=clock)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def choose(client: TestClient, choice: str, path: str = PATH, **more: Any) -> dict[str, Any]:
    answer = client.put(path, json={"choice": choice, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert client.get(path).json() == found
    return {name: found[name] for name in ("state", "until")}


def said(client: TestClient) -> tuple[str, str | None]:
    answer = client.post("/v1/nudge", json={"learner_id": "ana", "channel": "push"}).json()
    return answer["arm"], answer["withheld"]


def test_after_a_stop_nothing_is_said_and_after_a_resume_it_is(client: TestClient) -> None:
    assert client.get(PATH).json() == {"learner_id": "ana", "at": "2026-06-01T12:00:00Z", "state": "on", "until": None}
    assert said(client) == ("deadline", None)
    assert choose(client, "stop") == {"state": "stopped", "until": None}
    assert said(client) == ("nothing", "stopped")
    assert choose(client, "resume") == {"state": "on", "until": None}
    assert said(client) == ("deadline", None)


def test_a_snooze_ends_by_itself_by_a_resume_and_never_a_stop(client: TestClient, clock: Clock) -> None:
    assert choose(client, "snooze", until=TOMORROW) == {"state": "snoozed", "until": TOMORROW}
    assert said(client) == ("nothing", "snoozed")
    clock.now = NOW + DAY
    assert client.get(PATH).json()["state"] == "on"
    assert said(client) == ("deadline", None)
    later = (NOW + 2 * DAY).isoformat()
    assert choose(client, "snooze", until=later)["state"] == "snoozed"
    assert choose(client, "resume")["state"] == "on"
    choose(client, "stop")
    assert choose(client, "snooze", until=later) == {"state": "stopped", "until": None}


def test_what_holds_already_is_stored_once(client: TestClient, store: EventStore) -> None:
    def stored() -> list[Choice]:
        return [one.choice for one in store.tenant(TENANT).nudge_choices("ana")]

    for choice, more in (("resume", {}), ("stop", {}), ("stop", {}), ("resume", {}), ("resume", {})):
        choose(client, choice, **more)
    assert stored() == [Choice.STOP, Choice.RESUME]
    for until in (TOMORROW, TOMORROW, (NOW + 2 * DAY).isoformat()):
        choose(client, "snooze", until=until)
    assert stored()[2:] == [Choice.SNOOZE] * 2


def test_a_resume_holds_after_a_stop_of_the_same_moment_or_a_later_one(client: TestClient, clock: Clock) -> None:
    choose(client, "stop")
    clock.now = NOW - DAY / 24
    assert choose(client, "resume")["state"] == "on"
    assert said(client)[1] is None


def test_it_is_one_person_by_whichever_name_and_nobody_else(client: TestClient) -> None:
    choose(client, "stop", "/v1/learners/mailto:ana@acme.example/nudges")
    states = {name: client.get(f"/v1/learners/{name}/nudges").json()["state"] for name in ("ana", "ben", "nobody")}
    assert states == {"ana": "stopped", "ben": "on", "nobody": "on"}


def test_a_learners_own_token_opens_it_for_them_alone(client: TestClient) -> None:
    own = {"Authorization": f"Bearer {client.post('/v1/tokens', json={'learner_id': 'ana'}).json()['token']}"}
    assert client.put(PATH, json={"choice": "stop"}, headers=own).json()["state"] == "stopped"
    assert client.get(PATH, headers=own).json()["state"] == "stopped"
    for method in ("GET", "PUT"):
        answer = client.request(method, "/v1/learners/ben/nudges", json={"choice": "stop"}, headers=own)
        assert (answer.status_code, answer.json()["field"]) == (403, "learner_id")
    asked = {"learner_id": "ana", "scopes": ["rank"]}
    looks = {"Authorization": f"Bearer {client.post('/v1/tokens', json=asked).json()['token']}"}
    assert client.get(PATH, headers=looks).status_code == 200
    assert client.put(PATH, json={"choice": "resume"}, headers=looks).status_code == 403


def test_no_token_asks_for_a_nudge_for_that_would_use_up_the_budget(client: TestClient) -> None:
    own = {"Authorization": f"Bearer {client.post('/v1/tokens', json={'learner_id': 'ana'}).json()['token']}"}
    answer = client.post("/v1/nudge", json={"learner_id": "ana", "channel": "push"}, headers=own)
    assert (answer.status_code, answer.json()["field"]) == (403, "authorization")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"choice": "pause"}, "choice"),
        ({}, "choice"),
        ({"choice": "snooze"}, "until"),
        ({"choice": "stop", "until": TOMORROW}, "until"),
        ({"choice": "snooze", "until": NOW.isoformat()}, "until"),
        ({"choice": "snooze", "until": (NOW + 367 * DAY).isoformat()}, "until"),
        ({"choice": "snooze", "until": "2026-06-02T12:00:00"}, "until"),
        ({"choice": "stop", "learner_id": "ben"}, "learner_id"),
    ],
)
def test_a_wrong_choice_names_its_field_and_changes_nothing(client: TestClient, body: dict[str, Any], field: str) -> None:
    answer = client.put(PATH, json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert client.get(PATH).json()["state"] == "on"


def test_a_choice_is_gone_with_the_person(client: TestClient) -> None:
    choose(client, "stop")
    assert client.delete("/v1/learners/ana").status_code == 204
    assert client.get(PATH).json()["state"] == "on"


def test_while_the_store_is_down_nobody_is_told_that_it_was_stored(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*asked: object, **how: object) -> None:
        raise StoreDownError("the store is down")

    for name in ("beside", "write"):
        monkeypatch.setattr(service.pages.runtime, name, down)
    assert [client.get(PATH).status_code, client.put(PATH, json={"choice": "stop"}).status_code] == [503, 503]


def test_the_client_chooses_as_a_host_does(client: TestClient) -> None:
    with Client("http://service", "test-key", http=client) as nextwise:
        assert nextwise.choose_nudges("ana", NudgeChoiceIn(choice=Choice.SNOOZE, until=NOW + DAY)).until == NOW + DAY
        assert nextwise.nudges("ana").state == "snoozed"
