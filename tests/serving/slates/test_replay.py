"""What was done offline, told later, on both databases: stored once, with both clocks right, and nothing that cannot be."""

from datetime import timedelta
from typing import Any

import pytest
from acme import LEARNERS, NOW, TENANT
from starlette.testclient import TestClient

from features.events import Event, Verb
from features.store import EventStore
from serving import service
from serving.claims import Signer
from serving.client import Client
from serving.runtime import StoreDownError
from serving.slates.payloads import ReplayIn
from serving.slates.slate import LIFE, Place, Slate, signed

PATH = "/v1/slates/replay"
SECRET = "s" * 32
HOUR = timedelta(hours=1)


def tell(client: TestClient, slate: Any, *done: Any, learner: str = "ana", text: str | None = None) -> Any:
    return client.post(PATH, json={"learner_id": learner, "slate": text or slate["offline"]["slate"], "done": list(done)})


def outcomes(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["outcome"] for one in answer.json()["results"]]


def history(store: EventStore, learner: str = "ana") -> list[Event]:
    return list(store.tenant(TENANT).history(learner))


def test_each_thing_is_the_event_that_it_is_with_the_decision_and_both_clocks(
    signing: TestClient, slate: Any, did: Any, kept: EventStore, clock: Any
) -> None:
    clock.now = NOW + timedelta(days=3)
    whats = ("shown", "opened", "started", "completed", "dismissed")
    rows = [did(what, what, NOW + n * HOUR) for n, what in enumerate(whats)]
    rows[3]["result"] = {"score": 0.5, "duration_s": 300}
    answer = tell(signing, slate, *rows)
    assert outcomes(answer) == ["accepted"] * 5
    assert (answer.json()["accepted"], answer.json()["decision"]) == (5, "stored")
    events = history(kept)
    assert [one.verb for one in events] == [Verb.SHOWN, Verb.SHOWN, Verb.STARTED, Verb.COMPLETED, Verb.DISMISSED]
    assert [one.occurred_at for one in events] == [NOW + n * HOUR for n in range(5)]
    assert {one.recorded_at for one in events} == {clock.now}
    assert {one.decision_id for one in events} == {slate["decision_id"]}
    assert {(one.backfill, one.source) for one in events} == {(False, "offline")}
    (result,) = [one.result for one in events if one.result is not None]
    assert (result.score, result.duration_s) == (0.5, 300)
    first = slate["rows"][0]["items"][0]
    told = {"position": 0, "propensity": first["propensity"], "bundle": slate["bundle"]}
    assert events[0].context == {"offline": told}
    assert events[1].context == {"offline": {**told, "opened": True}}


def test_sent_again_with_more_it_is_stored_once(
    signing: TestClient, slate: Any, did: Any, kept: EventStore, clock: Any
) -> None:
    clock.now = NOW + HOUR
    assert outcomes(tell(signing, slate, did("a"))) == ["accepted"]
    clock.now = NOW + 30 * LIFE
    assert outcomes(tell(signing, slate, did("a"), did("b", "started"))) == ["duplicate", "accepted"]
    assert outcomes(tell(signing, slate, did("a", "completed"))) == ["conflict"]
    assert [one.event_id for one in history(kept)] == ["a", "b"]


def test_done_in_time_and_sent_late_it_counts(signing: TestClient, slate: Any, did: Any, clock: Any) -> None:
    clock.now = NOW + timedelta(days=90)
    last, after = NOW + LIFE - timedelta(microseconds=1), NOW + LIFE
    answer = tell(signing, slate, did("last", at=last), did("after", at=after))
    assert outcomes(answer) == ["accepted", "invalid"]
    wrong = answer.json()["results"][1]
    assert (wrong["field"], "the slate ended at 2026-06-08T12:00:00+00:00" in wrong["detail"]) == ("occurred_at", True)


def test_nothing_is_done_before_it_was_decided(signing: TestClient, slate: Any, did: Any, kept: EventStore, clock: Any) -> None:
    """A clock that is a few minutes behind is believed but for that; one that is further off is not."""
    clock.now = NOW + HOUR
    behind = did("behind", at=NOW - timedelta(minutes=5))
    far = did("far", at=NOW - timedelta(minutes=5, seconds=1))
    assert outcomes(tell(signing, slate, behind, far)) == ["accepted", "invalid"]
    assert outcomes(tell(signing, slate, behind)) == ["duplicate"]
    assert [one.occurred_at for one in history(kept)] == [NOW]


def test_nothing_is_done_in_the_future(signing: TestClient, slate: Any, did: Any) -> None:
    rows = [did("ahead", at=NOW + timedelta(minutes=5)), did("far", at=NOW + timedelta(minutes=6))]
    answer = tell(signing, slate, *rows)
    assert outcomes(answer) == ["accepted", "invalid"]
    assert answer.json()["results"][1]["field"] == "occurred_at"


def test_a_wrong_row_keeps_no_other_out(signing: TestClient, slate: Any, did: Any, clock: Any) -> None:
    clock.now = NOW + HOUR
    rows = [
        did("elsewhere", item_id="lead"),
        did("liked", "liked"),
        did("scored", "shown", result={"score": 1}),
        did("huge", "completed", result={"score": 2}),
        did("timeless", occurred_at="0001-01-01T00:00:00+14:00"),
        {"event_id": "empty"},
        7,
        did("right"),
    ]
    answer = tell(signing, slate, *rows)
    assert outcomes(answer) == ["invalid"] * 7 + ["accepted"]
    fields = [one.get("field") for one in answer.json()["results"]]
    assert fields == ["item_id", "did", "result", "result.score", "occurred_at", "item_id", None, None]
    assert [one.get("event_id") for one in answer.json()["results"]][-3:] == ["empty", None, "right"]


def foreign(tenant: str = TENANT, learner: str = "ana", secret: str = SECRET) -> str:
    return signed(Signer([secret]), Slate(tenant, learner, "d9", "b", NOW, NOW + LIFE, (Place("calm", 0, 1.0),)))


NOT_THEIRS = {
    foreign(secret="x" * 32): "no slate that this service gave you",
    foreign("bolt"): "no slate that this service gave you",
    foreign()[:-1]: "no slate that this service gave you",
    foreign(learner="ben"): "another learner than `learner_id`",
}


def test_a_slate_that_was_not_given_to_this_tenant_and_learner_is_refused(
    signing: TestClient, slate: Any, did: Any, kept: EventStore
) -> None:
    for text, words in NOT_THEIRS.items():
        answer = tell(signing, slate, did("a", item_id="calm"), text=text)
        assert (answer.status_code, answer.json()["field"], words in answer.json()["detail"]) == (403, "slate", True)
    assert history(kept) == history(kept, "ben") == []


def test_wrong_input_names_the_field(signing: TestClient, slate: Any) -> None:
    text = slate["offline"]["slate"]
    for body, field in [
        ([], "body"),
        ({"slate": text, "done": [1]}, "learner_id"),
        ({"learner_id": "ana", "slate": "", "done": [1]}, "slate"),
        ({"learner_id": "ana", "slate": text, "done": []}, "done"),
        ({"learner_id": "ana", "slate": text, "done": {}}, "done"),
        ({"learner_id": "ana", "slate": text, "done": [1] * 1001}, "done"),
        ({"learner_id": "ana", "slate": text}, "done"),
        ({"learner_id": "ana", "slate": text, "done": [1], "more": 1}, "more"),
    ]:
        answer = signing.post(PATH, json=body)
        assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_the_record_may_be_missing_and_what_was_done_is_stored_with_its_propensity(
    signing: TestClient, slate: Any, did: Any, kept: EventStore, clock: Any
) -> None:
    clock.now = NOW + HOUR
    answer = tell(signing, slate, did("a", item_id="calm"), text=foreign())
    assert (outcomes(answer), answer.json()["decision"]) == (["accepted"], "missing")
    assert outcomes(tell(signing, slate, did("a", item_id="calm"), text=foreign())) == ["duplicate"]
    (event,) = history(kept)
    assert (event.decision_id, event.context) == ("d9", {"offline": {"position": 0, "propensity": 1.0, "bundle": "b"}})


def test_a_decision_that_waits_in_the_spool_is_said_to_wait(
    signing: TestClient, did: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = service.pages.runtime

    def down(*_: Any) -> None:
        raise OSError("down")

    clock.now = NOW + HOUR
    with monkeypatch.context() as patch:
        patch.setattr(runtime._log, "_record", down)
        slate = signing.post("/v1/recommendations", json={"learner_id": "ana", "offline": True}).json()
        row = did("a", at=clock.now)
        answer = tell(signing, slate, row)
        assert (outcomes(answer), answer.json()["decision"]) == (["accepted"], "waiting")
    signing.post("/v1/recommendations", json={"learner_id": "ben"})  # the store is back, and takes what waited
    answer = tell(signing, slate, row)
    assert (outcomes(answer), answer.json()["decision"]) == (["duplicate"], "stored")


def test_the_erased_stay_erased_whatever_their_phone_did_since(
    signing: TestClient, slate: Any, did: Any, kept: EventStore, clock: Any
) -> None:
    """Also what was done after the erasure, with a slate from before it: nobody is there whose slate it could be."""
    clock.now = NOW + HOUR
    assert signing.delete("/v1/learners/ana").status_code == 204
    clock.now = NOW + 3 * HOUR
    answer = tell(signing, slate, did("before"), did("after", at=NOW + 2 * HOUR))
    assert (outcomes(answer), answer.json()["decision"]) == (["suppressed", "suppressed"], "missing")
    assert history(kept) == []
    fresh = signing.post("/v1/recommendations", json={"learner_id": "ana", "limit": 3, "offline": True}).json()
    assert outcomes(tell(signing, fresh, did("new", at=clock.now))) == ["accepted"]


def test_who_opted_out_and_what_was_retired_meanwhile_are_facts_all_the_same(
    signing: TestClient, slate: Any, did: Any, kept: EventStore, clock: Any
) -> None:
    clock.now = NOW + HOUR
    row = did("a", "completed")
    assert signing.put("/v1/learners", json={"id": "ana", "personalisation": False}).status_code == 200
    assert signing.delete(f"/v1/items/{row['item_id']}").status_code == 204
    assert outcomes(tell(signing, slate, row)) == ["accepted"]
    assert [one.verb for one in history(kept)] == [Verb.COMPLETED]


def test_a_learner_token_does_not_say_what_was_completed(signing: TestClient, slate: Any, did: Any) -> None:
    token = signing.post("/v1/tokens", json={"learner_id": "ana"}).json()["token"]
    body = {"learner_id": "ana", "slate": slate["offline"]["slate"], "done": [did("a")]}
    assert signing.post(PATH, json=body, headers={"Authorization": f"Bearer {token}"}).status_code == 403


def test_a_store_that_is_down_is_to_be_told_later(
    signing: TestClient, slate: Any, did: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: Any, **__: Any) -> None:
        raise StoreDownError("the event store does not answer")

    for part in ("beside", "write"):
        with monkeypatch.context() as patch:
            patch.setattr(service.pages.runtime, part, down)
            answer = tell(signing, slate, did("a", at=NOW))
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_the_client_tells_what_was_done(signing: TestClient, slate: Any, did: Any) -> None:
    done = ReplayIn.model_validate_json(
        ReplayIn.model_construct(learner_id="ana", slate=slate["offline"]["slate"], done=(did("a", at=NOW),)).model_dump_json(
            warnings=False
        )
    )
    answer = Client("", "test-key", http=signing).replay(done)
    assert (answer.accepted, answer.decision) == (1, "stored")


def test_an_alias_of_the_learner_is_no_other_learner(
    signing: TestClient, slate: Any, did: Any, kept: EventStore, clock: Any
) -> None:
    clock.now = NOW + HOUR
    kept.tenant(TENANT).put([LEARNERS[0].model_copy(update={"aliases": ("ana@acme",)})], at=NOW)
    assert outcomes(tell(signing, slate, did("a"), learner="ana@acme")) == ["accepted"]
    assert tell(signing, slate, did("b"), learner="ben").status_code == 403
    asked = signing.post("/v1/recommendations", json={"learner_id": "ana@acme", "offline": True}).json()
    item = asked["rows"][0]["items"][0]["item_id"]
    row = did("c", at=clock.now, item_id=item)
    assert outcomes(tell(signing, asked, row)) == ["accepted"]


def test_a_request_with_an_idempotency_key_needs_no_ids_and_is_stored_once(
    signing: TestClient, slate: Any, did: Any, kept: EventStore, clock: Any
) -> None:
    clock.now = NOW + HOUR
    rows = [{name: said for name, said in did("x", what).items() if name != "event_id"} for what in ("shown", "started")]

    def send(key: str | None, *done: Any) -> Any:
        body = {"learner_id": "ana", "slate": slate["offline"]["slate"], "done": list(done)}
        return signing.post(PATH, json=body, headers={} if key is None else {"Idempotency-Key": key})

    assert outcomes(send("trip-1", *rows)) == ["accepted", "accepted"]
    again = send("trip-1", *rows, did("own", "completed"))
    assert outcomes(again) == ["duplicate", "duplicate", "accepted"]
    assert again.json()["results"][2]["event_id"] == "own"
    assert outcomes(send("trip-1", rows[1])) == ["conflict"]  # another row under the same key and number
    assert outcomes(send("trip-2", rows[0])) == ["accepted"]
    without = send(None, rows[0]).json()["results"][0]
    assert (without["outcome"], without["field"]) == ("invalid", "event_id")
    assert len(history(kept)) == 4
    for wrong in ("", "x" * 256):
        assert (send(wrong, rows[0]).status_code, send(wrong, rows[0]).json()["field"]) == (400, "idempotency-key")
