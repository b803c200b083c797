"""`POST /v1/events`: one event or a batch, each with its own result, durable when acknowledged."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from features.events import Event
from serving.payloads import MAX_EVENTS, EventIn, EventResult, EventsAnswer
from serving.problems import RefusedError, first_error, later
from serving.runtime import Runtime, StoreDownError

GROUP: Final = 100
"""Rows that are stored in one transaction: how long a small request waits for a large one at the writer."""
PIECE: Final = 20
"""Rows that are read in one go: how long a small request waits for a large one on the event loop."""

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


async def ingest(runtime: Runtime, tenant: str, body: Any) -> EventsAnswer:
    """Validate, store and report. A single event that is wrong or conflicts raises RefusedError (400, 409)."""

    def event(index: int, given: EventIn, now: datetime) -> Event | EventResult:
        return attempt(index, given.event_id, lambda: given.event(tenant, now))

    return await store(runtime, tenant, await parsed(runtime, body, EventIn), event, single=isinstance(body, dict))


async def parsed(runtime: Runtime, body: Any, kind: type[M]) -> list[M | EventResult]:
    """Each row, or what is wrong with it. RefusedError (400) for a body that holds no rows, or too many."""
    rows = [body] if isinstance(body, dict) else body
    if not isinstance(rows, list) or not rows or len(rows) > MAX_EVENTS:
        raise RefusedError(400, f"body: send one row or an array of 1 to {MAX_EVENTS:,}", field="body")
    read = list[M | EventResult]()

    def given(row: Any) -> M:  # strict for the result as well, whose own model also reads files
        return kind.model_validate_json(json.dumps(row), strict=True)

    for index, row in enumerate(rows):
        if index % PIECE == 0:
            await runtime.turns.give_way()
        read.append(attempt(index, _id_of(row), partial(given, row)))
    return read


def attempt(index: int, event_id: str | None, make: Callable[[], T]) -> T | EventResult:
    """What is made, or in words what keeps it from being made."""
    try:
        return make()
    except ValidationError as error:
        field, detail = first_error(error.errors(include_url=False, include_context=False, include_input=False))
        return EventResult(index=index, event_id=event_id, outcome="invalid", field=field or _field_of(detail), detail=detail)


async def store(
    runtime: Runtime,
    tenant: str,
    read: Sequence[M | EventResult],
    event: Callable[[int, M, datetime], Event | EventResult],
    *,
    single: bool,
) -> EventsAnswer:
    """Store the `event` of each row, by its index and when it is recorded, and report on all.

    RefusedError where the `single` one is wrong or conflicts (400, 409), or 503.
    """
    results = list[EventResult]()
    for start in range(0, len(read), GROUP):
        began, now = monotonic(), runtime.clock()
        group = enumerate(read[start : start + GROUP], start)
        events = [one if isinstance(one, EventResult) else event(index, one, now) for index, one in group]
        results += await _stored_group(runtime, tenant, events, start)
        await runtime.turns.rest(monotonic() - began)
    if len(read) > GROUP:
        await runtime.settle(tenant)
    if single:
        _refuse_single(results[0])
    return EventsAnswer(accepted=sum(result.outcome == "accepted" for result in results), results=tuple(results))


async def _stored_group(runtime: Runtime, tenant: str, read: Sequence[Event | EventResult], start: int) -> list[EventResult]:
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


def _id_of(row: Any) -> str | None:
    found = row.get("event_id") if isinstance(row, dict) else None
    return found if isinstance(found, str) else None


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
