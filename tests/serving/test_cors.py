"""Pages of other origins: those on the list call the routes of tokens, and no page calls anything else."""

from collections.abc import Iterator

import pytest
from acme import KEY, NOW
from pydantic import ValidationError
from starlette.testclient import TestClient

from features.store import EventStore
from serving import service
from serving.runtime import Runtime
from serving.settings import Settings

PAGE, EVIL = "https://lms.example", "https://evil.example"
TOKEN_PATHS = [
    "/v1/recommendations",
    "/v1/rank",
    "/v1/learners/ana/nudges",
    "/v1/feedback",
    "/v1/learners/ana/skills",
    "/v1/learners/ana/gaps",
]


@pytest.fixture
def crossing(settings: Settings, store: EventStore) -> Iterator[TestClient]:
    allowed = settings.model_copy(update={"cors_origins": f"{PAGE}, http://localhost:5173"})
    service.pages.runtime = Runtime(allowed, clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi()) as opened:
        yield opened


def preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}


def cors(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("access-control")}


@pytest.mark.parametrize("path", TOKEN_PATHS)
def test_a_browser_that_asks_before_is_answered_without_a_key(crossing: TestClient, path: str) -> None:
    method = "GET, PUT" if path.endswith("/nudges") else "GET" if "learners" in path else "POST"
    answer = crossing.options(path, headers=preflight(PAGE))
    assert (answer.status_code, answer.content, answer.headers["vary"]) == (204, b"", "Origin")
    assert cors(dict(answer.headers)) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": method,
        "access-control-allow-headers": "Authorization, Content-Type, If-None-Match",
        "access-control-expose-headers": "ETag, Retry-After",
        "access-control-max-age": "600",
    }


@pytest.mark.parametrize("path", TOKEN_PATHS)
@pytest.mark.parametrize("origin", [EVIL, "null", f"{PAGE}.evil.example", f"{PAGE}:444", "http://lms.example", f"{PAGE}/", "*"])
def test_no_other_origin_is_let_in(crossing: TestClient, path: str, origin: str) -> None:
    answer = crossing.options(path, headers=preflight(origin))
    assert (answer.status_code, answer.json()["field"]) == (403, "origin")
    assert (cors(dict(answer.headers)), answer.headers["vary"]) == ({}, "Origin")


@pytest.mark.parametrize(
    "path", ["/v1/events", "/v1/nudge", "/v1/tokens", "/v1/items", "/v1/audit", "/v1/learners/ana", "/xapi/statements", "/x"]
)
def test_no_other_route_takes_part(crossing: TestClient, path: str) -> None:
    answer = crossing.options(path, headers=preflight(PAGE))
    assert answer.status_code in (401, 404)
    assert cors(dict(answer.headers)) == {}
    assert cors(dict(crossing.post(path, json={}, headers={**KEY, "Origin": PAGE}).headers)) == {}


def test_answers_and_errors_can_be_read_by_an_allowed_page_only(crossing: TestClient) -> None:
    path, body = "/v1/recommendations", {"learner_id": "ana"}
    for headers, status in ((KEY, 200), ({}, 401)):
        mine = crossing.post(path, json=body, headers={**headers, "Origin": PAGE})
        other = crossing.post(path, json=body, headers={**headers, "Origin": EVIL})
        none = crossing.post(path, json=body, headers=headers)
        assert [one.status_code for one in (mine, other, none)] == [status] * 3
        assert all("Origin" in one.headers["vary"].split(", ") for one in (mine, other, none))
        assert [cors(dict(one.headers)).get("access-control-allow-origin") for one in (mine, other, none)] == [PAGE, None, None]
        assert "access-control-allow-credentials" not in mine.headers
    assert (
        crossing.get("/v1/learners/ana/skills", headers={**KEY, "Origin": PAGE}).headers["access-control-allow-origin"] == PAGE
    )


def test_a_second_origin_is_answered_by_its_own_name(crossing: TestClient) -> None:
    answer = crossing.options("/v1/rank", headers=preflight("http://localhost:5173"))
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"


def test_an_options_that_is_no_preflight_needs_a_key(crossing: TestClient) -> None:
    assert crossing.options("/v1/rank", headers={"Origin": PAGE}).status_code == 401
    assert crossing.options("/v1/rank", headers={**KEY, "Origin": PAGE}).status_code == 405


def test_by_default_no_page_may(client: TestClient) -> None:
    answer = client.options("/v1/rank", headers=preflight(PAGE))
    assert (answer.status_code, cors(dict(answer.headers)), "vary" in answer.headers) == (405, {}, False)
    asked = client.post("/v1/recommendations", json={"learner_id": "ana"}, headers={"Origin": PAGE})
    assert (asked.status_code, cors(dict(asked.headers)), asked.headers["vary"]) == (200, {}, "Accept-Encoding")


@pytest.mark.parametrize(
    "origins", ["*", "https://*.example", "lms.example", f"{PAGE}/", f"{PAGE}/x", "null", "https://LMS.example", f"{PAGE},*"]
)
def test_what_is_no_exact_origin_is_refused_at_the_start(origins: str) -> None:
    with pytest.raises(ValidationError, match="is no exact origin"):
        Settings(cors_origins=origins)


def test_origins_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTWISE_CORS_ORIGINS", f"{PAGE}, http://localhost:5173,")
    assert Settings().origins == {PAGE, "http://localhost:5173"}
    assert Settings(cors_origins="").origins == set()
