"""The audit log over HTTP: what a key did is told with its id, a page at a time, and to nobody else's tenant."""

from datetime import datetime
from typing import Any

import pytest
from acme import NOW, TENANT
from starlette.testclient import TestClient

from features.audit import FIRST, AuditRow, verify, written
from features.columns import microseconds
from features.keys import Scope
from features.store import EventStore
from serving.xapi import HEADER

PATH = "/v1/audit"
EXCEL = {"id": "excel", "title": "Excel"}
LATE = {"Authorization": "Bearer test-key", HEADER: "1.0.3"}


def told(client: TestClient, **query: Any) -> list[tuple[str, str]]:
    return [(row["action"], row["by"]) for row in client.get(PATH, params={"after": 1, **query}).json()["rows"]]


def said(n: int, verb: str, thing: dict[str, object]) -> dict[str, object]:
    actor = {"mbox": "mailto:ana@acme.example"}
    name = f"00000000-0000-0000-0000-{n:012}"
    return {"id": name, "actor": actor, "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}"}, "object": thing}


def test_what_a_key_did_is_told_with_its_id_and_what_happens_every_second_is_not(client: TestClient, store: EventStore) -> None:
    key = store.keys().add(TENANT, "lms", [Scope.ADMIN], at=NOW)
    with_key = {"Authorization": f"Bearer {key.text}"}
    event = {"learner_id": "ana", "verb": "completed", "object_id": "calm", "occurred_at": "2026-05-31T09:00:00Z"}
    client.post("/v1/events", json={**event, "event_id": "e1"})
    client.post("/v1/recommendations", json={"learner_id": "ana"})
    client.put("/v1/items", json=EXCEL, headers=with_key)
    client.delete("/v1/items/excel", headers=with_key)
    client.get("/v1/learners/ana/export", headers=with_key)
    client.delete("/v1/learners/ana")
    client.get("/v1/learners/ana/export", headers=with_key)
    client.post("/xapi/statements", json=said(1, "completed", {"id": "https://lms.example/1"}), headers=LATE)
    voiding = said(2, "voided", {"objectType": "StatementRef", "id": said(1, "", {})["id"]})
    client.post("/xapi/statements", json=voiding, headers=LATE)
    name = key.key.key_id
    assert told(client) == [
        ("key added", "command line"),
        ("catalogue changed", name),
        ("catalogue retired", name),
        ("learner exported", name),
        ("learner erased", "development"),
        ("learner exported", name),
        ("events voided", "development"),
    ]
    assert told(client, learner_id="ana") == [
        ("learner exported", name),
        ("learner erased", "development"),
        ("learner exported", name),
    ]


def test_it_is_read_page_by_page_and_can_be_verified_outside(client: TestClient) -> None:
    for n in range(5):
        client.put("/v1/items", json={"id": f"i{n}", "title": "x"})
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = client.get(PATH, params={"after": after, "limit": 2}).json()
        rows += page["rows"]
        after = page["next"]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5, 6]  # the first is of the rows that the test begins with
    assert rows[0]["previous"] == FIRST
    chain = []
    for row in rows:
        row["at"] = microseconds(datetime.fromisoformat(row["at"]))
        chain.append(AuditRow(tenant=TENANT, **{**row, "details": written(row["details"])}))
    assert verify(chain).broken is None


def test_another_tenant_sees_nothing_of_it(client: TestClient, store: EventStore) -> None:
    key = store.keys().add("other", "lms", [Scope.ADMIN], at=NOW)
    other = {"Authorization": f"Bearer {key.text}"}
    assert [row["action"] for row in client.get(PATH, headers=other).json()["rows"]] == ["key added"]
    assert client.get(PATH, headers=other, params={"learner_id": "ana"}).json() == {"rows": [], "next": None}


@pytest.mark.parametrize("scope", [one for one in Scope if one is not Scope.ADMIN])
def test_only_an_admin_reads_it(client: TestClient, store: EventStore, scope: Scope) -> None:
    key = store.keys().add(TENANT, "lms", [scope], at=NOW)
    assert client.get(PATH, headers={"Authorization": f"Bearer {key.text}"}).status_code == 403


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "learner_id=", "nope=1", "limit=1&limit=2"])
def test_a_wrong_question_is_refused_by_its_field(client: TestClient, query: str) -> None:
    refused = client.get(f"{PATH}?{query}")
    assert (refused.status_code, refused.json()["field"]) == (400, query.partition("=")[0])


def test_nobody_gets_an_export_that_cannot_be_told_of(client: TestClient, store: EventStore) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE audit")
    assert client.get("/v1/learners/ana/export").status_code == 503
