"""Questions over HTTP: what was decided, why, and that asking leaves no trace."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import ITEMS, KEY, LEARNERS, NOW, ROLE, SKILLS, TENANT, event, publish
from starlette.testclient import TestClient

from features.catalogue import Assignment, Item
from features.decisions import Decision
from features.events import Verb
from features.keys import Scope
from features.lake import materialize
from features.store import EventStore
from serving import service
from serving.bundles import Bundles
from serving.client import Client
from serving.decision_log import Spool
from serving.pipeline import MODEL_FAILED, score
from serving.policy import Policy, PolicyFile, changed
from serving.questions.payloads import ExplainRequest
from serving.runtime import Runtime
from serving.settings import Settings
from training.inputs import read_table
from training.start import begin

EXPLAIN, RECOMMEND = "/v1/explain", "/v1/recommendations"
EARLIER = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def each_store(store_url: str, settings: Settings) -> Iterator[TestClient]:
    opened = EventStore.open(store_url)
    opened.tenant(TENANT).put([*ITEMS, *SKILLS, ROLE, *LEARNERS], at=EARLIER)
    opened.close()
    with serving(settings, store=store_url, deadline_ms=5_000) as client:
        yield client


def serving(settings: Settings, **more: Any) -> TestClient:
    """A service of these settings, opened with `with`."""
    service.pages.runtime = Runtime(settings.model_copy(update=more), clock=lambda: NOW)
    return TestClient(service.Nextwise.to_asgi(), headers=KEY)


def decide(client: TestClient, learner: str = "ana", **more: Any) -> str:
    answer = client.post(RECOMMEND, json={"learner_id": learner, **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["decision_id"])


def explain(client: TestClient, *items: str, learner: str = "ana", **more: Any) -> dict[str, Any]:
    answer = client.post(EXPLAIN, json={"learner_id": learner, "items": items, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def outcomes(answer: dict[str, Any]) -> dict[str, str]:
    return {one["item_id"]: one["rule"] or one["outcome"] for one in answer["items"]}


def slate(client: TestClient, decision_id: str) -> list[str]:
    rows = client.get(f"/v1/decisions/{decision_id}").json()["rows"]
    return [item["item_id"] for row in rows for item in row["items"]]


def serve_by(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    monkeypatch.setattr(PolicyFile, "current", lambda file: policy)


def test_a_decision_is_read_as_it_was_recorded(each_store: TestClient) -> None:
    decision_id = decide(each_store, limit=2)
    found = Decision.model_validate_json(each_store.get(f"/v1/decisions/{decision_id}").content)
    assert (found.decision_id, found.tenant, found.learner_id) == (decision_id, TENANT, "ana")
    assert found.removed["other_audience"] == ("lead",)
    assert len(found.slate) == 2


def test_a_past_decision_is_explained_as_it_was_whatever_came_since(each_store: TestClient) -> None:
    decision_id = decide(each_store, limit=1, exclude=["safe"])
    (shown,) = slate(each_store, decision_id)
    (other,) = {"calm", "data"} - {shown}
    done = {"event_id": "e", "learner_id": "ana", "verb": "completed", "object_id": shown}
    each_store.post("/v1/events", json={**done, "occurred_at": (NOW - timedelta(hours=1)).isoformat()})
    then = explain(each_store, shown, "lead", other, "safe", "nope", decision_id=decision_id)
    assert (then["source"], then["decision_id"], then["at"]) == ("replay", decision_id, "2026-06-01T12:00:00Z")
    expected = {shown: "shown", "lead": "other_audience", other: "scored_less", "safe": "excluded", "nope": "unknown_item"}
    assert outcomes(then) == expected
    assert outcomes(explain(each_store, shown)) == {shown: "finished"}


@pytest.mark.parametrize("name", ["unknown", "a/b", "%00", "x" * 300, "%F0%9F%90%99"])
def test_an_id_that_is_none_is_a_problem(each_store: TestClient, name: str) -> None:
    answer = each_store.get(f"/v1/decisions/{name}")
    assert answer.status_code in (400, 404)
    assert answer.json()["field"] == "decision_id"


def test_asking_about_now_leaves_no_trace(client: TestClient, store: EventStore) -> None:
    def counted() -> list[bytes]:
        lines = service.pages.runtime.metrics.render().splitlines()
        return [line for line in lines if b"stage_seconds_count" in line]

    before = counted()
    explain(client, "calm", limit=1)
    assert client.get("/preview/ana?why=calm").status_code == 200
    assert list(store.tenant(TENANT).decisions()) == []
    assert counted() == before
    decide(client)
    assert counted() != before


def test_about_now_is_what_a_ranking_without_a_coin_would_show(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_by(monkeypatch, Policy(epsilon=0.9))
    answer = explain(client, "calm", "data", "safe", limit=2)
    assert outcomes(answer) == {"calm": "shown", "data": "shown", "safe": "scored_less"}
    assert {one["shown"]["propensity"] for one in answer["items"] if one["shown"]} == {1.0}
    assert answer["decision_id"] is None
    serve_by(monkeypatch, Policy(epsilon=0.0))
    assert slate(client, decide(client, limit=2)) == ["calm", "data"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"items": []}, "items"),
    ({"items": ["x"] * 21}, "items"),
    ({"items": [7]}, "items.0"),
    ({"items": ["calm"], "decision_id": ""}, "decision_id"),
    ({"items": ["calm"], "limit": 0}, "limit"),
    ({"items": ["calm"], "tenant": "other"}, "tenant"),
    ({}, "items"),
]


@pytest.mark.parametrize(("body", "field"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_question_names_its_field(client: TestClient, body: dict[str, Any], field: str) -> None:
    answer = client.post(EXPLAIN, json={"learner_id": "ana", **body})
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_a_decision_has_its_own_request(client: TestClient) -> None:
    answer = client.post(EXPLAIN, json={"learner_id": "ana", "items": ["calm"], "decision_id": decide(client), "limit": 3})
    assert answer.status_code == 400
    assert "limit: decision" in answer.json()["detail"]


def test_anothers_decision_is_as_one_that_never_was(client: TestClient, store: EventStore) -> None:
    own = store.tenant(TENANT).decision(decide(client))
    assert own is not None
    store.tenant("other").record([own.model_copy(update={"tenant": "other", "decision_id": "theirs"})])
    said = [client.get(f"/v1/decisions/{name}") for name in ("theirs", "nobody")]
    assert [one.status_code for one in said] == [404, 404]
    assert said[0].text.replace("theirs", "nobody") == said[1].text
    for name, who in ((own.decision_id, "ben"), ("theirs", "ana")):
        body = {"learner_id": who, "items": ["calm"], "decision_id": name}
        assert client.post(EXPLAIN, json=body).status_code == 404


def test_only_a_ranking_is_explained(client: TestClient, store: EventStore) -> None:
    found = store.tenant(TENANT).decision(decide(client))
    assert found is not None
    store.tenant(TENANT).record([found.model_copy(update={"kind": "nudge", "decision_id": "n"})])
    answer = client.post(EXPLAIN, json={"learner_id": "ana", "items": ["calm"], "decision_id": "n"})
    assert (answer.status_code, answer.json()["field"]) == (400, "decision_id")
    assert client.get("/v1/decisions/n").json()["kind"] == "nudge"


@pytest.mark.parametrize("gone", ["bundle", "policy", "events"])
def test_what_a_decision_was_made_with_may_be_gone(
    client: TestClient, store: EventStore, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "safe")])
    decision_id = decide(client, limit=1, exclude=["data"])
    if gone == "bundle":
        monkeypatch.setattr(Bundles, "named", lambda bundles, tenant, name: None)
    elif gone == "policy":
        serve_by(monkeypatch, Policy(epsilon=0.5))
    else:
        monkeypatch.setattr("features.store.TenantSession.named", lambda session, names: {})
    answer = explain(client, "calm", "safe", "lead", decision_id=decision_id)
    assert answer["source"] == "record"
    assert outcomes(answer) == {"calm": "shown", "safe": "finished", "lead": "other_audience"}
    assert "30 May" not in answer["items"][1]["why"]


def test_a_bundle_that_served_before_is_still_at_hand(client: TestClient, settings: Settings) -> None:
    decision_id = decide(client, limit=1)
    publish(settings.bundles, items=(*ITEMS, Item(id="new", title="New")))
    service.pages.runtime.bundles.refresh()
    assert explain(client, "safe", decision_id=decision_id)["source"] == "replay"
    assert outcomes(explain(client, "new", decision_id=decision_id)) == {"new": "unknown_item"}


def test_who_opted_out_since_is_told_no_history(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "safe")])
    decision_id = decide(client, limit=2)
    ana = LEARNERS[0].model_copy(update={"personalisation": False})
    store.tenant(TENANT).put([ana], at=NOW - timedelta(minutes=1))
    answer = explain(client, "safe", *slate(client, decision_id), decision_id=decision_id)
    assert answer["items"][0]["why"] == "You finished it, or what counts as the same."
    assert [one["shown"]["reasons"] for one in answer["items"][1:]] == [[], []]
    assert explain(client, "safe")["fallback"] == "personalisation_off"


def test_while_the_store_is_down_there_is_no_half_answer(client: TestClient, store: EventStore, file: Path) -> None:
    decision_id = decide(client)
    file.rename(file.with_suffix(".moved"))
    body = {"learner_id": "ana", "items": ["calm"]}
    answers = [
        client.get(f"/v1/decisions/{decision_id}"),
        client.post(EXPLAIN, json=body),
        client.post(EXPLAIN, json={**body, "decision_id": decision_id}),
        client.get("/preview/ana"),
    ]
    assert [one.status_code for one in answers] == [503] * 4
    assert all("retry-after" in one.headers for one in answers)


def test_a_decision_in_a_spool_is_not_stored_yet(client: TestClient, store: EventStore, settings: Settings) -> None:
    waiting = store.tenant(TENANT).decision(decide(client))
    assert waiting is not None
    spool = Spool(settings.spool)  # another worker's
    spool.append([waiting.model_copy(update={"decision_id": "waits"})])
    for answer in (
        client.get("/v1/decisions/waits"),
        client.post(EXPLAIN, json={"learner_id": "ana", "items": ["calm"], "decision_id": "waits"}),
    ):
        assert answer.status_code == 503
        assert "wait to be stored" in answer.json()["detail"]
    spool.replay(lambda tenant, decisions: store.tenant(tenant).record(decisions))
    spool.close()
    assert client.get("/v1/decisions/waits").status_code == 200


def test_a_model_that_fails_is_explained_by_what_answers_then(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any, degraded: bool) -> Any:
        if not degraded:
            raise RuntimeError("broken")
        return score(*given, degraded=degraded)

    monkeypatch.setattr("serving.pipeline.score", fail)
    assert explain(client, "calm")["fallback"] == MODEL_FAILED


def test_a_token_asks_about_its_learner_only(settings: Settings, store: EventStore) -> None:
    secret = Settings(token_secret="s" * 32).token_secret  # type: ignore[arg-type]
    with serving(settings, token_secret=secret) as client:
        theirs, other = decide(client), decide(client, "ben")
        token = client.post("/v1/tokens", json={"learner_id": "ana"}).json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        own = client.get(f"/v1/decisions/{theirs}")
        assert (own.status_code, own.json()["removed"]) == (200, {})
        ranked = client.post("/v1/rank", json={"learner_id": "ana", "candidates": ["lead"]}).json()["decision_id"]
        assert client.get(f"/v1/decisions/{ranked}").json()["removed"] == {"other_audience": ["lead"]}
        assert client.get(f"/v1/decisions/{other}").status_code == client.get("/v1/decisions/none").status_code == 404
        assert client.post(EXPLAIN, json={"learner_id": "ben", "items": ["calm"]}).status_code == 403
        assert client.get("/preview/ben").status_code == 403
        lead = explain(client, "lead")["items"][0]
        assert (lead["title"], lead["why"]) == (None, "It is for others than you.")
        assert client.get("/preview/ana", auth=("", token)).status_code == 200


def test_a_key_for_events_asks_nothing(client: TestClient, store: EventStore) -> None:
    key = store.keys().add(TENANT, "lms", [Scope.INGEST], at=NOW - timedelta(days=1)).text
    client.headers["Authorization"] = f"Bearer {key}"
    assert client.get("/v1/decisions/x").status_code == 403
    assert client.post(EXPLAIN, json={"learner_id": "ana", "items": ["calm"]}).status_code == 403
    assert client.get("/preview/ana").status_code == 403


def test_the_client_asks_both(client: TestClient) -> None:
    with Client("", "test-key", http=client) as nextwise:
        decision_id = decide(client, limit=1)
        assert nextwise.decision(decision_id).decision_id == decision_id
        told = nextwise.explain(ExplainRequest(learner_id="ana", items=("lead",), decision_id=decision_id))
        assert told.items[0].rule == "other_audience"
        assert nextwise.explain(ExplainRequest(learner_id="ana", items=("calm",), limit=1)).decision_id is None


def test_an_item_whose_grant_ended_is_named_no_longer(settings: Settings, tmp_path: Path) -> None:
    store = EventStore.open(settings.store)
    store.tenant(TENANT).put([*ITEMS, *SKILLS], at=EARLIER)
    store.tenant("other").put([Item(id="own", title="Their own")], at=EARLIER)
    grant = store.grants().add(TENANT, "other", at=EARLIER, items=["calm"])
    materialize(store.tenant("other"), tmp_path / "lake")
    table, *_ = read_table(tmp_path / "lake", "other", lambda step: None)
    begin(table, settings.bundles)
    with serving(settings, dev_tenant="other") as client:
        decision_id = decide(client, "bob")
        assert explain(client, "calm", learner="bob")["items"][0]["title"] == "Calm calls"
        store.grants().revoke(grant.grant_id, at=NOW - timedelta(minutes=1))
        now = explain(client, "calm", learner="bob")["items"][0]
        then = explain(client, "calm", learner="bob", decision_id=decision_id)["items"][0]
    store.close()
    assert (now["rule"], now["title"], now["also"]) == ("not_granted", None, [])
    assert (then["outcome"], then["title"], then["shown"]["reasons"]) == ("shown", None, [])


def test_an_overdue_duty_without_room_is_explained_as_the_duty_it_is(client: TestClient, store: EventStore) -> None:
    """It said `in_progress`: that it was nothing new."""
    late = [
        Assignment(id=name, item_id=name, learner_id="ana", due_at=NOW - timedelta(days=days))
        for name, days in (("safe", 1), ("calm", 2), ("data", 3))
    ]
    store.tenant(TENANT).put(late, at=EARLIER)
    store.tenant(TENANT).append([event("ana", "started", "safe")])
    decision_id = decide(client, limit=1)
    for more in ({"limit": 1}, {"decision_id": decision_id}):
        (found,) = explain(client, "safe", **more)["items"]
        assert (found["rule"], found["stage"], found["outcome"]) == ("no_room_for_duty", "rerank", "removed")
        assert found["why"].startswith("Mandatory: it was due by 2026-05-31. Others fill the row of duties")


def test_a_decision_is_explained_to_whoever_names_its_learner_by_an_alias(client: TestClient, store: EventStore) -> None:
    decision_id = decide(client)
    store.tenant(TENANT).put([LEARNERS[0].model_copy(update={"aliases": ("ana@acme",)})], at=NOW)
    assert explain(client, "calm", learner="ana@acme", decision_id=decision_id)["learner_id"] == "ana@acme"
    other = client.post(EXPLAIN, json={"learner_id": "ben", "items": ["calm"], "decision_id": decision_id})
    assert (other.status_code, other.json()["field"]) == (404, "decision_id")


def test_of_several_languages_one_is_enough(client: TestClient, store: EventStore, bundles: Path) -> None:
    """It said that the request would have to name all of them."""
    three = Item(id="calm", title="Calm calls", languages=("en", "es", "fr"))
    publish(bundles, items=(three, *ITEMS[1:]))
    service.pages.runtime.bundles.refresh()
    (found,) = explain(client, "calm", languages=["de"])["items"]
    assert found["change"] == "The request, or your row, would have to name one of en, es or fr as well."


def test_the_gaps_obey_the_filters_of_the_policy(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The items that close a gap were those that a rule keeps away."""

    def closing() -> list[str]:
        found = client.get("/v1/learners/ana/gaps").json()["gaps"]
        return [item["item_id"] for gap in found for item in gap["items"]]

    assert "calm" in closing()
    serve_by(monkeypatch, changed(Policy(), {"rules": [{"id": "no", "kind": "exclude", "match": {"items": ["calm"]}}]}))
    assert "calm" not in closing()
