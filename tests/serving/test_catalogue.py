"""The catalogue over HTTP: all rows of a request or none, snapshots that refuse, and walls between tenants."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import ITEMS, KEY, NOW, TENANT, publish
from starlette.testclient import TestClient

from features.catalogue import Assignment, Item, Learner, Role, Skill
from features.keys import Scope
from features.store import EventStore
from serving import catalogue, service
from serving.body import LARGE, MAX_BODY
from serving.catalogue import MAX_BYTES, PLURALS
from serving.clock import Clock
from serving.runtime import Runtime
from serving.settings import Settings

JSON = {"Content-Type": "application/json"}
EXCEL = {"id": "excel", "title": "Excel"}


def counts(answer: Any) -> tuple[int, int, int, int]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["inserted"], body["changed"], body["unchanged"], body["retired"]


def refused(answer: Any, status: int, field: str | None) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json().get("field") == field
    return str(answer.json()["detail"])


def items(store: EventStore, tenant: str = TENANT) -> list[str]:
    return list(store.tenant(tenant).catalogue().items)


@pytest.fixture
def later(client: TestClient) -> Callable[[float], None]:
    """Moves the service's clock to so many hours after NOW."""

    def move(hours: float) -> None:
        service.pages.runtime.clock = Clock(lambda: NOW + timedelta(hours=hours))

    return move


ROWS: list[tuple[str, dict[str, Any]]] = [
    ("items", {"id": "a/b c", "title": "T", "duration_s": 60.5, "languages": ["en"], "available_from": "2026-01-01T00:00:00Z"}),
    ("skills", {"id": "sql", "name": "SQL"}),
    ("roles", {"id": "clerk", "name": "Clerk", "expects": {"sql": 2}}),
    ("learners", {"id": "zoë", "audiences": ["staff"], "spells": [{"since": "2020-01-01T00:00:00+01:00"}]}),
    ("assignments", {"id": "duty", "item_id": "safe", "audience": "staff", "due_at": "2026-07-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("plural", "row"), ROWS)
def test_a_row_is_stored_shown_and_changed(client: TestClient, later: Callable[[float], None], plural: str, row: Any) -> None:
    assert counts(client.put(f"/v1/{plural}", json=row)) == (1, 0, 0, 0)
    shown = client.get(f"/v1/{plural}/{row['id']}")
    assert shown.status_code == 200
    assert counts(client.put(f"/v1/{plural}", json=[shown.json()])) == (0, 0, 1, 0)
    later(1)
    word = {"items": "title", "skills": "name", "roles": "name", "learners": "org_unit", "assignments": "audience"}[plural]
    assert counts(client.put(f"/v1/{plural}", json=[{**row, word: "other"}])) == (0, 1, 0, 0)
    assert client.get(f"/v1/{plural}/{row['id']}").json()[word] == "other"


def test_a_change_is_a_new_version_and_the_old_one_can_still_be_read(
    client: TestClient, store: EventStore, later: Callable[[float], None]
) -> None:
    client.put("/v1/items", json=EXCEL)
    later(1)
    client.put("/v1/items", json={**EXCEL, "title": "Excel 365"})
    session = store.tenant(TENANT)
    titles = [session.catalogue(at=NOW + timedelta(minutes=minutes)).items["excel"].title for minutes in (0, 59, 60)]
    assert titles == ["Excel", "Excel", "Excel 365"]


@pytest.mark.parametrize("plural", sorted(PLURALS))
def test_one_row_is_retired(client: TestClient, store: EventStore, later: Callable[[float], None], plural: str) -> None:
    row = dict(ROWS)[plural]
    client.put(f"/v1/{plural}", json=row)
    later(1)
    path, name = f"/v1/{plural}/{row['id']}", f"{PLURALS[plural]}_id"
    if plural == "learners":  # who leaves has the status `ended`, and DELETE erases them
        assert client.delete(path).status_code == 204
        assert store.tenant(TENANT).export(row["id"]) is None
        return
    answer = client.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert repr(row["id"]) in refused(client.delete(path), 404, name)
    refused(client.get(path), 404, name)
    assert store.tenant(TENANT).row(PLURALS[plural], row["id"]) is None
    later(2)
    assert counts(client.put(f"/v1/{plural}", json=row)) == (1, 0, 0, 0)
    assert client.get(path).status_code == 200


def test_an_id_in_the_path_is_checked(client: TestClient) -> None:
    refused(client.get("/v1/items/" + "x" * 257), 400, "item_id")
    refused(client.delete("/v1/items/a%00b"), 400, "item_id")


def test_a_snapshot_is_all_there_is(client: TestClient, store: EventStore, later: Callable[[float], None]) -> None:
    rows = [{"id": f"item-{n:04}", "title": f"Item {n}"} for n in range(1_500)]
    later(1)
    assert counts(client.put("/v1/items?snapshot=true&most_vanish=1", json=rows)) == (1_500, 0, 0, len(ITEMS))
    assert items(store) == [row["id"] for row in rows]
    later(2)
    rows[0]["title"] = "other"
    assert counts(client.put("/v1/items?snapshot=true", json=[*rows[:-150], EXCEL])) == (1, 1, 1_349, 150)
    assert [len(store.tenant(TENANT).catalogue(at=NOW + timedelta(hours=h)).items) for h in (0, 1, 2)] == [6, 1_500, 1_351]
    assert len(store.tenant(TENANT).learners()) == 3


def test_a_snapshot_without_too_many_is_refused_and_says_which(client: TestClient, store: EventStore) -> None:
    detail = refused(client.put("/v1/items?snapshot=true", json=[EXCEL]), 409, "most_vanish")
    assert "6 of 6 items would vanish ('calm', 'data', 'lead', 'more', 'safe', ...)" in detail
    assert "100.0%, more than 0.1" in detail
    assert items(store) == sorted(item.id for item in ITEMS)
    refused(client.put("/v1/items?snapshot=true&most_vanish=0.5", json=[EXCEL]), 409, "most_vanish")
    empty = client.put("/v1/items?snapshot=true&most_vanish=1", json=[])
    assert "empty snapshot is always refused" in refused(empty, 409, "most_vanish")
    assert counts(client.put("/v1/assignments?snapshot=true", json=[])) == (0, 0, 0, 0)
    assert counts(client.put("/v1/items?snapshot=true&most_vanish=1", json=[EXCEL])) == (1, 0, 0, 6)


BAD_QUERY = [
    ("most_vanish=0.5", "most_vanish"),
    ("snapshot=true&most_vanish=2", "most_vanish"),
    ("snapshot=true&most_vanish=nan", "most_vanish"),
    ("snapshot=true&most_vanish=x", "most_vanish"),
    ("snapshot=perhaps", "snapshot"),
    ("snapshot=true&snapshot=false", "snapshot"),
    ("dry_run=true", "dry_run"),
]


@pytest.mark.parametrize(("query", "field"), BAD_QUERY)
def test_a_wrong_query_is_a_400(client: TestClient, store: EventStore, query: str, field: str) -> None:
    assert field in refused(client.put(f"/v1/items?{query}", json=[EXCEL]), 400, field)
    assert "excel" not in items(store)


BAD: list[tuple[str, Any, str]] = [
    ("items", "excel", "body"),
    ("items", 7, "body"),
    ("items", [], "body"),
    ("items", [EXCEL] * 1_001, "body"),
    ("items", {"id": "excel"}, "title"),
    ("items", [EXCEL, {"title": "T"}], "1.id"),
    ("items", [EXCEL, 7], "1"),
    ("items", [EXCEL, None], "1"),
    ("items", [[EXCEL]], "0"),
    ("items", [{**EXCEL, "id": ""}], "0.id"),
    ("items", [{**EXCEL, "id": "a\u0000b"}], "0.id"),
    ("items", [{**EXCEL, "colour": "red"}], "0.colour"),
    ("items", [{**EXCEL, "tenant": "other"}], "0.tenant"),
    ("items", [{**EXCEL, "duration_s": "60"}], "0.duration_s"),
    ("items", [{**EXCEL, "duration_s": -1}], "0.duration_s"),
    ("items", [{**EXCEL, "position": True}], "0.position"),
    ("items", [{**EXCEL, "position": 10**400}], "0.position"),
    ("items", [{**EXCEL, "type": "poem"}], "0.type"),
    ("items", [{**EXCEL, "skills": {"sql": 9}}], "0.skills.sql"),
    ("items", [{**EXCEL, "skills": ["sql"]}], "0.skills"),
    ("items", [{**EXCEL, "languages": "en"}], "0.languages"),
    ("items", [{**EXCEL, "available_from": "2026-01-01"}], "0.available_from"),
    ("items", [{**EXCEL, "available_from": 1_780_000_000}], "0.available_from"),
    ("items", [{**EXCEL, "valid_for": "1 year"}], "0.valid_for"),
    ("items", [{**EXCEL, "valid_for": "P99999999999D"}], "0.valid_for"),
    ("items", [{**EXCEL, "replaces": "excel"}], "0.replaces"),
    ("items", [{**EXCEL, "prerequisites": ["excel"]}], "0.prerequisites"),
    ("items", [{**EXCEL, "title": "x" * 501}], "0.title"),
    ("learners", [{"id": "ann", "status": "gone"}], "0.status"),
    ("learners", [{"id": "ann", "personalisation": "no"}], "0.personalisation"),
    ("learners", [{"id": "ann", "spells": [{"since": "2020-01-01T00:00:00Z"}, {}]}], "0.spells.1.since"),
    ("roles", [{"id": "r", "name": ""}], "0.name"),
    ("skills", [{"id": "s", "title": "S"}], "0.name"),
    ("assignments", [{"id": "d", "item_id": "calm"}], "0.learner_id"),
    ("assignments", [{"id": "d", "item_id": "calm", "learner_id": "ana", "audience": "x"}], "0.audience"),
    ("items", [EXCEL, {**EXCEL, "id": "word"}, {**EXCEL, "title": "other"}], "2.id"),
]


@pytest.mark.parametrize(("plural", "body", "field"), BAD)
def test_one_wrong_row_and_nothing_is_stored(client: TestClient, store: EventStore, plural: str, body: Any, field: str) -> None:
    assert field in refused(client.put(f"/v1/{plural}", json=body), 400, field)
    session = store.tenant(TENANT)
    assert "excel" not in items(store)
    assert session.counts().catalogue == {"skill": 2, "item": 6, "learner": 3, "role": 1, "assignment": 0}


def test_an_error_counts_the_other_wrong_rows_and_a_contradiction_names_both(client: TestClient) -> None:
    rows = [EXCEL, {"id": "a"}, {"id": "b", "title": 7}, {"id": "c"}]
    assert "(and 2 more rows are wrong)" in refused(client.put("/v1/items", json=rows), 400, "1.title")
    rows = [EXCEL, {**EXCEL, "id": "word"}, EXCEL, {**EXCEL, "title": "other"}]
    assert "rows 0 and 3 are both 'excel' and differ" in refused(client.put("/v1/items", json=rows), 400, "3.id")
    assert counts(client.put("/v1/items", json=rows[:3])) == (2, 0, 1, 0)  # the same row twice is no contradiction
    assert "send all items as an array" in refused(client.put("/v1/items?snapshot=true", json=EXCEL), 400, "body")


PADDING = b" " * MAX_BODY
RAW: list[tuple[bytes, str]] = [
    (b'[{"id": "excel", "title": "T", "duration_s": NaN}]', "body"),
    (b'[{"id": "excel", "title": "T", "duration_s": 1e400}]', "0.duration_s"),
    (b'[{"id": "excel", "title": "T", "title": "U"}]', "title"),
    (b'[{"id": "excel", "title": "\xff"}]', "body"),
    (b'[{"id": "excel", "title": "T", "position": ' + b"9" * 5_000 + b"}]", "body"),
    (b'[{"id": "excel", "title": "T", "skills": ' + b"[" * 100_000 + b"}]", "body"),
    (b'[{"id": "excel", "title": "T", "skills": ' + b"[" * 600 + b"]" * 600 + b"}]", "0"),
    (b'[{"id": "excel", "title": "T"', "body"),
    (b"null", "body"),
    (b"", "body"),
]


@pytest.mark.parametrize("padding", [b"", PADDING], ids=["small", "large"])
@pytest.mark.parametrize(("raw", "field"), RAW)
def test_a_broken_body_is_refused_whatever_its_size(
    client: TestClient, store: EventStore, raw: bytes, field: str, padding: bytes
) -> None:
    answer = client.put("/v1/items", content=raw + padding, headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    if not (field == "0" and not padding):  # nested too deeply: the whole body, or the row
        assert answer.json()["field"] == field
    assert "excel" not in items(store)


@pytest.mark.parametrize("padding", [b"", PADDING], ids=["small", "large"])
def test_half_a_character_is_refused(client: TestClient, store: EventStore, padding: bytes) -> None:
    raw = b'[{"id": "excel", "title": "\\ud800"}]' + padding
    assert client.put("/v1/items", content=raw, headers=JSON).status_code == 400
    assert "excel" not in items(store)


def test_a_large_body_is_taken_up_to_its_limit_packed_or_not(client: TestClient, store: EventStore) -> None:
    body = json.dumps([{"id": f"{n:04}", "title": "T", "description": "d" * 2_000} for n in range(1_000)]).encode()
    assert len(body) > MAX_BODY
    assert counts(client.put("/v1/items", content=body, headers=JSON)) == (1_000, 0, 0, 0)
    packed = gzip.compress(body)
    assert counts(client.put("/v1/items", content=packed, headers={**JSON, "Content-Encoding": "gzip"})) == (0, 0, 1_000, 0)
    assert "20,000,000 bytes" in refused(client.put("/v1/items", content=b" " * (MAX_BYTES + 1), headers=JSON), 413, "body")
    bomb = gzip.compress(b" " * (MAX_BYTES + 1))
    refused(client.put("/v1/items", content=bomb, headers={**JSON, "Content-Encoding": "gzip"}), 413, "body")
    refused(client.post("/v1/events", content=b" " * (MAX_BODY + 1), headers=JSON), 413, "body")
    refused(client.put("/v1/items", content=packed[:-4], headers={**JSON, "Content-Encoding": "gzip"}), 400, "content-encoding")
    refused(client.put("/v1/items", content=b"x", headers={"Content-Type": "text/csv"}), 415, "content-type")


def test_a_large_body_is_read_beside_the_event_loop(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    read, beside = catalogue.read_rows, []

    def slow(*given: Any, **more: Any) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            beside.append(True)
        else:
            beside.append(False)
        return read(*given, **more)

    monkeypatch.setattr(catalogue, "read_rows", slow)
    client.put("/v1/items", json=EXCEL)
    client.put("/v1/items", json={**EXCEL, "description": "d" * LARGE})
    assert beside == [False, True]


def test_names_that_lead_nowhere_are_listed_and_not_refused(client: TestClient, store: EventStore) -> None:
    session = store.tenant(TENANT)
    session.put([Item(id="old", title="Old", aliases=("urn:old",)), Learner(id="boss", aliases=("b-1",))], at=NOW)
    word = {"id": "word", "title": "W", "skills": {"typing": 1, "listening": 2}, "prerequisites": ["excel", "urn:old", "none"]}
    excel = {**EXCEL, "replaces": "excel-0", "equivalent_to": ["calm", "none"], "skills": {"typing": 1}}
    answer = client.put("/v1/items", json=[word, excel]).json()
    assert answer["unresolved_count"] == 3
    assert answer["unresolved"] == [
        {"kind": "skill", "id": "typing", "named_by": "word", "field": "skills"},
        {"kind": "item", "id": "none", "named_by": "word", "field": "prerequisites"},
        {"kind": "item", "id": "excel-0", "named_by": "excel", "field": "replaces"},
    ]
    learners = [{"id": "x", "role_id": "agent", "manager_id": "b-1"}, {"id": "y", "role_id": "cook", "manager_id": "x"}]
    found = client.put("/v1/learners", json=learners).json()["unresolved"]
    assert [(one["kind"], one["id"], one["named_by"], one["field"]) for one in found] == [("role", "cook", "y", "role_id")]
    roles = client.put("/v1/roles", json={"id": "r", "name": "R", "expects": {"listening": 1, "sql": 1}}).json()
    assert [one["id"] for one in roles["unresolved"]] == ["sql"]
    duties = [{"id": "1", "item_id": "urn:old", "learner_id": "b-1"}, {"id": "2", "item_id": "new", "learner_id": "nobody"}]
    assert [one["id"] for one in client.put("/v1/assignments", json=duties).json()["unresolved"]] == ["new", "nobody"]
    many = client.put("/v1/items", json={**EXCEL, "prerequisites": [f"p{n}" for n in range(50)]}).json()
    assert (many["unresolved_count"], len(many["unresolved"])) == (50, 20)
    client.put("/v1/skills", json={"id": "typing", "name": "Typing"})
    assert client.put("/v1/items", json={**word, "prerequisites": []}).json()["unresolved_count"] == 0


def test_a_clock_that_went_back_is_a_conflict(client: TestClient, store: EventStore, later: Callable[[float], None]) -> None:
    client.put("/v1/items", json=EXCEL)
    later(-1)
    rows = [{"id": "word", "title": "W"}, {**EXCEL, "title": "other"}]
    assert "the clock of a service went back" in refused(client.put("/v1/items", json=rows), 409, None)
    refused(client.delete("/v1/items/excel"), 409, None)
    assert "word" not in items(store)
    assert store.tenant(TENANT).catalogue().items["excel"].title == "Excel"


@pytest.mark.parametrize("query", ["", "?snapshot=true&most_vanish=1"])
def test_a_learner_under_anothers_name_is_refused_by_its_field(
    client: TestClient, store: EventStore, later: Callable[[float], None], query: str
) -> None:
    client.put("/v1/learners", json={"id": "old", "aliases": ["mailto:old@acme.example"]})
    later(1)
    old, rows = {"id": "old", "aliases": ["mailto:Old@acme.example"]}, [{"id": "zoe"}, {"id": "new"}]
    rows[1] |= {"aliases": ["mailto:old@acme.example"]}  # type: ignore[dict-item]
    words = refused(client.put(f"/v1/learners{query}", json=[old, *rows]), 409, "2.aliases")
    assert words.startswith("2.aliases: 'mailto:old@acme.example' of learner 'new' is an alias of learner 'old', and a name")
    assert {"zoe", "new"}.isdisjoint(store.tenant(TENANT).learners())
    refused(client.put("/v1/learners", json=rows[1]), 409, "aliases")
    assert client.put(f"/v1/learners{query}", json=[*rows, {"id": "old"}]).status_code == 200


def test_a_store_that_is_down_is_a_503_that_says_when_to_come_again(client: TestClient, file: Path) -> None:
    client.put("/v1/items", json=EXCEL)
    away = file.rename(file.with_name("away.db"))
    for method, path in [("PUT", "/v1/items"), ("DELETE", "/v1/items/excel"), ("GET", "/v1/items/excel")]:
        answer = client.request(method, path, json={"id": "word", "title": "W"} if method == "PUT" else None)
        refused(answer, 503, None)
        assert answer.headers["retry-after"] == "2"
    away.rename(file)
    assert client.get("/v1/items/excel").json()["title"] == "Excel"
    refused(client.get("/v1/items/word"), 404, "item_id")


def test_another_tenants_rows_are_out_of_reach(client: TestClient, store: EventStore, later: Callable[[float], None]) -> None:
    other = store.tenant("other")
    theirs = [
        Item(id="calm", title="Theirs"),
        Item(id="secret", title="S"),
        Skill(id="sql", name="SQL"),
        Role(id="cook", name="C"),
    ]
    other.put([*theirs, Learner(id="ana", org_unit="theirs"), Assignment(id="d", item_id="calm", audience="x")], at=NOW)
    before = (other.catalogue().digest, other.learners(), other.assignments())
    later(1)
    refused(client.get("/v1/items/secret"), 404, "item_id")
    refused(client.delete("/v1/items/secret"), 404, "item_id")
    assert client.get("/v1/items/calm").json()["title"] == "Calm calls"
    assert client.put("/v1/items", json={**EXCEL, "skills": {"sql": 1}}).json()["unresolved_count"] == 1
    assert counts(client.put("/v1/items?snapshot=true&most_vanish=1", json=[{"id": "calm", "title": "Ours"}])) == (0, 1, 0, 6)
    assert client.delete("/v1/items/calm").status_code == 204
    client.put("/v1/learners", json={"id": "ana", "org_unit": "ours"})
    assert (other.catalogue().digest, other.learners(), other.assignments()) == before
    for method, path in [("PUT", "/v1/items"), ("GET", "/v1/items/calm"), ("DELETE", "/v1/items/calm")]:
        assert client.request(method, path, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_the_catalogue_needs_a_key_for_sync(client: TestClient, store: EventStore) -> None:
    made = [store.keys().add(TENANT, "hr", [scope], at=NOW - timedelta(days=1)) for scope in (Scope.INGEST, Scope.SYNC)]
    keys = [{"Authorization": f"Bearer {key.text}"} for key in made]
    for method, path, status in [
        ("PUT", "/v1/items", 200),
        ("GET", "/v1/items/excel", 200),
        ("DELETE", "/v1/items/excel", 204),
    ]:
        body = EXCEL if method == "PUT" else None
        assert [client.request(method, path, json=body, headers=key).status_code for key in keys] == [403, status]


def test_a_learner_row_is_in_the_next_ranking_and_an_item_with_the_next_bundle(
    client: TestClient, settings: Settings, store: EventStore
) -> None:
    def shown(learner: str) -> list[str]:
        rows = client.post("/v1/recommendations", json={"learner_id": learner}).json()["rows"]
        return [item["item_id"] for row in rows for item in row["items"]]

    assert "lead" not in shown("new")
    client.put("/v1/learners", json={"id": "new", "audiences": ["leaders"]})
    assert "lead" in shown("new")
    client.put("/v1/learners", json={"id": "new", "audiences": ["leaders"], "status": "ended"})
    assert shown("new") == []
    assert client.delete("/v1/items/calm").status_code == 204
    assert "calm" in shown("ana")
    publish(settings.bundles, items=tuple(store.tenant(TENANT).catalogue().items.values()))
    until = time.monotonic() + 10
    while "calm" in shown("ana") and time.monotonic() < until:
        time.sleep(0.05)
    assert "calm" not in shown("ana")


@pytest.fixture
def on_both(settings: Settings, store_url: str) -> Iterator[TestClient]:
    """The service on either database."""
    service.pages.runtime = Runtime(settings.model_copy(update={"store": store_url}), clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def test_both_databases_take_a_snapshot_and_its_refusal(on_both: TestClient) -> None:
    rows = [{"id": f"i{n}", "title": f"T{n}\u0000", "attributes": {"a\u0000": "b"}} for n in range(20)]
    assert counts(on_both.put("/v1/items?snapshot=true", json=rows)) == (20, 0, 0, 0)
    assert counts(on_both.put("/v1/items?snapshot=true", json=rows[:18])) == (0, 0, 18, 2)
    assert "4 of 18" in refused(on_both.put("/v1/items?snapshot=true", json=rows[:14]), 409, "most_vanish")
    assert on_both.get("/v1/items/i1").json()["title"] == "T1\u0000"
    assert on_both.delete("/v1/items/i1").status_code == 204
    refused(on_both.get("/v1/items/i19"), 404, "item_id")
