"""`POST /v1/feedback` through the whole service: what a learner says is in their next ranking."""

from datetime import timedelta
from typing import Any

import pytest
from acme import NOW, TENANT
from starlette.testclient import TestClient

from features.events import Verb
from features.store import EventStore
from serving import service
from serving.clock import Clock


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
        ({"feedback": "saved", "until": NOW.isoformat()}, "until"),
        ({"feedback": "later", "until": "soon"}, "until"),
        ({"feedback": "saved", "learner_id": ""}, "learner_id"),
        ({"feedback": "saved", "occurred_at": (NOW + timedelta(days=1)).isoformat()}, "occurred_at"),
        ({"feedback": "later", "occurred_at": "9999-12-31T00:00:00Z"}, "occurred_at"),
        ({"feedback": "saved", "occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"feedback": "later", "until": "9999-12-31T23:00:00-14:00"}, "until"),
        ({"feedback": "saved", "more": 1}, "more"),
    ],
)
def test_wrong_input_names_the_field(client: TestClient, fields: dict[str, Any], field: str) -> None:
    answer = say(client, **fields)
    assert answer.status_code == 400
    assert answer.json().get("field") == field


@pytest.mark.parametrize("feedback", ["not_relevant", "later"])
def test_sent_again_later_without_a_time_it_is_no_news(client: TestClient, feedback: str) -> None:
    assert say(client, feedback=feedback, event_id="e1").json()["outcome"] == "accepted"
    service.pages.runtime.clock = Clock(lambda: NOW + timedelta(seconds=7))
    again = say(client, feedback=feedback, event_id="e1")
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    for other in ({"feedback": "saved"}, {"item_id": "data"}, {"learner_id": "ben"}, {"decision_id": "d9"}):
        assert say(client, **{"feedback": feedback, "event_id": "e1", **other}).status_code == 409
    if feedback == "later":
        assert say(client, feedback="later", event_id="e1", until=(NOW + timedelta(days=3)).isoformat()).status_code == 409
