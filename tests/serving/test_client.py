"""The client against the whole service, and against one that is in trouble."""

import json
import time
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from acme import NOW, TENANT
from starlette.testclient import TestClient

from features.catalogue import Item, Learner
from features.events import Verb
from features.store import EventStore
from serving.client import Client, ProblemError
from serving.payloads import (
    EventIn,
    EvidenceIn,
    FeedbackIn,
    GapsQuery,
    RankRequest,
    RecommendationsRequest,
    SkillsQuery,
    SyncQuery,
)
from serving.progress.payloads import ProgressQuery


@pytest.fixture
def nextwise(client: TestClient) -> Client:
    return Client("", "test-key", http=client)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def event(number: int, **fields: object) -> EventIn:
    given = {"event_id": f"e{number}", "learner_id": "ana", "verb": Verb.COMPLETED, "object_id": "calm", "occurred_at": NOW}
    return EventIn.model_validate(given | fields)


def test_every_call_has_a_typed_answer(nextwise: Client, store: EventStore) -> None:
    found = nextwise.recommendations(RecommendationsRequest(learner_id="ana", limit=3))
    assert 1 <= sum(len(row.items) for row in found.rows) <= 3
    assert len(nextwise.minimal(RecommendationsRequest(learner_id="ana", limit=2)).rows[0].items) == 2
    ranked = nextwise.rank(RankRequest(learner_id="ana", candidates=("calm", "data")))
    assert {item.item_id for row in ranked.rows for item in row.items} <= {"calm", "data"}
    assert nextwise.feedback(FeedbackIn(learner_id="ana", item_id="calm", feedback="not_relevant")).outcome == "accepted"
    assert nextwise.rank(RankRequest(learner_id="ana", candidates=("calm",))).removed == {"dismissed": ("calm",)}
    assert nextwise.skills("ana", SkillsQuery(at=NOW)).learner_id == "ana"
    assert nextwise.progress("ana", ProgressQuery(at=NOW)).points is not None
    assert nextwise.gaps("ana", GapsQuery(limit=2)).role is not None
    statement = {"actor": {"mbox": "mailto:a@b.example"}, "object": {"id": "https://lms.example/1"}}
    (stored,) = nextwise.statements([{**statement, "verb": {"id": "http://adlnet.gov/expapi/verbs/passed"}}])
    assert [one.event_id for one in store.tenant(TENANT).history("mailto:a@b.example")] == [stored]
    assert nextwise.health().unresolved_items.count == 1


def test_the_catalogue_is_put_synced_and_retired(nextwise: Client, store: EventStore) -> None:
    excel = Item(id="excel 1/2", title="Excel", skills={"sheets": 2}, available_until=NOW)
    answer = nextwise.put(Item, [excel])
    assert (answer.inserted, answer.unresolved[0].id) == (1, "sheets")
    assert store.tenant(TENANT).catalogue().items["excel 1/2"] == excel
    with pytest.raises(ProblemError, match="409: 6 of 7 items would vanish"):
        nextwise.sync(Item, [excel])
    assert nextwise.sync(Item, [excel], SyncQuery(most_vanish=0.9)).retired == 6
    nextwise.retire(Item, "excel 1/2")
    assert not store.tenant(TENANT).catalogue().items
    with pytest.raises(ProblemError, match="404: there is no item 'excel 1/2'"):
        nextwise.retire(Item, "excel 1/2")


def test_evidence_is_stored_and_a_learner_exported_and_erased(nextwise: Client, store: EventStore) -> None:
    shown = EvidenceIn(event_id="1", learner_id="ana", skill="sheets", kind="used_in_work", source="crm:7", occurred_at=NOW)
    wrong = shown.model_copy(update={"event_id": "2", "source": None})
    assert [one.outcome for one in nextwise.evidence([shown, wrong]).results] == ["accepted", "invalid"]
    assert "crm:7" in str(nextwise.export("ana"))
    with pytest.raises(ValueError, match="put them with the status `ended`, or erase"):
        nextwise.retire(Learner, "ana")
    nextwise.erase("ana")
    assert store.tenant(TENANT).history("ana") == []


def test_any_number_of_events_goes_in_parts_and_each_has_its_result(nextwise: Client) -> None:
    events = [event(n) for n in range(1_002)] + [event(1_000, object_id="data"), event(0, occurred_at=NOW + timedelta(days=1))]
    answer = nextwise.record(events)
    assert answer.accepted == 1_002
    assert [result.index for result in answer.results] == list(range(1_004))
    assert [result.outcome for result in answer.results[-2:]] == ["conflict", "invalid"]
    assert nextwise.record([]).results == ()


def test_a_refusal_names_the_field(nextwise: Client, client: TestClient) -> None:
    with pytest.raises(ProblemError, match="404") as refused:
        nextwise.skills("nobody/at all")
    assert refused.value.problem.status == 404
    with pytest.raises(ProblemError) as refused:
        nextwise.statements([{"actor": {}}])
    assert (refused.value.problem.status, refused.value.problem.field) == (400, "0.actor")
    with pytest.raises(ProblemError) as refused:
        Client("", "wrong", http=client).health()
    assert refused.value.problem.status == 401


def against(answer: Callable[[httpx.Request], httpx.Response], *, attempts: int = 3) -> Client:
    http = httpx.Client(base_url="http://nextwise.example", transport=httpx.MockTransport(answer))
    return Client("", "key", attempts=attempts, http=http)


def test_a_service_that_is_not_ready_is_asked_again_as_it_wishes(slept: list[float]) -> None:
    answers = iter([httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(503), httpx.Response(200, json=["i"])])
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return next(answers)

    assert against(answer).statements([{"verb": {}}]) == ["i"]
    assert slept == [7.0, 0.5]
    assert len(set(seen)) == 1  # the id that it was given stays
    assert "id" in json.loads(seen[0])[0]


def test_what_stays_down_is_said_in_the_services_words_or_a_proxys(slept: list[float]) -> None:
    with pytest.raises(ProblemError, match="502: <html>bad gateway"):
        against(lambda request: httpx.Response(502, text="<html>bad gateway")).health()
    assert len(slept) == 2

    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(httpx.ConnectError):
        against(gone, attempts=2).health()
    assert len(slept) == 3


def test_a_wrong_request_is_sent_once(slept: list[float]) -> None:
    with pytest.raises(ProblemError):
        against(lambda request: httpx.Response(400, json={"title": "Bad Request", "status": 400, "detail": "no"})).health()
    assert slept == []


def test_what_is_large_goes_packed(slept: list[float]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["content-encoding"] == "gzip"
        return httpx.Response(200, json=[])

    assert against(answer).statements([{"object": {"id": "x" * 9_000}}]) == []


def test_at_least_one_attempt() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Client("http://x.example", "key", attempts=0)
