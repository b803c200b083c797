"""Tenants are walls: every endpoint, asked for all that another tenant has, answers as if that tenant had never been.

So a foreign id cannot be told from one that exists nowhere, by status, words, headers, counts or work; and whatever is
written under another tenant's ids, what that tenant has stays as it is.
"""

from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient
from walls import (
    ASKING,
    COURSE,
    DECISION,
    EVENT,
    EVIDENCE,
    FEEDBACK,
    ITEM,
    LEARNERS,
    MAILBOX,
    NAMING,
    OTHER,
    ROWS,
    SAID,
    SECRET,
    TAKEN_BACK,
    VOIDING,
    Ask,
    Seen,
    Watch,
    World,
    at,
    event,
    evidence,
    feedback,
    for_each,
    said,
    slate,
    told,
    voids,
)

from serving import service
from serving.app import APIS
from serving.cards.links import Action, Link, token
from serving.claims import Signer
from serving.slates.slate import signed

STATEMENTS = "/xapi/statements"
FOR_OPERATORS = {("GET", "/metrics")}
"""They count what all tenants do: see `test_metrics_say_of_a_tenant_its_name_and_its_bundle`."""
IDS = {plural: [row["id"], "new"] for plural, row in ROWS.items()} | {"learners": LEARNERS}
FREE = "00000000-0000-4000-8000-0000000000ff"


def _matrix() -> dict[tuple[str, str], list[Ask]]:
    asked = [{"learner_id": name, "exclude": [ITEM], "limit": 3} for name in LEARNERS]
    ranked = [{"learner_id": name, "candidates": [ITEM, COURSE, "calm", "weld-0"]} for name in LEARNERS]
    events = [event(EVENT), event(EVIDENCE, verb="started"), *(event(f"own-{name}", name, COURSE) for name in LEARNERS)]
    links = ["nwa1.x.y", token(Signer([SECRET]), Link(ASKING, DECISION, Action.STOP, 2**33))]
    slates = [signed(Signer([SECRET]), slate(tenant)) for tenant in (OTHER, ASKING)]
    statements = [said(SAID, "failed"), voids(FREE, SAID), voids(TAKEN_BACK, VOIDING)]
    found = {
        ("POST", "/v1/recommendations"): [Ask("POST", "/v1/recommendations", body) for body in asked],
        ("POST", "/v1/rank"): [Ask("POST", "/v1/rank", body) for body in ranked],
        ("POST", "/v1/events"): [Ask("POST", "/v1/events", body) for body in [*events, events]],
        ("POST", "/v1/evidence"): [
            Ask("POST", "/v1/evidence", body) for body in (evidence(EVENT), evidence(EVIDENCE), evidence("own", "olga", "bo"))
        ],
        ("POST", "/v1/feedback"): [Ask("POST", "/v1/feedback", feedback(name)) for name in (FEEDBACK, EVENT, "own-feedback")],
        ("POST", "/v1/nudge"): [Ask("POST", "/v1/nudge", {"learner_id": name, "channel": "email"}) for name in LEARNERS],
        ("GET", "/nudges/act"): [Ask("GET", f"/nudges/act?t={link}") for link in links],
        ("POST", "/nudges/act"): [Ask("POST", f"/nudges/act?t={link}") for link in links],
        ("GET", "/v1/decisions/{decision_id}"): [Ask("GET", f"/v1/decisions/{name}") for name in (DECISION, EVENT, "own")],
        ("GET", "/v1/slates/{decision_id}"): [Ask("GET", f"/v1/slates/{name}") for name in (DECISION, EVENT, "own")],
        ("POST", "/v1/slates/replay"): [
            Ask("POST", "/v1/slates/replay", {"learner_id": "olga", "slate": text, "done": [done]})
            for text in slates
            for done in (told(EVENT), told("own-done"))
        ],
        ("GET", "/v1/decisions/{decision_id}/check"): [
            Ask("GET", f"/v1/decisions/{name}/check") for name in (DECISION, EVENT, "own")
        ],
        ("POST", "/v1/explain"): [
            Ask("POST", "/v1/explain", {"learner_id": name, "items": [ITEM, COURSE, "calm"], **of})
            for name in LEARNERS
            for of in ({}, {"decision_id": DECISION})
        ],
        ("GET", "/preview/{learner_id}"): [Ask("GET", f"/preview/{quote(name, safe='')}?why={ITEM}") for name in LEARNERS],
        ("GET", "/v1/learners/{learner_id}/skills"): for_each(LEARNERS, "GET", end="/skills"),
        ("GET", "/v1/learners/{learner_id}/gaps"): for_each(LEARNERS, "GET", end="/gaps"),
        ("GET", "/v1/learners/{learner_id}/progress"): for_each(LEARNERS, "GET", end="/progress"),
        ("GET", "/v1/learners/{learner_id}/nudges"): for_each(LEARNERS, "GET", end="/nudges"),
        ("PUT", "/v1/learners/{learner_id}/nudges"): [
            Ask("PUT", at(name, end="/nudges"), {"choice": choice}) for name in LEARNERS for choice in ("stop", "resume")
        ],
        ("GET", "/v1/learners/{learner_id}/duties"): for_each(LEARNERS, "GET", end="/duties"),
        ("GET", "/v1/assignments/{assignment_id}/report"): for_each(
            IDS["assignments"], "GET", under="assignments", end="/report"
        ),
        ("POST", "/v1/rules:dry-run"): [
            # The newest few: SQLite takes two steps more to end at another tenant's rows than at the edge of an index.
            Ask("POST", "/v1/rules:dry-run", {"decisions": 3, "rules": [{"id": "r", "kind": "pin", "items": [name]}]})
            for name in (ITEM, COURSE, "calm")
        ],
        ("POST", "/v1/learners/{learner_id}/merge"): [Ask("POST", at(name, end="/merge"), {"into": "bo"}) for name in LEARNERS],
        ("POST", "/v1/learners/{learner_id}/unmerge"): [
            Ask("POST", at("bo", end="/unmerge"), {"into": name}) for name in LEARNERS
        ],
        ("GET", "/v1/learners/{learner_id}/export"): for_each(LEARNERS, "GET", end="/export"),
        ("DELETE", "/v1/learners/{learner_id}"): for_each(LEARNERS, "DELETE"),
        ("POST", "/v1/tokens"): [Ask("POST", "/v1/tokens", {"learner_id": name}) for name in LEARNERS],
        ("GET", "/v1/audit"): [
            Ask("GET", path) for path in ("/v1/audit", *(f"/v1/audit?learner_id={quote(name)}" for name in LEARNERS))
        ],
        ("GET", "/v1/ingest/health"): [Ask("GET", "/v1/ingest/health")],
        ("POST", STATEMENTS): [Ask("POST", STATEMENTS, body) for body in statements],
        ("PUT", STATEMENTS): [Ask("PUT", f"{STATEMENTS}?statementId={VOIDING}", voids(VOIDING, SAID))],
        ("GET", STATEMENTS): [
            Ask("GET", f"{STATEMENTS}?{asked}={name}")
            for asked in ("statementId", "voidedStatementId")
            for name in (SAID, TAKEN_BACK, VOIDING, DECISION)
        ],
        **{("GET", path): [Ask("GET", path)] for path in ("/", "/livez", "/readyz", "/docs", "/openapi.json", "/xapi/about")},
    }
    for plural, row in ROWS.items():
        one, path = f"/v1/{plural}/{{{plural[:-1]}_id}}", f"/v1/{plural}"
        whole = Ask("PUT", f"{path}?snapshot=true", [row])
        found["PUT", path] = [Ask("PUT", path, NAMING[plural]), whole, Ask("PUT", path, row)]
        found["GET", one] = for_each([*IDS[plural], COURSE], "GET", under=plural)
        if plural != "learners":
            found["DELETE", one] = for_each([*IDS[plural], COURSE], "DELETE", under=plural)
    return found


MATRIX = _matrix()
ROUNDS = ("GET", "POST", "PUT", "GET", "HEAD", "DELETE", "GET")
"""Everything is looked at, written under foreign ids, looked at, removed, and looked at again."""


def routes() -> set[tuple[str, str]]:
    """Every route that the service has, with its methods."""
    mounted = [route for route in service.pages.app.routes if isinstance(route, Route)]
    each = {(method, route.path.replace(":path}", "}")) for route in mounted for method in (route.methods or ())}
    return {("POST", path) for path in APIS} | {(method, path) for method, path in each if method != "HEAD"}


def test_every_route_has_a_row() -> None:
    """Whoever adds one says here what another tenant's key might ask it for."""
    assert set(MATRIX) | FOR_OPERATORS == routes()


def all_of(method: str) -> list[Ask]:
    """What is asked by a method; `HEAD` is asked for whatever can be read."""
    taken = "GET" if method == "HEAD" else method
    return [ask._replace(method=method) for (one, _), asks in MATRIX.items() if one == taken for ask in asks]


def ask_all(client: TestClient, watch: Watch) -> list[tuple[Ask, Seen]]:
    rounds = chain.from_iterable(all_of(method) for method in ROUNDS)
    return [(ask, watch.see(client, ask)) for ask in rounds]


def read_all(client: TestClient) -> list[str]:
    """All that a tenant sees of its own, but for its audit log, where the exports among it are told of."""
    return [ask.send(client).text for ask in all_of("GET") if not ask.path.startswith("/v1/audit")]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_another_tenant_has_cannot_be_told_from_what_is_nowhere(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if database == "sqlite":
        urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("with", "without")]
    else:
        urls = [request.getfixturevalue(name) for name in ("postgresql_url", "another_postgresql_url")]
    seen, made = [], []
    for url, other in zip(urls, (True, False), strict=True):
        world = World(tmp_path / f"{other}", url, monkeypatch, other=other)
        watch = Watch()
        with watch.all_connections(), world.served() as client:
            view, rows = read_all(world.as_other(client)) if other else [], world.rows(OTHER)
            seen.append(ask_all(world.as_asking(client), watch))
            assert world.rows(OTHER) == rows
            assert (read_all(world.as_other(client)) if other else []) == view
            made.append(world.rows(ASKING, numbered=False))
    assert {one.status for _, one in seen[0]} >= {200, 204, 404, 409}
    assert any(one.steps for _, one in seen[0]) is (database == "sqlite")
    for (ask, foreign), (_, nowhere) in zip(*seen, strict=True):
        assert foreign == nowhere, ask
    assert made[0] == made[1]
    assert any(rows for rows in made[0].values())


def test_metrics_say_of_a_tenant_its_name_and_its_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are for those who run the service, who know its tenants; of people and content there is nothing."""
    with World(tmp_path, f"sqlite:///{tmp_path}/events.db", monkeypatch, other=True).served() as client:
        lines = client.get("/metrics", headers={"Authorization": ""}).text.splitlines()
    named: list[Any] = sorted({line.partition("{")[0] for line in lines if OTHER in line})
    assert named == ["nextwise_bundle_age_seconds", "nextwise_bundle_info", "nextwise_bundle_refused"]
    assert not [line for line in lines for name in ("olga", MAILBOX, ITEM, DECISION, EVENT, SAID) if name in line]
