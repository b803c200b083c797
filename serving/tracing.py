"""One request from front to back: its trace by W3C trace context, and OpenTelemetry spans where an exporter is configured.

Without one no span is made. A span says route, status, tenant, key, decision and how long each stage took; of people nothing.
"""

import logging
import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from importlib.metadata import entry_points
from itertools import pairwise
from time import time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from features.decisions import Decision
from serving.logs import said

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

TRACE: "ContextVar[Trace]" = ContextVar("trace")
"""The trace of the request."""
_PARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LOG = logging.getLogger("nextwise.tracing")


class Trace:
    """One request. `told`: what log and span say of it; nothing that names a person belongs there."""

    def __init__(self, trace_id: str, span: trace.Span | None = None, tracer: trace.Tracer | None = None) -> None:
        self.trace_id, self._span, self._tracer = trace_id, span, tracer
        self.told: dict[str, str] = {}

    def decided(self, decision: Decision, before_ms: Mapping[str, float], after_ms: Mapping[str, float]) -> None:
        """Tell of a decision that was recorded just now. `before_ms`, `after_ms`: stages around its own."""
        self.told["decision"] = decision.decision_id
        if decision.fallback is not None:
            self.told["fallback"] = decision.fallback
        if self._span is None or self._tracer is None or not self._span.is_recording():
            return
        self._span.set_attribute("nextwise.bundle", decision.bundle)
        stages = {**before_ms, **decision.stages_ms, **after_ms}
        edges = [time_ns() - int(sum(stages.values()) * 1e6)]
        for ms in stages.values():
            edges.append(edges[-1] + int(ms * 1e6))
        inside = trace.set_span_in_context(self._span)
        for stage, (began, ended) in zip(stages, pairwise(edges), strict=True):
            self._tracer.start_span(stage, inside, start_time=began).end(ended)

    def answered(self, status: int) -> None:
        """The request has its answer."""
        if self._span is None:
            return
        self._span.set_attribute("http.response.status_code", status)
        self._span.set_attributes({f"nextwise.{name}": value for name, value in self.told.items()})
        if status >= 500:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


class Tracing:
    """Of one worker. `provider`: where spans go; None: nowhere, and none is made."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer("nextwise")
        self._context = TraceContextTextMapPropagator()

    def begin(self, method: str, route: str, traceparent: str | None) -> Trace:
        """The trace that the caller began, or a new one. `traceparent`: the header; what is none is passed over."""
        parent = _PARENT.fullmatch(traceparent or "")
        if self._tracer is None:
            return Trace(parent[1] if parent else secrets.token_hex(16))
        inside = Context() if parent is None else self._context.extract({"traceparent": parent[0]}, Context())
        attributes = {"http.request.method": method, "http.route": route}
        span = self._tracer.start_span(f"{method} {route}", inside, trace.SpanKind.SERVER, attributes)
        return Trace(trace.format_trace_id(span.get_span_context().trace_id), span, self._tracer)

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


def exported(names: str, *, disabled: bool) -> Tracing:
    """Spans to the exporters of `OTEL_TRACES_EXPORTER`; all else is configured by OpenTelemetry's own variables.

    One that cannot be made is said in the log: rankings go on without it.
    """
    asked = [name.strip() for name in names.split(",") if name.strip() not in ("", "none")]
    if not asked:
        return Tracing()
    if disabled:
        _LOG.warning("OTEL_TRACES_EXPORTER is set, but so is OTEL_SDK_DISABLED: set it to false to trace")
        return Tracing()
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider, found = TracerProvider(), 0
    for name in asked:
        try:
            (made,) = entry_points(group="opentelemetry_traces_exporter", name=name)
            provider.add_span_processor(BatchSpanProcessor(made.load()()))
            found += 1
        except ValueError:
            _LOG.error("no exporter of traces is called %r here: install one, such as opentelemetry-exporter-otlp", name[:40])
        except Exception as error:
            _LOG.error("the exporter of traces %r cannot be made (%s)", name[:40], said(error))
    return Tracing(provider if found else None)
