"""Skills and gaps over HTTP: figures by hand, why, moments in the past, the walls between tenants, and bad questions."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from acme import ITEMS, KEY, NOW, TENANT, event, publish
from starlette.testclient import TestClient

from features.events import Result, Verb
from features.proposals import Proposal
from features.store import EventStore
from serving import service
from serving.policy import Policy
from serving.prepared import Prepared
from serving.rules.language import ExcludeRule, Match
from serving.runtime import LONG, Runtime
from serving.settings import Settings
from serving.skills import gaps_of, skills_of

SKILLS, GAPS = "/v1/learners/ana/skills", "/v1/learners/ana/gaps"
DAY = timedelta(days=1)


@pytest.fixture
def past(store: EventStore) -> EventStore:
    """Ana watched `calm` (listening 3) 365 days ago, and passed `data` (analysis 2) with 90 % 10 days ago."""
    store.tenant(TENANT).append(
        [
            event("ana", Verb.COMPLETED, "calm", at=NOW - 365 * DAY, event_id="watched"),
            event("ana", Verb.PASSED, "data", at=NOW - 10 * DAY, event_id="passed", result=Result(score=0.9)),
            event("ana", Verb.STARTED, "safe", at=NOW - DAY),
        ]
    )
    return store


def asked(client: TestClient, path: str, **query: Any) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_skill_has_level_confidence_half_life_and_the_events_behind_it(client: TestClient, past: EventStore) -> None:
    answer = asked(client, SKILLS)
    assert (answer["learner_id"], answer["role"], answer["fallback"], answer["in_catalogue"]) == ("ana", "agent", None, True)
    analysis, listening = answer["skills"]
    assert listening == {
        "skill": "listening",
        "name": "Listening",
        "level": 1.5,  # 3, halved after a year
        "confidence": 0.2,  # 0.4, halved
        "evidence": "completed",
        "half_life_days": 365.0,
        "expected": 3.0,
        "below_expected_at": None,  # it is below already
        "events": 1,
        "why": [
            {
                "event_id": "watched",
                "verb": "completed",
                "object_id": "calm",
                "title": "Calm calls",
                "occurred_at": "2025-06-01T12:00:00Z",
                "shown": 3.0,
                "level": 1.5,
                "confidence": 0.2,
                "half_life_days": 365.0,
                "proposed": None,
            }
        ],
    }
    assert (analysis["skill"], analysis["evidence"], analysis["half_life_days"]) == ("analysis", "assessed", 540.0)
    assert analysis["level"] == pytest.approx(0.9 * 2 * 0.5 ** (10 / 540), abs=1e-4)


def test_it_says_when_a_level_will_have_faded_below_the_role(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([event("ana", Verb.PASSED, "more", at=NOW - 40 * DAY)])  # analysis 4, the role expects 2
    (analysis,) = asked(client, SKILLS)["skills"]
    assert datetime.fromisoformat(analysis["below_expected_at"]) == NOW + 500 * DAY  # half of 4 after 540 days


def test_gaps_come_largest_first_with_what_closes_them(client: TestClient, past: EventStore) -> None:
    answer = asked(client, GAPS)
    listening, analysis = answer["gaps"]
    assert (listening["skill"], listening["expected"], listening["present"], listening["gap"]) == ("listening", 3.0, 1.5, 1.5)
    assert listening["items"] == []  # the only item that teaches it is finished
    assert [(item["item_id"], item["level"], item["proposed"]) for item in analysis["items"]] == [("more", 4.0, None)]
    assert analysis["items"][0]["closes"] == analysis["gap"]  # more than is expected closes no more


def test_who_has_just_learnt_it_has_no_gap_there(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "calm", at=NOW - DAY)])
    assert [gap["skill"] for gap in asked(client, GAPS)["gaps"]] == ["analysis"]


def test_items_in_a_gap_may_be_taken_now(client: TestClient) -> None:
    items = {gap["skill"]: [item["item_id"] for item in gap["items"]] for gap in asked(client, GAPS)["gaps"]}
    assert items == {"listening": ["calm"], "analysis": ["data"]}  # `more` has a prerequisite


def test_a_moment_in_the_past_is_answered_as_was_known_then(client: TestClient, past: EventStore) -> None:
    late = {"recorded_at": NOW - 2 * DAY}
    past.tenant(TENANT).append([event("ana", Verb.REVOKED, "calm", at=NOW - 100 * DAY, **late)])
    assert [one["skill"] for one in asked(client, SKILLS)["skills"]] == ["analysis"]
    then = (NOW - 3 * DAY).isoformat()
    assert [one["skill"] for one in asked(client, SKILLS, at=then)["skills"]] == ["analysis", "listening"]
    assert [gap["skill"] for gap in asked(client, GAPS, at=then)["gaps"]] == ["listening", "analysis"]
    assert asked(client, SKILLS, at=(NOW - 400 * DAY).isoformat())["skills"] == []
    assert client.get(SKILLS, params={"at": "1999-01-01T00:00:00Z"}).status_code == 404


def test_only_the_skills_asked_for(client: TestClient, past: EventStore) -> None:
    assert [one["skill"] for one in asked(client, SKILLS, skill="listening")["skills"]] == ["listening"]
    assert len(asked(client, SKILLS, skill=["listening", "analysis", "none"])["skills"]) == 2


def test_an_event_is_in_the_next_answer(client: TestClient) -> None:
    assert asked(client, SKILLS)["skills"] == []
    body = {"event_id": "e1", "learner_id": "ana", "verb": "known", "object_id": "skill:listening"}
    client.post("/v1/events", json={**body, "occurred_at": NOW.isoformat(), "context": {"level": 5}})
    (listening,) = asked(client, SKILLS)["skills"]
    assert (listening["evidence"], listening["level"], listening["confidence"]) == ("declared", 2.0, 0.2)


def test_who_turned_personalisation_off_has_no_profile(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([event("off", Verb.COMPLETED, "calm")])
    for kind in ("skills", "gaps"):
        answer = asked(client, f"/v1/learners/off/{kind}")
        assert (answer["fallback"], answer[kind], answer["role"]) == ("personalisation_off", [], None)


def test_a_learner_of_whom_there_are_only_events_is_answered_and_a_stranger_is_a_404(
    client: TestClient, store: EventStore
) -> None:
    store.tenant(TENANT).append([event("stub", Verb.COMPLETED, "calm")])
    answer = asked(client, "/v1/learners/stub/skills")
    assert (answer["in_catalogue"], answer["role"], len(answer["skills"])) == (False, None, 1)
    assert asked(client, "/v1/learners/stub/gaps")["gaps"] == []
    stranger = client.get("/v1/learners/nobody/skills")
    assert (stranger.status_code, stranger.json()["field"]) == (404, "learner_id")
    assert "never heard of" in stranger.json()["detail"]


@pytest.mark.parametrize("name", ["a/b", "a b", "ü", "skills", "x/skills", "?", "#"])
def test_any_id_that_an_event_may_name_can_be_asked_for(client: TestClient, store: EventStore, name: str) -> None:
    store.tenant(TENANT).append([event(name, Verb.COMPLETED, "calm")])
    assert asked(client, f"/v1/learners/{quote(name, safe='')}/skills")["learner_id"] == name


BAD = [
    ("?at=yesterday", "at"),
    ("?at=2026-05-01T00:00:00", "at"),
    ("?at=2027-01-01T00:00:00Z", "at"),
    ("?at=0001-01-01T00:00:00Z", "at"),
    ("?at=9999-12-31T23:59:59-14:00", "at"),
    ("?at=2026-05-01T00:00:00Z&at=2026-05-02T00:00:00Z", "at"),
    ("?tenant=other", "tenant"),
]


@pytest.mark.parametrize("path", [SKILLS, GAPS])
@pytest.mark.parametrize(("query", "field"), BAD)
def test_a_wrong_question_names_its_field(client: TestClient, path: str, query: str, field: str) -> None:
    answer = client.get(path + query)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["field"] == field
    assert "Value error" not in answer.json()["detail"]  # pydantic's own word for it


@pytest.mark.parametrize("path", [f"{SKILLS}?skill=", f"{GAPS}?limit=0", f"{GAPS}?limit=51", f"{GAPS}?limit=x"])
def test_limits_of_a_question(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 400


@pytest.mark.parametrize("name", ["", "a%00b", "x" * 257])
def test_what_is_no_id_is_a_400(client: TestClient, name: str) -> None:
    assert client.get(f"/v1/learners/{name}/skills").status_code == 400


def test_it_takes_the_key_and_a_get(client: TestClient) -> None:
    assert client.get(SKILLS, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.post(SKILLS, json={}).status_code == 405


def test_another_tenants_learner_of_the_same_id_is_not_seen(client: TestClient, store: EventStore) -> None:
    other = event("ana", Verb.COMPLETED, "calm").model_copy(update={"tenant": "other"})
    store.tenant("other").append([other])
    assert asked(client, SKILLS)["skills"] == []
    store.tenant("other").append([other.model_copy(update={"learner_id": "theirs", "event_id": "x"})])
    assert client.get("/v1/learners/theirs/skills").status_code == 404


def test_requests_are_counted_under_the_route_and_not_under_each_learner(client: TestClient) -> None:
    client.get(SKILLS)
    text = client.get("/metrics").text
    assert 'route="/v1/learners/{learner_id}/skills",status="200"} 1.0' in text
    assert "ana" not in text


def test_a_long_history_is_answered(client: TestClient, store: EventStore) -> None:
    times = [NOW - timedelta(minutes=number) for number in range(LONG * 2)]
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "calm", at=at) for at in times])
    (listening,) = asked(client, SKILLS)["skills"]
    assert (listening["events"], len(listening["why"])) == (LONG * 2, 100)
    assert listening["confidence"] == 0.4  # one item, however often


@pytest.fixture
def down(settings: Settings, tmp_path: Path) -> Iterator[TestClient]:
    """The service over a store that cannot be opened."""
    (tmp_path / "down.db").mkdir()
    broken = settings.model_copy(update={"store": f"sqlite:///{tmp_path}/down.db"})
    service.pages.runtime = Runtime(broken, clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:  # type: ignore[attr-defined]
        yield opened


def test_without_the_events_there_is_no_answer(down: TestClient) -> None:
    """An empty profile would be taken for a learner who can do nothing."""
    answer = down.get(SKILLS)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


PROPOSED = {"safe": {"listening": Proposal(level=2, confidence=0.6)}, "calm": {"analysis": Proposal(level=5, confidence=0.9)}}


@pytest.fixture
def proposing(tmp_path: Path) -> Path:
    return publish(tmp_path / "proposing", proposals=PROPOSED)


def test_a_proposed_skill_counts_for_less_and_is_marked(proposing: Path) -> None:
    from serving.prepared import prepare
    from training.bundle import load_bundle

    stock = prepare(load_bundle(proposing))
    done = [event("ana", Verb.COMPLETED, "safe", at=NOW)]
    (listening,) = skills_of(stock, "ana", None, done, NOW).skills
    assert (listening.level, listening.confidence, listening.why[0].proposed) == (2.0, 0.24, 0.6)
    gaps = gaps_of(stock, "ana", _ana(), [], NOW).gaps
    assert [(item.item_id, item.closes, item.proposed) for item in gaps[0].items] == [("calm", 3.0, None), ("safe", 2.0, 0.6)]
    assert [item.item_id for item in gaps[1].items] == ["data"]  # calm has skills of its own: nothing is proposed for it


def test_what_a_rule_of_the_policy_leaves_out_closes_no_gap(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def closing() -> list[str]:
        found = client.get("/v1/learners/ana/gaps").json()["gaps"]
        return [item["item_id"] for gap in found for item in gap["items"]]

    assert closing() == ["calm", "data"]
    rule = ExcludeRule(id="r", kind="exclude", match=Match(items=("calm",)))
    monkeypatch.setattr(Runtime, "policy", Policy(rules=(rule,)))
    assert closing() == ["data"]


def _ana() -> Any:
    from acme import LEARNERS

    return LEARNERS[0]


def test_answers_are_pure_and_of_the_bundle(stock: Prepared) -> None:
    events = [event("ana", Verb.COMPLETED, "calm")]
    first, second = (skills_of(stock, "ana", _ana(), events, NOW) for _ in range(2))
    assert json.loads(first.model_dump_json()) == json.loads(second.model_dump_json())
    assert first.bundle == stock.bundle.name
    assert {item.id for item in ITEMS} >= {one.why[0].object_id for one in first.skills}


@pytest.mark.parametrize("damage", ["", "{}", '{"safe": {"listening": {"level": 9, "confidence": 1}}}'])
def test_a_bundle_whose_proposals_were_changed_does_not_load(proposing: Path, damage: str) -> None:
    from training.bundle import BundleError, load_bundle

    assert load_bundle(proposing).proposals == PROPOSED
    (proposing / "proposals.json").write_text(damage)
    with pytest.raises(BundleError, match=r"proposals\.json"):
        load_bundle(proposing)
