"""`POST /v1/feedback` through the whole service: what a learner says is in their next ranking."""

from datetime import timedelta
from typing import Any

import pytest
from acme import NOW, TENANT
from starlette.testclient import TestClient

from features.events import Verb
from features.store import EventStore


def say(client: TestClient, **fields: Any) -> Any:
    return client.post("/v1/feedback", json={"learner_id": "ana", "item_id": "calm", **fields})


def removed(client: TestClient) -> dict[str, list[str]]:
    body = {"learner_id": "ana", "candidates": ["calm", "data", "safe"]}
    found: dict[str, list[str]] = client.post("/v1/rank", json=body).json()["removed"]
    return found


@pytest.mark.parametrize(
    ("feedback", "rule"), [("not_relevant", "dismissed"), ("already_know", "known"), ("later", "dismissed"), ("saved", None)]
)
def test_what_is_said_is_in_the_next_ranking(client: TestClient, feedback: str, rule: str | None) -> None:
    assert "calm" not in str(removed(client))
    answer = say(client, feedback=feedback)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")
    assert removed(client).get(rule or "") == (None if rule is None else ["calm"])


def test_it_is_stored_as_the_event_that_it_is(client: TestClient, store: EventStore) -> None:
    until = NOW + timedelta(days=3)
    say(client, feedback="later", until=until.isoformat(), decision_id="d1", event_id="e1")
    (event,) = store.tenant(TENANT).history("ana")
    assert (event.event_id, event.verb, event.decision_id, event.occurred_at) == ("e1", Verb.DISMISSED, "d1", NOW)
    assert event.context == {"feedback": "later", "until": until.isoformat()}
    assert (
        say(client, feedback="later", until=until.isoformat(), decision_id="d1", event_id="e1").json()["outcome"] == "duplicate"
    )
    assert say(client, feedback="saved", event_id="e1").status_code == 409


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"feedback": "hate"}, "feedback"),
        ({}, "feedback"),
        ({"feedback": "saved", "until": NOW.isoformat()}, None),
        ({"feedback": "later", "until": "soon"}, "until"),
        ({"feedback": "saved", "learner_id": ""}, "learner_id"),
        ({"feedback": "saved", "occurred_at": (NOW + timedelta(days=1)).isoformat()}, "occurred_at"),
        ({"feedback": "saved", "more": 1}, "more"),
    ],
)
def test_wrong_input_names_the_field(client: TestClient, fields: dict[str, Any], field: str | None) -> None:
    answer = say(client, **fields)
    assert answer.status_code == 400
    assert answer.json().get("field") == field
