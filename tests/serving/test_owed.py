"""An urgent push over HTTP: it takes effect with the next request, whatever the bundle knows."""

from datetime import timedelta
from typing import Any

from acme import CUSTOMERS, LEARNERS, NOW, TENANT, event
from starlette.testclient import TestClient

from features.catalogue import Assignment, Item
from features.events import Verb
from features.store import EventStore

PUSH = {"id": "push", "title": "New protocol", "languages": ["en"]}
DUTY = {"id": "protocol", "item_id": "push", "audience": CUSTOMERS, "due_at": "2026-06-05T12:00:00Z", "urgent": True}


def ask(client: TestClient, learner: str = "ana", **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/recommendations", json={"learner_id": learner, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def first(answer: dict[str, Any]) -> tuple[str, str]:
    return answer["rows"][0]["title"], answer["rows"][0]["items"][0]["item_id"]


def put(client: TestClient, kind: str, row: dict[str, Any]) -> None:
    assert client.put(f"/v1/{kind}", json=row).status_code == 200


def test_a_push_is_shown_with_the_next_request_and_gone_when_it_is_done(client: TestClient) -> None:
    assert first(ask(client))[0] != "Mandatory"
    put(client, "assignments", DUTY)
    assert first(ask(client))[0] != "Mandatory"  # nobody knows the item yet
    put(client, "items", PUSH)
    answer = ask(client, languages=["fr"])
    shown = answer["rows"][0]["items"][0]
    assert first(answer) == ("Obligatoire", "push")
    assert (shown["title"], shown["language"], shown["language_mismatch"]) == ("New protocol", "en", True)
    due = {"assignment_id": "protocol", "due_at": "2026-06-05T12:00:00Z", "urgent": True, "overdue": False}
    assert shown["due"] == due
    assert first(ask(client, "ben"))[0] != "Mandatory"  # another audience
    assert first(ask(client, "off")) == ("Mandatory", "push")  # a duty is no personalisation
    done = {"event_id": "e-1", "learner_id": "ana", "verb": "completed", "object_id": "push", "occurred_at": NOW.isoformat()}
    assert client.post("/v1/events", json=done).json()["accepted"] == 1
    assert first(ask(client))[0] != "Mandatory"
    assert client.delete("/v1/assignments/protocol").status_code == 204
    assert first(ask(client, "off"))[0] != "Mandatory"


def test_a_new_version_of_the_item_counts_at_once(client: TestClient) -> None:
    put(client, "items", PUSH)
    put(client, "assignments", DUTY)
    assert first(ask(client)) == ("Mandatory", "push")
    put(client, "items", {**PUSH, "audiences": ["leaders"]})
    assert first(ask(client))[0] != "Mandatory"


def test_the_minimal_form_says_what_a_card_needs(client: TestClient) -> None:
    put(client, "items", PUSH)
    put(client, "assignments", DUTY)
    answer = ask(client, form="minimal", limit=2)
    assert set(answer) == {"decision_id", "fallback", "language", "rows"}
    due = {"assignment_id": "protocol", "due_at": "2026-06-05T12:00:00Z", "urgent": True, "overdue": False}
    item = {"item_id": "push", "title": "New protocol", "position": 0, "due": due, "language_mismatch": False}
    assert answer["rows"][0] == {"title": "Mandatory", "items": [item], "more": 0}
    assert len(answer["rows"]) == 2
    full = ask(client, rows=[{"row": "mandatory", "limit": 1}])
    assert [row["row"] for row in full["rows"]] == ["mandatory"]
    wrong = client.post("/v1/recommendations", json={"learner_id": "ana", "rows": [{"row": "nonsense"}]})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "rows.0.row")


def test_the_report_says_who_saw_began_and_did_it(client: TestClient) -> None:
    put(client, "items", PUSH)
    put(client, "assignments", {**DUTY, "due_at": NOW.isoformat(), "audience": None} | {"learner_id": "ben", "id": "bens"})
    put(client, "assignments", DUTY)
    put(client, "learners", {"id": "gone", "audiences": [CUSTOMERS], "status": "ended"})
    put(client, "learners", {"id": "late", "aliases": ["l-1"], "audiences": [CUSTOMERS]})

    def did(learner: str, verb: str) -> None:
        told = {"event_id": f"{learner} {verb}", "learner_id": learner, "verb": verb, "object_id": "push"}
        assert client.post("/v1/events", json=told | {"occurred_at": NOW.isoformat()}).json()["accepted"] == 1

    ask(client, "l-1")
    ask(client, "ana")
    did("ana", "started")
    did("off", "shown")
    report = client.get("/v1/assignments/protocol/report").json()
    counts = {name: report[name] for name in ("assigned", "seen", "acknowledged", "done", "overdue")}
    assert counts == {"assigned": 3, "seen": 3, "acknowledged": 1, "done": 0, "overdue": 0}
    told = {one["learner_id"]: (one["seen"], one["acknowledged"], one["state"]) for one in report["learners"]}
    assert told == {"ana": (True, True, "open"), "late": (True, False, "open"), "off": (True, False, "open")}
    did("off", "completed")
    assert client.get("/v1/assignments/protocol/report").json()["done"] == 1
    assert client.get("/v1/assignments/bens/report").json()["learners"] == [
        {"learner_id": "ben", "seen": False, "acknowledged": False, "state": "overdue", "due_at": "2026-06-01T12:00:00Z"}
    ]
    assert client.get("/v1/assignments/none/report").status_code == 404


def test_a_push_that_no_bundle_knows_is_shown_beside_a_duty_that_a_request_excludes(client: TestClient) -> None:
    put(client, "items", PUSH)
    put(client, "assignments", {"id": "a-before", "item_id": "calm", "audience": CUSTOMERS, "due_at": "2026-06-02T12:00:00Z"})
    put(client, "assignments", {**DUTY, "urgent": False})
    assert first(ask(client, exclude=["calm"])) == ("Mandatory", "push")


def test_only_what_was_done_since_the_assignment_acknowledges_it(client: TestClient, store: EventStore) -> None:
    """Whoever had done it long before counted as having acknowledged the news."""
    before, after = NOW - timedelta(days=20), NOW - timedelta(days=5)
    push = Item.model_validate({**PUSH, "aliases": ["push-1"]})
    store.tenant(TENANT).put([push], at=before)
    store.tenant(TENANT).put([Assignment.model_validate(DUTY)], at=NOW - timedelta(days=10))
    store.tenant(TENANT).append(
        [
            event("ana", Verb.COMPLETED, "push", at=before),
            event("off", Verb.COMPLETED, "push", at=before),
            event("off", Verb.PROGRESSED, "push", at=after),
        ]
    )
    report = client.get("/v1/assignments/protocol/report").json()
    told = {one["learner_id"]: (one["acknowledged"], one["state"]) for one in report["learners"]}
    assert told == {"ana": (False, "done"), "off": (True, "done")}


def test_the_report_knows_names_leaves_and_parts(client: TestClient, store: EventStore) -> None:
    session, since = store.tenant(TENANT), NOW - timedelta(days=10)
    session.put([Item.model_validate(PUSH), Assignment.model_validate({**DUTY, "due_at": (NOW - timedelta(days=1))})], at=since)
    away = LEARNERS[0].model_copy(update={"status": "leave", "aliases": ("ana@acme",)})
    session.put([away], at=NOW - timedelta(days=4))
    session.append([event("ana@acme", Verb.STARTED, "push", at=NOW - timedelta(days=5))])
    ana, off = client.get("/v1/assignments/protocol/report").json()["learners"]
    assert (ana["learner_id"], ana["acknowledged"], ana["state"]) == ("ana", True, "open")  # the time stands still
    assert (off["learner_id"], off["acknowledged"], off["state"]) == ("off", False, "overdue")
