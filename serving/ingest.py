"""`POST /v1/events`: one event or a batch, each with its own result, durable when acknowledged."""

import json
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import Any, Final

from pydantic import ValidationError

from features.events import Event
from serving.payloads import MAX_EVENTS, EventIn, EventResult, EventsAnswer, EvidenceIn
from serving.problems import RefusedError, first_error, later
from serving.runtime import Runtime, StoreDownError

GROUP: Final = 100
"""Rows that are stored in one transaction: how long a small request waits for a large one at the writer."""
PIECE: Final = 20
"""Rows that are read in one go: how long a small request waits for a large one on the event loop."""


async def ingest(runtime: Runtime, tenant: str, body: Any) -> EventsAnswer:
    """Validate, store and report. A single event that is wrong or conflicts raises RefusedError (400, 409)."""
    return await record(runtime, tenant, body, EventIn)


async def record(runtime: Runtime, tenant: str, body: Any, kind: type[EventIn] | type[EvidenceIn]) -> EventsAnswer:
    """`ingest` for rows of a kind, which says what event each is."""
    single = isinstance(body, dict)
    rows = [body] if single else body
    if not isinstance(rows, list) or not rows or len(rows) > MAX_EVENTS:
        raise RefusedError(400, f"body: send one row or an array of 1 to {MAX_EVENTS:,}", field="body")
    results: list[EventResult] = []
    for start in range(0, len(rows), GROUP):
        began = monotonic()
        results += await _group(runtime, tenant, rows[start : start + GROUP], start, kind)
        await runtime.turns.rest(monotonic() - began)
    if len(rows) > GROUP:
        await runtime.settle(tenant)
    if single:
        _refuse_single(results[0])
    return EventsAnswer(accepted=sum(result.outcome == "accepted" for result in results), results=tuple(results))


async def _group(
    runtime: Runtime, tenant: str, rows: Sequence[Any], start: int, kind: type[EventIn] | type[EvidenceIn]
) -> list[EventResult]:
    now, read = runtime.clock(), list[Event | EventResult]()
    for index, row in enumerate(rows, start):
        if index % PIECE == 0:
            await runtime.turns.give_way()
        read.append(_read(row, index, tenant, now, kind))
    events = [one for one in read if isinstance(one, Event)]
    try:
        async with runtime.turns.in_line():
            outcomes = iter((await runtime.append(tenant, events)).outcomes)
    except StoreDownError as error:
        raise later(error) from error
    results = []
    for index, one in enumerate(read, start):
        result = one if isinstance(one, EventResult) else _stored(index, one, next(outcomes))
        results.append(result)
        runtime.metrics.events.labels(result.outcome).inc()
        if isinstance(one, Event) and result.outcome == "accepted":
            runtime.metrics.recorded(one)
    return results


def _read(row: Any, index: int, tenant: str, now: datetime, kind: type[EventIn] | type[EvidenceIn]) -> Event | EventResult:
    event_id = row.get("event_id") if isinstance(row, dict) else None
    try:
        # Strict for the result as well, whose own model also reads files.
        return kind.model_validate_json(json.dumps(row), strict=True).event(tenant, now)
    except ValidationError as error:
        field, detail = first_error(error.errors(include_url=False, include_context=False, include_input=False))
        known = event_id if isinstance(event_id, str) else None
        return EventResult(index=index, event_id=known, outcome="invalid", field=field or _field_of(detail), detail=detail)


def _field_of(detail: str) -> str | None:
    """A rule over the whole event (a time in the future) names its field in its words."""
    return "occurred_at" if "occurred_at" in detail else None


def _stored(index: int, event: Event, outcome: Any) -> EventResult:
    conflict = "an event of this id is stored with other content" if outcome == "conflict" else None
    field = "event_id" if conflict else None
    return EventResult(index=index, event_id=event.event_id, outcome=outcome, field=field, detail=conflict)


def _refuse_single(result: EventResult) -> None:
    status = {"invalid": 400, "conflict": 409}.get(result.outcome)
    if status is not None:
        raise RefusedError(status, result.detail or result.outcome, field=result.field)
