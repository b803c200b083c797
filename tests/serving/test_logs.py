"""The log speaks of no person: whatever is asked of any route, well or badly, and whatever fails."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import sqlalchemy as sa
from acme import NOW, TENANT
from pydantic import SecretStr
from starlette.testclient import TestClient
from test_walls import MATRIX, routes
from walls import SECRET, fill

from serving import app, service
from serving.account import METHODS
from serving.logs import Lines, said, set_up
from serving.runtime import Runtime
from serving.settings import Settings
from serving.storage import Storage

PERSON = "zq-olga-7731"
"""A learner's id, which is also in their e-mail address."""
WORDS = "zq I cannot sleep since the accident"
"""What a learner wrote."""
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Log:
    """What is written, in both forms."""

    def __init__(self) -> None:
        self.json, self.text = StringIO(), StringIO()
        self.handlers = [logging.StreamHandler(self.json), logging.StreamHandler(self.text)]
        for handler, form in zip(self.handlers, ("json", "text"), strict=True):
            handler.setFormatter(Lines(form))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.json.getvalue().splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["logger"] == "nextwise.request"]

    def all(self) -> str:
        return (self.json.getvalue() + self.text.getvalue()).lower()


@pytest.fixture
def log() -> Iterator[Log]:
    found = Log()
    loggers = [logging.getLogger(name) for name in ("", "bentoml")]
    for logger in loggers:
        for handler in found.handlers:
            logger.addHandler(handler)
    yield found
    for logger in loggers:
        for handler in found.handlers:
            logger.removeHandler(handler)


@pytest.fixture(name="settings")
def with_secret(settings: Settings) -> Settings:
    return settings.model_copy(update={"token_secret": SecretStr(SECRET)})


class Person:
    """The client, who says `PERSON` wherever the walls' requests say olga."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def request(self, method: str, path: str, *, json: Any = None, **more: Any) -> Any:
        body = None if json is None else _named(json)
        return self.client.request(method, path.replace("olga", PERSON), json=body, **more)


def _named(body: Any) -> Any:
    return json.loads(json.dumps(body).replace("olga", PERSON))


def ask_everything(client: TestClient) -> list[int]:
    person: Any = Person(client)
    return [ask.send(person).status_code for asks in MATRIX.values() for ask in asks]


def test_the_log_of_every_route_names_nobody(client: TestClient, log: Log) -> None:
    fill(Person(client))  # type: ignore[arg-type]
    asked = ask_everything(client)
    told = log.requests()
    assert {line["route"] for line in told} >= {path for _, path in routes()} - {"/livez", "/readyz", "/metrics"}
    assert {200, 404, 409} <= set(asked) & {line["status"] for line in told}
    assert PERSON not in log.all()


def test_nor_what_was_said_badly_or_at_length(client: TestClient, log: Log) -> None:
    odd = {"learner_id": PERSON, "context": {"note": WORDS}, WORDS: WORDS, "result": {"response": WORDS}}
    for method, path in sorted(routes()):
        spot = path.replace("{", "").replace("}", "") + f"/{WORDS}"
        for where in (path, spot, f"{path}?{PERSON}={WORDS}"):
            sent = {"traceparent": PERSON, "User-Agent": PERSON, "X-Request-ID": PERSON, "X-Experience-API-Version": PERSON}
            for body in (odd, [odd], WORDS):
                client.request(method, where, json=body, headers=sent, follow_redirects=False)
    client.request("ZQ", f"/v1/{PERSON}", headers={"Authorization": f"Bearer {PERSON}"})
    assert {line["method"] for line in log.requests()} <= {*METHODS, "OTHER"}
    assert "zq" not in log.all()


def test_nor_what_a_database_says_of_its_rows(client: TestClient, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise sa.exc.IntegrityError("INSERT", {"learner_id": PERSON}, Exception(f"not unique\nDETAIL: Key ({PERSON})"))

    for use in ("read", "write"):
        monkeypatch.setattr(Storage, use, fails)
    service.pages.runtime._rests_until = 0.0
    assert 503 in ask_everything(client)
    assert "not unique" in log.all()
    assert PERSON not in log.all()


def test_nor_an_error_that_nobody_expected(client: TestClient, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        try:
            return {}[PERSON]
        except KeyError as error:
            raise ValueError(f"{WORDS} of {PERSON}") from error

    monkeypatch.setattr(app.skills, "skills", fails)
    monkeypatch.setattr("serving.runtime.rank", fails)
    sent = {"traceparent": TRACEPARENT}
    assert client.get(f"/v1/learners/{PERSON}/skills", headers=sent).status_code == 500
    assert client.post("/v1/rank", json={"learner_id": PERSON, "candidates": ["calm"]}).status_code == 500
    error = next(line for line in log.lines() if line["level"] == "ERROR")
    assert error["message"].startswith("GET /v1/learners/{learner_id}/skills failed")
    assert error["error"] == "ValueError from KeyError"
    assert any(place.startswith("serving/app.py:") for place in error["at"])
    assert "zq" not in log.all()


def test_a_line_says_whose_request_it_was_what_became_of_it_and_where_it_belongs(client: TestClient, log: Log) -> None:
    body = {"learner_id": "off"}
    answer = client.post("/v1/recommendations", json=body, headers={"traceparent": TRACEPARENT}).json()
    (line,) = log.requests()
    assert line.pop("ms") > 0
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "nextwise.request",
        "message": "request",
        "method": "POST",
        "route": "/v1/recommendations",
        "status": 200,
        "trace": TRACEPARENT.split("-")[1],
        "tenant": TENANT,
        "key": "development",
        "decision": answer["decision_id"],
        "fallback": "personalisation_off",
    }
    assert f" tenant={TENANT} " in log.text.getvalue()


def test_what_machines_ask_for_all_day_is_told_only_where_it_fails(client: TestClient, log: Log) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        client.get(path)
    assert log.requests() == []
    service.pages.runtime.bundles._served.clear()
    client.get("/readyz")
    assert [(line["route"], line["status"]) for line in log.requests()] == [("/readyz", 503)]


def test_a_request_without_a_trace_begins_one(client: TestClient, log: Log) -> None:
    for given in ({}, {}, {"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"}):
        client.get("/docs", headers=given)
    traces = {line["trace"] for line in log.requests()}
    assert len(traces) == 3
    assert all(len(trace) == 32 and set(trace) != {"0"} for trace in traces)


def test_text_has_an_errors_places_below_its_line(log: Log) -> None:
    try:
        raise OSError("disk")
    except OSError:
        logging.getLogger("nextwise").exception("it failed\nzq")
    first, second = log.text.getvalue().splitlines()
    assert first.endswith("ERROR nextwise: it failed error=OSError")
    assert second.startswith("    tests/serving/test_logs.py:")


def test_only_plain_handlers_are_set_up() -> None:
    """A test runner's own keep what they have."""
    plain, other = logging.StreamHandler(StringIO()), logging.NullHandler()
    root = logging.getLogger()
    for handler in (plain, other):
        root.addHandler(handler)
    try:
        set_up("json")
        assert isinstance(plain.formatter, Lines)
        assert other.formatter is None
    finally:
        for handler in (plain, other):
            root.removeHandler(handler)


def test_an_error_without_words_is_said_by_its_name() -> None:
    assert [said(TimeoutError()), said(ValueError("one\ntwo"))] == ["TimeoutError", "one"]


def test_the_form_is_a_setting(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    assert Settings().log == "text"
    monkeypatch.setenv("NEXTWISE_LOG", "json")
    assert Settings().log == "json"
    handler = logging.StreamHandler(StringIO())
    logging.getLogger().addHandler(handler)
    try:
        service.pages.runtime = Runtime(settings.model_copy(update={"log": "json"}), clock=lambda: NOW)
        with TestClient(service.Nextwise.to_asgi()):
            logging.getLogger("nextwise").info("there")
        assert json.loads(handler.stream.getvalue().splitlines()[-1])["message"]
    finally:
        logging.getLogger().removeHandler(handler)
