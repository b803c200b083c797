"""What happens between a decision and its delivery: who delivers asks once more, and is told what is withdrawn."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import KEY, NOW, TENANT, event
from starlette.testclient import TestClient
from test_clock import POLICY, SECRET, Clock

from features.catalogue import Assignment, Item, Learner
from features.events import Verb
from features.store import EventStore, TenantSession
from serving import service
from serving.client import Client
from serving.runtime import Runtime, StoreDownError
from serving.settings import Settings

DAY = timedelta(days=1)
DUTY = Assignment(id="duty", item_id="safe", learner_id="ana", due_at=NOW + 3 * DAY)
PUBLIC = "https://learn.example"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "policy.toml").write_text(POLICY)
    return tmp_path / "policy.toml"


@pytest.fixture
def client(settings: Settings, store: EventStore, clock: Clock, policy: Path) -> Iterator[TestClient]:
    store.tenant(TENANT).put([DUTY], at=NOW - DAY)
    more = {"policy": policy, "token_secret": SECRET, "public_url": PUBLIC}
    service.pages.runtime = Runtime(Settings(**(settings.model_dump(exclude_none=True) | more)), clock=clock)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def nudged(client: TestClient) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/v1/nudge", json={"learner_id": "ana", "channel": "slack", "format": "plain"}).json()
    assert answer["arm"] == "deadline"
    return answer


def checked(client: TestClient, answer: dict[str, Any]) -> dict[str, Any]:
    found = client.get(f"/v1/decisions/{answer['decision_id']}/check")
    assert found.status_code == 200, found.text
    body: dict[str, Any] = found.json()
    return body


def test_what_nothing_happened_to_may_be_sent(client: TestClient) -> None:
    found = checked(client, nudged(client))
    assert (found["withdrawn"], found["reason"], found["kind"]) == (None, None, "nudge")
    assert found["items"] == [{"item_id": "safe", "withdrawn": None}]


def test_a_learner_who_opted_out_after_it_was_decided_gets_it_no_more(client: TestClient) -> None:
    answer = nudged(client)
    link = next(one["url"] for one in answer["card"]["actions"] if one["action"] == "stop")
    assert client.post(link.removeprefix(PUBLIC)).status_code == 200
    found = checked(client, answer)
    assert (found["withdrawn"], found["reason"]) == ("stopped", "The learner wants no nudges")


def test_a_stop_on_a_page_of_settings_withdraws_it_and_a_resume_lets_it_go(client: TestClient) -> None:
    answer = nudged(client)
    for choice, withdrawn in (("stop", "stopped"), ("resume", None)):
        assert client.put("/v1/learners/ana/nudges", json={"choice": choice}).status_code == 200
        assert checked(client, answer)["withdrawn"] == withdrawn


AFTER: dict[str, tuple[Callable[[TenantSession, Clock, Path], object], str]] = {
    "left": (lambda rows, clock, policy: rows.put([Learner(id="ana", status="ended")], at=NOW), "ended"),
    "evening": (lambda rows, clock, policy: setattr(clock, "now", NOW + timedelta(hours=7)), "quiet_hours"),
    "a day later": (lambda rows, clock, policy: setattr(clock, "now", NOW + DAY), "expired"),
    "killed": (lambda rows, clock, policy: policy.write_text(POLICY + 'killed_arms = ["deadline"]\n'), "killed"),
    "done": (lambda rows, clock, policy: rows.append([event("ana", Verb.COMPLETED, "safe", at=NOW)]), "settled"),
    "no duty": (lambda rows, clock, policy: rows.retire("assignment", ["duty"], at=NOW), "settled"),
    "for others": (
        lambda rows, clock, policy: rows.put([Item(id="safe", title="Fire safety", audiences=("leaders",))], at=NOW),
        "other_audience",
    ),
    "retired": (lambda rows, clock, policy: rows.retire("item", ["safe"], at=NOW), "not_available"),
}


@pytest.mark.parametrize("what", AFTER)
def test_what_happens_in_between_withdraws_it_by_name(
    client: TestClient, store: EventStore, clock: Clock, policy: Path, what: str
) -> None:
    answer = nudged(client)
    happens, name = AFTER[what]
    happens(store.tenant(TENANT), clock, policy)
    assert checked(client, answer)["withdrawn"] == name


RULE = '[[rules]]\nid = "no-safe"\nkind = "exclude"\nmatch = {{ items = ["{}"] }}\n'


def test_a_rule_of_the_policy_that_came_since_withdraws_it_by_name(client: TestClient, store: EventStore, policy: Path) -> None:
    store.tenant(TENANT).put([DUTY.model_copy(update={"mandatory": False})], at=NOW)
    nudge, ranking = nudged(client), client.post("/v1/recommendations", json={"learner_id": "ana"}).json()
    policy.write_text(RULE.format("safe") + POLICY)
    assert checked(client, nudge)["withdrawn"] == "rule:no-safe"
    kept = {one["item_id"]: one["withdrawn"] for one in checked(client, ranking)["items"]}
    assert (kept["safe"], kept["calm"]) == ("rule:no-safe", None)


def test_no_rule_withdraws_what_is_mandatory_or_what_no_bundle_knows_by_a_rule(
    client: TestClient, store: EventStore, policy: Path
) -> None:
    push = Item(id="push", title="New protocol")
    store.tenant(TENANT).put([push, DUTY.model_copy(update={"id": "p", "item_id": "push"})], at=NOW)
    nudge, ranking = nudged(client), client.post("/v1/recommendations", json={"learner_id": "ana"}).json()
    policy.write_text(RULE.format("safe") + RULE.format("push").replace("no-safe", "no-push") + POLICY)
    assert checked(client, nudge)["withdrawn"] is None
    kept = {one["item_id"]: one["withdrawn"] for one in checked(client, ranking)["items"]}
    assert (kept["safe"], kept["push"]) == (None, None)
    store.tenant(TENANT).put([push.model_copy(update={"audiences": ("leaders",)})], at=NOW)
    kept = {one["item_id"]: one["withdrawn"] for one in checked(client, ranking)["items"]}
    assert (kept["safe"], kept["push"]) == (None, "other_audience")


def test_what_stayed_silent_is_nothing_to_send(client: TestClient) -> None:
    nudged(client)
    again = client.post("/v1/nudge", json={"learner_id": "ana", "channel": "slack"}).json()
    assert checked(client, again)["withdrawn"] == "silent"


def test_an_item_that_was_retired_after_it_was_decided_is_not_shown(client: TestClient, store: EventStore) -> None:
    """The bundle that serves still has it."""
    answer = client.post("/v1/recommendations", json={"learner_id": "ana"}).json()
    session = store.tenant(TENANT)
    session.retire("item", ["data"], at=NOW)
    session.put([Item(id="calm", title="Calm calls", available_until=NOW)], at=NOW)
    found = checked(client, answer)
    kept = {one["item_id"]: one["withdrawn"] for one in found["items"]}
    assert kept == {"safe": None, "data": "not_available", "calm": "not_available"}
    assert found["withdrawn"] is None
    session.retire("item", ["safe"], at=NOW)
    assert checked(client, answer)["withdrawn"] == "nothing_left"


def test_what_the_learner_did_after_it_was_decided_counts(client: TestClient, store: EventStore) -> None:
    answer = client.post("/v1/rank", json={"learner_id": "ana", "candidates": ["calm", "data"]}).json()
    dismissed = event("ana", Verb.DISMISSED, "data", at=NOW)
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "calm", at=NOW), dismissed])
    found = {one["item_id"]: one["withdrawn"] for one in checked(client, answer)["items"]}
    assert found == {"calm": "finished", "data": "dismissed"}


def test_while_nobody_can_tell_nothing_is_to_be_sent(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = nudged(client)

    async def down(*asked: object, **how: object) -> None:
        raise StoreDownError("the store is down")

    monkeypatch.setattr(service.pages.runtime, "beside", down)
    found = client.get(f"/v1/decisions/{answer['decision_id']}/check")
    assert (found.status_code, found.headers["retry-after"]) == (503, "2")


def test_the_client_asks_as_a_host_does_and_strangers_hear_nothing(client: TestClient) -> None:
    answer = nudged(client)
    assert Client("", "test-key", http=client).check(answer["decision_id"]).withdrawn is None
    token = client.post("/v1/tokens", json={"learner_id": "ben"}).json()["token"]
    other = client.get(f"/v1/decisions/{answer['decision_id']}/check", headers={"Authorization": f"Bearer {token}"})
    assert (other.status_code, client.get("/v1/decisions/none/check").status_code) == (404, 404)
