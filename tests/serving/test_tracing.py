"""A trace goes through: the caller's span, ours for the request, one for each stage; and nobody is named in them."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from acme import KEY, NOW, TENANT
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from starlette.testclient import TestClient

from serving import app, service
from serving.logs import FIELDS
from serving.runtime import Runtime
from serving.settings import Settings
from serving.tracing import Tracing, exported

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
RECOMMEND = "/v1/recommendations"
STAGES = ["read", "hydrate", "retrieve", "filter", "score", "rerank", "record"]


@pytest.fixture
def spans(client: TestClient) -> Iterator[InMemorySpanExporter]:
    """What the service exports."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    service.pages.runtime.tracing = Tracing(provider)
    yield exporter
    provider.shutdown()


def request_of(spans: InMemorySpanExporter) -> ReadableSpan:
    (found,) = (one for one in spans.get_finished_spans() if one.kind is SpanKind.SERVER)
    return found


def test_a_ranking_is_a_span_of_the_callers_trace_with_its_stages(client: TestClient, spans: InMemorySpanExporter) -> None:
    answer = client.post(RECOMMEND, json={"learner_id": "ana"}, headers={"traceparent": TRACEPARENT}).json()
    ours = request_of(spans)
    assert ours.name == f"POST {RECOMMEND}"
    assert ours.parent is not None
    assert (format_trace_id(ours.context.trace_id), format_span_id(ours.parent.span_id)) == (TRACE, SPAN)
    assert dict(ours.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": RECOMMEND,
        "http.response.status_code": 200,
        "nextwise.bundle": answer["bundle"],
        "nextwise.decision": answer["decision_id"],
        "nextwise.tenant": TENANT,
        "nextwise.key": "development",
    }
    stages = [one for one in spans.get_finished_spans() if one is not ours]
    assert [one.name for one in stages] == STAGES
    assert all(one.parent is not None and one.parent.span_id == ours.context.span_id for one in stages)
    times = [moment for one in stages for moment in (one.start_time or 0, one.end_time or 0)]
    assert times == sorted(times)
    assert (ours.start_time or 0) <= times[0]
    assert times[-1] <= (ours.end_time or 0)


def test_the_log_has_the_id_of_the_trace(
    client: TestClient, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/docs")
    (record,) = (one for one in caplog.records if one.name == "nextwise.request")
    assert getattr(record, FIELDS)["trace"] == format_trace_id(request_of(spans).context.trace_id)


@pytest.mark.parametrize("given", [None, "zq", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", TRACEPARENT + "-zq"])
def test_without_a_trace_or_with_what_is_none_one_begins(
    client: TestClient, spans: InMemorySpanExporter, given: str | None
) -> None:
    client.get("/docs", headers={} if given is None else {"traceparent": given})
    ours = request_of(spans)
    assert ours.parent is None
    assert format_trace_id(ours.context.trace_id) != TRACE


def test_a_trace_that_the_caller_does_not_keep_is_not_kept(client: TestClient, spans: InMemorySpanExporter) -> None:
    client.post(RECOMMEND, json={"learner_id": "ana"}, headers={"traceparent": TRACEPARENT[:-1] + "0"})
    assert spans.get_finished_spans() == ()


def test_spans_name_nobody(client: TestClient, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any) -> Any:
        raise ValueError("zq-olga cannot sleep")

    monkeypatch.setattr(app.skills, "gaps", fails)
    for path in ("skills", "gaps", "export"):
        client.get(f"/v1/learners/zq-olga/{path}?zq=zq", headers={"tracestate": "zq=zq", "baggage": "zq=zq"})
    client.post(RECOMMEND, json={"learner_id": "zq-olga"})
    client.post("/v1/nudge", json={"learner_id": "zq-olga", "channel": "push"})
    client.request("ZQ", "/v1/zq-olga")
    told = [one.to_json() for one in spans.get_finished_spans()]
    assert len(told) == 6 + len(STAGES)
    assert not [one for one in told if "zq" in one.lower()]
    failed = [one.status.status_code for one in spans.get_finished_spans() if one.name.endswith("/gaps")]
    assert failed == [StatusCode.ERROR]


def test_no_span_is_made_unless_an_exporter_is_named(client: TestClient) -> None:
    assert service.pages.runtime.tracing._tracer is None
    assert Settings().traces_exporter == "none"


def test_an_exporter_is_named_as_opentelemetry_names_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr("opentelemetry.sdk.trace.export.ConsoleSpanExporter", lambda: exporter)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "learning")
    named = settings.model_copy(update={"traces_exporter": Settings().traces_exporter})
    service.pages.runtime = Runtime(named, clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as client:
        client.get("/docs")
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.resource.attributes["service.name"]) == ("GET /docs", "learning")


def test_one_that_is_not_there_is_said_and_the_service_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    assert exported("nowhere, console", disabled=False)._tracer is not None
    assert exported("nowhere", disabled=False)._tracer is None
    assert "no exporter of traces is called 'nowhere'" in caplog.text


def test_traces_that_are_both_asked_for_and_switched_off_are_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert exported("console", disabled=True)._tracer is None
    assert "OTEL_SDK_DISABLED" in caplog.text
