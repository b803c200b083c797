"""`POST /v1/evidence` through the whole service: what is shown at work is in the learner's skills."""

from datetime import timedelta
from typing import Any

import pytest
from acme import NOW, TENANT
from starlette.testclient import TestClient

from features.catalogue import Learner
from features.events import Event, Verb
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
        ({"kind": "helped", "by": "ben"}, Verb.ENDORSED, {"kind": "helped", "by": "ben"}),
        ({"kind": "confirmed", "by": "ben"}, Verb.ENDORSED, {"kind": "confirmed", "by": "ben", "as": "peer"}),
        (
            {"kind": "follow_up", "used": "yes", "went": "well", "item_id": "x"},
            Verb.KNOWN,
            {"kind": "follow_up", "used": "yes", "went": "well", "item": "x"},
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
    assert skill["evidence"] == {Verb.ENDORSED: "assessed", Verb.KNOWN: "declared"}.get(verb, "applied")
    assert skill["level"] > 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "attested"}, "by whom"),
        ({"kind": "endorsed", "by": "ana"}, "nobody vouches for themselves"),
        ({"kind": "used_in_work"}, "which row of which system"),
        ({"kind": "applied", "level": 6}, "less than or equal to 5"),
        ({"kind": "certified"}, "'applied'"),
        ({"kind": "confirmed"}, "by whom"),
        ({"kind": "confirmed", "by": "a-1"}, "nobody vouches for themselves"),
        ({"kind": "attested", "by": "zoe"}, "'zoe' is no learner of the catalogue"),
        ({"kind": "follow_up"}, "yes` or `not_yet`"),
        ({"kind": "applied", "used": "yes"}, "nothing else has it"),
        ({"kind": "follow_up", "used": "not_yet", "went": "well"}, "only what was used"),
        ({"kind": "follow_up", "used": "yes", "level": 4}, "own answer"),
        ({"kind": "applied", "occurred_at": (NOW + timedelta(days=1)).isoformat()}, "in the future"),
    ],
)
def test_wrong_evidence_is_refused_in_words(client: TestClient, store: EventStore, fields: dict[str, Any], words: str) -> None:
    store.tenant(TENANT).put([Learner(id="ana", aliases=("a-1",))], at=NOW)
    answer = client.post("/v1/evidence", json={**BASE, **fields})
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert not store.tenant(TENANT).history("ana")


def test_a_learner_by_an_alias_cannot_vouch_for_themselves(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).put([Learner(id="ana", aliases=("a-1", "a-2"))], at=NOW)
    answer = client.post("/v1/evidence", json={**BASE, "kind": "endorsed", "learner_id": "a-1", "by": "a-2"})
    assert (answer.status_code, answer.json()["field"]) == (400, "by")


def test_what_a_manager_confirms_is_attested_and_keeps_who_it_was(client: TestClient, store: EventStore) -> None:
    people = [Learner(id="ana", manager_id="ben", aliases=("a-1",)), Learner(id="ben", aliases=("b-1",)), Learner(id="cy")]
    store.tenant(TENANT).put(people, at=NOW)
    rows = [
        {**BASE, "kind": "confirmed", "learner_id": "a-1", "by": "b-1", "level": 3},
        {**BASE, "event_id": "v2", "kind": "confirmed", "by": "cy"},
        {**BASE, "event_id": "v3", "kind": "confirmed", "learner_id": "ben", "by": "ana"},
        {**BASE, "event_id": "v4", "kind": "confirmed", "learner_id": "a stub", "by": "ana"},
    ]
    assert client.post("/v1/evidence", json=rows).json()["accepted"] == 4
    said = [
        (one.verb, one.context["by"], one.context["as"]) for who in ("ana", "ben", "a stub") for one in _history(store, who)
    ]
    assert said == [
        (Verb.ATTESTED, "ben", "manager"),
        (Verb.ENDORSED, "cy", "peer"),
        (Verb.ENDORSED, "ana", "peer"),
        (Verb.ENDORSED, "ana", "peer"),
    ]


def _history(store: EventStore, who: str) -> list[Event]:
    return sorted(store.tenant(TENANT).history(who), key=lambda event: event.event_id)


def test_not_yet_shows_nothing_and_takes_nothing_back(client: TestClient, store: EventStore) -> None:
    def level() -> Any:
        found = client.get("/v1/learners/ana/skills").json()["skills"]
        return {one["skill"]: (one["level"], one["evidence"]) for one in found}

    client.post("/v1/evidence", json={**BASE, "kind": "attested", "by": "ben", "level": 3})
    before = level()
    answer = client.post(
        "/v1/evidence", json={**BASE, "event_id": "v2", "kind": "follow_up", "used": "not_yet", "item_id": "x"}
    )
    assert answer.json()["accepted"] == 1
    assert level() == before
    (event,) = [one for one in store.tenant(TENANT).history("ana") if one.event_id == "v2"]
    assert (event.verb, event.context) == (Verb.ANSWERED, {"kind": "follow_up", "used": "not_yet", "item": "x"})
    assert event.result is not None
    assert event.result.success is False


def test_a_follow_up_counts_below_what_somebody_else_says(client: TestClient) -> None:
    yes = {**BASE, "kind": "follow_up", "used": "yes", "went": "well"}
    client.post("/v1/evidence", json=[yes, {**yes, "event_id": "v2", "learner_id": "ben"}])
    client.post("/v1/evidence", json={**BASE, "event_id": "v3", "kind": "confirmed", "learner_id": "ben", "by": "ana"})
    of = {who: client.get(f"/v1/learners/{who}/skills").json()["skills"][0] for who in ("ana", "ben")}
    assert (of["ana"]["evidence"], of["ben"]["evidence"]) == ("declared", "assessed")
    assert of["ana"]["confidence"] < of["ben"]["confidence"]


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
