"""A dry run says what rules would have changed in decisions that were recorded, and what may be wrong with them."""

from datetime import timedelta
from typing import Any

import pytest
from acme import NOW, TENANT, event
from starlette.testclient import TestClient

from features.decisions import Decision
from features.events import Verb
from features.keys import Scope
from features.store import EventStore
from serving import service
from serving.rules import dry_run

PATH = "/v1/rules:dry-run"
NO_CALM = {"id": "no-calm", "kind": "exclude", "match": {"skills": ["listening"]}}


def ask(client: TestClient, *learners: str, **more: Any) -> None:
    for learner in learners:
        assert client.post("/v1/recommendations", json={"learner_id": learner, **more}).status_code == 200


def run(client: TestClient, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"rules": rules, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(autouse=True)
def sure(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slates without a coin, so that each is known."""
    policy = service.pages.runtime.policy
    monkeypatch.setitem(policy.__dict__, "epsilon", 0.0)


def test_it_counts_what_appears_vanishes_and_moves_over_a_sample_that_it_names(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([event("ben", Verb.COMPLETED, "calm")])
    ask(client, "ana", "ana", "ben", limit=2)  # calm, data; calm, data; data, safe
    client.post("/v1/nudge", json={"learner_id": "ana", "channel": "email"})
    found = run(client, NO_CALM)
    assert found["sample"] == {
        "decisions": 3,
        "learners": 2,
        "since": "2026-06-01T12:00:00Z",
        "until": "2026-06-01T12:00:00Z",
        "as_recorded": 3,
        "left_out": 0,
        "complete": True,
    }
    assert found["changed"] == {"decisions": 2, "learners": 1, "shorter": 0, "emptied": 0}
    assert found["items"] == [
        {"item_id": "calm", "title": "Calm calls", "appears": 0, "vanishes": 2, "moves": 0},
        {"item_id": "data", "title": "Reading data", "appears": 0, "vanishes": 0, "moves": 2},
        {"item_id": "safe", "title": "Fire safety", "appears": 2, "vanishes": 0, "moves": 0},
    ]
    assert found["items_changed"] == 3
    assert found["rules"] == [
        {
            "id": "no-calm",
            "kind": "exclude",
            "holds": "now",
            "matches": 1,
            "held": 3,
            "acted": 2,
            "hid": 2,
            "emptied": 0,
            "warnings": [],
        }
    ]
    assert (found["bundle"], found["policy"]) == (_last(store).bundle, service.pages.runtime.policy.digest)


def test_nothing_is_recorded_and_the_newest_come_first(client: TestClient, store: EventStore) -> None:
    ask(client, "ana", "ben", "off")
    before = len(list(store.tenant(TENANT).decisions()))
    found = run(client, NO_CALM, decisions=2)
    assert (found["sample"]["decisions"], found["sample"]["learners"], found["sample"]["complete"]) == (2, 2, True)
    assert len(list(store.tenant(TENANT).decisions())) == before


WARNED: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"kind": "exclude", "match": {"providers": ["Nrod"]}},
        [
            "match.providers: Nrod: no item of the bundle that serves has it; check how it is written",
            "match: no item of the bundle that serves matches; name fewer fields, or other names",
            "kind: it does nothing in the 2 decisions of the sample; it may not be needed",
        ],
    ),
    (
        {"kind": "exclude", "match": {"items": ["calm"]}, "audiences": ["temps"]},
        ["audiences: none of the learners of the 2 decisions is part of them; check how they are written"],
    ),
    (
        {"kind": "only", "match": {"items": ["soon"]}, "until": (NOW - timedelta(days=1)).isoformat()},
        [
            "until: it has ended; set a later time, or leave the rule out",
            "match: with it 2 of 2 slates are empty; make it narrower, or name audiences",
        ],
    ),
    (
        {"kind": "pin", "items": ["safe", "sfae"]},
        ["items: sfae: no item of the bundle that serves has it; check how it is written"],
    ),
    ({"kind": "limit", "most": 50}, ["kind: it does nothing in the 2 decisions of the sample; it may not be needed"]),
    ({"kind": "limit", "most": 1}, []),
    ({"kind": "boost", "match": {"items": ["safe"]}, "add": 1}, []),
    (
        {"kind": "boost", "match": {"items": ["lead"]}, "add": 1},
        ["kind: it does nothing in the 2 decisions of the sample; it may not be needed"],
    ),
]


@pytest.mark.parametrize(("rule", "words"), WARNED, ids=[str(n) for n in range(len(WARNED))])
def test_rules_that_never_match_do_nothing_or_empty_slates_are_named(
    client: TestClient, rule: dict[str, Any], words: list[str]
) -> None:
    ask(client, "ana", "off")
    told = run(client, {"id": "r", **rule})["rules"][0]
    assert told["warnings"] == [f"rule 'r', {one}" for one in words]


def test_a_rule_that_begins_later_is_tried_as_if_it_held(client: TestClient) -> None:
    ask(client, "ana")
    found = run(client, NO_CALM | {"since": (NOW + timedelta(days=1)).isoformat()})
    assert (found["rules"][0]["holds"], found["changed"]["decisions"]) == ("later", 1)


def test_a_rule_that_holds_can_be_left_out_or_given_another_form(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = type(service.pages.runtime.policy).model_validate({"epsilon": 0, "tenant_rules": {TENANT: [NO_CALM]}})
    monkeypatch.setattr(service.pages.runtime._policy, "_policy", policy)
    ask(client, "ana")
    assert run(client, without=["no-calm"])["items"][0] == {
        "item_id": "calm", "title": "Calm calls", "appears": 1, "vanishes": 0, "moves": 0
    }  # fmt: skip
    assert run(client, NO_CALM)["changed"]["decisions"] == 0
    weaker = run(client, NO_CALM | {"audiences": ["leaders"]})
    assert (weaker["changed"]["decisions"], weaker["rules"][0]["held"]) == (1, 0)
    refused = client.post(PATH, json={"without": ["no-clam"]})
    assert (refused.status_code, refused.json()["field"]) == (400, "without.0")
    assert refused.json()["detail"] == "without.0: no rule 'no-clam' holds now; these do: no-calm"


def test_wrong_rules_are_refused_by_id_field_and_fix(client: TestClient) -> None:
    refused = client.post(PATH, json={"rules": [NO_CALM | {"match": {}}]}).json()
    assert (refused["status"], refused["field"]) == (400, "rules.0.match")
    assert refused["detail"].startswith("rules.0.match: rule 'no-calm', match: it would be about every item; name items")
    assert (
        client.post(PATH, json={})
        .json()["detail"]
        .endswith("rules: nothing to try; send rules, or in `without` ids of those that hold now")
    )


def test_what_an_erased_past_was_made_from_is_left_out(client: TestClient, store: EventStore) -> None:
    session = store.tenant(TENANT)
    session.append([event("ana", Verb.COMPLETED, "data", event_id="gone")])
    ask(client, "ana", "ben")
    read = _last(store).model_copy(update={"decision_id": "d", "events_read": ("never-stored",)})
    session.record([read])
    sample = run(client, NO_CALM)["sample"]
    assert (sample["decisions"], sample["left_out"]) == (2, 1)


def test_it_ends_in_time_and_says_that_it_did_not_get_through(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(client, *["ana"] * 3)
    monkeypatch.setattr(dry_run, "PIECE", 1)
    seconds = iter([0.0, 0.0, 0.0, 0.0, 99.0, 99.0])
    monkeypatch.setattr(dry_run, "monotonic", lambda: next(seconds))
    sample = run(client, NO_CALM)["sample"]
    assert (sample["decisions"], sample["complete"]) == (1, False)


def test_one_at_a_time_of_a_tenant(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.pages.runtime, "dry_runs", {TENANT})
    refused = client.post(PATH, json={"rules": [NO_CALM]})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "4")
    monkeypatch.setattr(service.pages.runtime, "dry_runs", {"bolt"})
    run(client, NO_CALM)
    assert service.pages.runtime.dry_runs == {"bolt"}


def test_it_is_for_keys_of_reports(client: TestClient, store: EventStore) -> None:
    for scope, status in ((Scope.RANK, 403), (Scope.REPORTS, 200), (Scope.ADMIN, 200)):
        key = store.keys().add(TENANT, "lms", [scope], at=NOW)
        answer = client.post(PATH, json={"rules": [NO_CALM]}, headers={"Authorization": f"Bearer {key.text}"})
        assert answer.status_code == status


def _last(store: EventStore) -> Decision:
    return store.tenant(TENANT).last_decisions(1)[0][1]
