"""An offline slate is asked for, and fetched again without a new decision."""

from datetime import timedelta
from typing import Any

import pytest
from acme import KEY, NOW, TENANT
from starlette.testclient import TestClient

from features.store import EventStore
from serving import service
from serving.client import Client
from serving.payloads import RecommendationsRequest, TokenRequest
from serving.slates.slate import LIFE, read


def test_it_is_the_answer_and_a_signed_text_of_the_recorded_decision(signing: TestClient, slate: Any, kept: EventStore) -> None:
    decision = kept.tenant(TENANT).decision(slate["decision_id"])
    assert decision is not None
    said = read(service.pages.runtime.signer, slate["offline"]["slate"])
    assert said is not None
    assert said[:6] == (TENANT, "ana", decision.decision_id, decision.bundle, NOW, NOW + LIFE)
    assert list(said.items) == [(one.item_id, one.position, one.propensity) for one in decision.slate]
    assert {name for name in slate if name != "offline"} == set(decision.answer())


@pytest.mark.parametrize("form", ["full", "minimal"])
def test_fetched_again_it_is_the_same_to_the_byte_and_no_decision(signing: TestClient, kept: EventStore, form: str) -> None:
    asked = {"learner_id": "ana", "offline": True, "form": form}
    given = signing.post("/v1/recommendations", json=asked)
    path = f"/v1/slates/{given.json()['decision_id']}"
    again = signing.get(path)
    assert (again.status_code, again.text) == (200, given.text)
    held = signing.get(path, headers={"If-None-Match": again.headers["etag"]})
    assert (held.status_code, held.content, held.headers["etag"]) == (304, b"", again.headers["etag"])
    assert "etag" not in given.headers
    assert len(list(kept.tenant(TENANT).decisions())) == 1


def test_each_ranking_is_a_decision_whatever_the_caller_holds(signing: TestClient, kept: EventStore) -> None:
    for _ in range(2):
        answer = signing.post("/v1/recommendations", json={"learner_id": "ana"}, headers={"If-None-Match": "*"})
        assert answer.status_code == 200
        assert "offline" not in answer.json()
    assert len(list(kept.tenant(TENANT).decisions())) == 2


def test_what_is_no_slate_or_has_ended_is_not_given(signing: TestClient, slate: Any, clock: Any) -> None:
    plain = signing.post("/v1/recommendations", json={"learner_id": "ana"}).json()["decision_id"]
    assert [signing.get(f"/v1/slates/{one}").status_code for one in (plain, "nowhere")] == [404, 404]
    clock.now = NOW + LIFE - timedelta(microseconds=1)
    assert signing.get(f"/v1/slates/{slate['decision_id']}").status_code == 200
    clock.now = NOW + LIFE
    ended = signing.get(f"/v1/slates/{slate['decision_id']}")
    assert (ended.status_code, "ended at 2026-06-08" in ended.json()["detail"]) == (410, True)


def test_a_learner_token_opens_its_learners_slate_alone(signing: TestClient, slate: Any) -> None:
    client = Client("", "test-key", http=signing)
    path = f"/v1/slates/{slate['decision_id']}"
    for learner, status in (("ana", 200), ("ben", 404)):
        token = client.token(TokenRequest(learner_id=learner)).token
        assert signing.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == status


def test_an_erased_learners_slate_is_gone(signing: TestClient, slate: Any) -> None:
    assert signing.delete("/v1/learners/ana").status_code == 204
    assert signing.get(f"/v1/slates/{slate['decision_id']}").status_code == 404


def test_without_a_secret_nothing_is_decided_and_the_answer_says_why(client: TestClient, store: EventStore) -> None:
    answer = client.post("/v1/recommendations", json={"learner_id": "ana", "offline": True}, headers=KEY)
    assert (answer.status_code, "NEXTWISE_TOKEN_SECRET" in answer.json()["detail"]) == (409, True)
    assert list(store.tenant(TENANT).decisions()) == []


def test_the_client_keeps_a_slate_and_asks_again(signing: TestClient) -> None:
    nextwise = Client("", "test-key", http=signing)
    first = nextwise.offline(RecommendationsRequest(learner_id="ana", limit=2))
    assert first.etag is None
    tagged = nextwise.slate(first)
    assert tagged.etag is not None
    assert tagged.answer == first.answer
    assert nextwise.slate(tagged) is tagged
