"""`POST /v1/evidence` through the whole service: what is shown at work is in the learner's skills."""

from datetime import timedelta
from typing import Any

import pytest
from acme import NOW, TENANT
from starlette.testclient import TestClient

from features.events import Verb
from features.store import EventStore

BASE = {"event_id": "v1", "learner_id": "ana", "skill": "data", "occurred_at": (NOW - timedelta(days=1)).isoformat()}


@pytest.mark.parametrize(
    ("fields", "verb", "context"),
    [
        ({"kind": "applied"}, Verb.APPLIED, {"kind": "applied"}),
        (
            {"kind": "used_in_work", "source": "crm:7"},
            Verb.APPLIED,
            {"kind": "used_in_work", "source": "crm:7"},
        ),
        ({"kind": "attested", "by": "ben", "level": 4}, Verb.ATTESTED, {"kind": "attested", "by": "ben", "level": 4}),
        (
            {"kind": "endorsed", "by": "ben", "item_id": "x"},
            Verb.ENDORSED,
            {"kind": "endorsed", "by": "ben", "item": "x"},
        ),
    ],
)
def test_each_kind_is_the_event_that_it_is_and_shows_in_the_skills(
    client: TestClient, store: EventStore, fields: dict[str, Any], verb: Verb, context: dict[str, Any]
) -> None:
    answer = client.post("/v1/evidence", json={**BASE, **fields})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    (event,) = store.tenant(TENANT).history("ana")
    assert (event.verb, event.object_id, event.context) == (verb, "skill:data", context)
    (skill,) = [one for one in client.get("/v1/learners/ana/skills").json()["skills"] if one["skill"] == "data"]
    assert skill["evidence"] == ("assessed" if verb is Verb.ENDORSED else "applied")
    assert skill["level"] > 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "attested"}, "by whom"),
        ({"kind": "endorsed", "by": "ana"}, "nobody vouches for themselves"),
        ({"kind": "used_in_work"}, "which row of which system"),
        ({"kind": "applied", "level": 6}, "less than or equal to 5"),
        ({"kind": "certified"}, "'applied'"),
        ({"kind": "applied", "occurred_at": (NOW + timedelta(days=1)).isoformat()}, "in the future"),
    ],
)
def test_wrong_evidence_is_refused_in_words(client: TestClient, fields: dict[str, Any], words: str) -> None:
    answer = client.post("/v1/evidence", json={**BASE, **fields})
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


def test_a_batch_reports_each_and_coverage_counts_learners(client: TestClient) -> None:
    rows = [
        {**BASE, "kind": "applied"},
        {**BASE, "event_id": "v2", "kind": "attested"},
        {**BASE, "event_id": "v3", "kind": "endorsed", "by": "ana", "learner_id": "ben"},
        {**BASE, "event_id": "v4", "kind": "applied", "skill": "calm"},
    ]
    answer = client.post("/v1/evidence", json=rows).json()
    assert [one["outcome"] for one in answer["results"]] == ["accepted", "invalid", "accepted", "accepted"]
    shown = {"event_id": "e", "learner_id": "cy", "verb": "shown", "object_id": "calm", "occurred_at": BASE["occurred_at"]}
    client.post("/v1/events", json=shown)
    found = client.get("/v1/ingest/health").json()["evidence"]
    assert found == {"learners": 3, "declared": 0, "completed": 0, "assessed": 1, "applied": 1}
