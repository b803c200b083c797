"""Rules as a host and an operator meet them: in a file that is followed, in requests, in explanations, in replays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acme import KEY, NOW, TENANT, event
from starlette.testclient import TestClient

from features.events import Verb
from features.store import EventStore
from serving import service
from serving.policy import Policy, load_policy
from serving.prepared import Prepared
from serving.replay import replay
from serving.runtime import Runtime
from serving.settings import Settings

RULES = """
epsilon = 0.3

[[rules]]
id = "no-calm"
kind = "exclude"
match = { items = ["calm"] }
audiences = ["customer-care"]

[[tenant_rules.acme]]
id = "weekly"
kind = "limit"
most = 1
per = "skill"
days = 7

[[tenant_rules.bolt]]
id = "bolts"
kind = "exclude"
match = { items = ["data"] }
"""
ASKED: list[dict[str, Any]] = [
    {"id": "lift", "kind": "boost", "match": {"types": ["course"]}, "add": -1.5},
    {"id": "first", "kind": "pin", "items": ["safe"], "until": "2026-07-01T00:00:00+02:00"},
]


@pytest.fixture
def ruled(settings: Settings, store: EventStore, tmp_path: Path) -> Iterator[TestClient]:
    path = tmp_path / "policy.toml"
    path.write_text("epsilon = 0.0\n")
    service.pages.runtime = Runtime(settings.model_copy(update={"policy": path}), clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def recommended(client: TestClient, learner: str = "ana", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.post("/v1/recommendations", json={"learner_id": learner, **more}).json()
    return found


def slate(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for row in answer["rows"] for item in row["items"]]


def test_a_rule_in_the_file_holds_from_the_next_request_on_and_explains_itself(ruled: TestClient, tmp_path: Path) -> None:
    assert slate(recommended(ruled)) == ["calm", "data", "safe"]
    (tmp_path / "policy.toml").write_text(RULES.replace("0.3", "0"))
    assert slate(recommended(ruled)) == ["data", "safe"]
    assert slate(recommended(ruled, "ben"))[:2] == ["calm", "data"]
    told = ruled.post("/v1/explain", json={"learner_id": "ana", "items": ["calm"]}).json()["items"][0]
    assert (told["outcome"], told["rule"], told["stage"]) == ("removed", "rule:no-calm", "filter")
    assert told["why"] == "Your organisation's rule no-calm leaves out what is one of calm."


def test_a_request_brings_its_own_and_a_wrong_one_is_named(ruled: TestClient) -> None:
    answer = recommended(ruled, rules=ASKED)
    assert [row["row"] for row in answer["rows"]] == ["pinned", "recommended"]
    assert slate(answer)[0] == "safe"
    assert answer["rows"][1]["items"][0]["parts"].keys() == {"popularity", "request_rule:lift"}
    for path, more in (
        ("/v1/recommendations", {}),
        ("/v1/rank", {"candidates": ["calm"]}),
        ("/v1/explain", {"items": ["calm"]}),
    ):
        wrong = [ASKED[0], ASKED[1] | {"items": []}]
        refused = ruled.post(path, json={"learner_id": "ana", "rules": wrong, **more})
        assert (refused.status_code, refused.json()["field"]) == (400, "rules.1.items")
        assert refused.json()["detail"].startswith("rules.1.items: rule 'first', items: Tuple should have at least 1 item")


def test_replay_is_exact_under_rules_and_refused_under_others(
    ruled: TestClient, store: EventStore, stock: Prepared, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text(RULES)
    session = store.tenant(TENANT)
    session.append([event("ana", Verb.SHOWN, "data"), event("ben", Verb.STARTED, "calm")])
    bodies = [
        ("/v1/recommendations", {"learner_id": "ana"}),
        ("/v1/recommendations", {"learner_id": "ben", "rules": ASKED}),
        ("/v1/rank", {"learner_id": "ana", "candidates": ["calm", "data", "more", "safe"], "rules": ASKED}),
    ]
    logged = [session.decision(ruled.post(path, json=body).json()["decision_id"]) for path, body in bodies * 4]
    session.append([event("ana", Verb.SHOWN, "calm")])
    policy = load_policy(tmp_path / "policy.toml")
    for decision in logged:
        assert decision is not None
        again = replay(session, stock, policy, decision)
        assert again.model_dump(exclude={"stages_ms"}) == decision.model_dump(exclude={"stages_ms"})
        with pytest.raises(ValueError, match="was made by"):
            replay(session, stock, Policy(epsilon=0.3), decision)
    assert any("rule:no-calm" in decision.removed for decision in logged if decision)
