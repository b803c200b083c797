"""`POST /v1/feedback`: what a learner says of an item, as the event that it is."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from features.events import Event, Verb, to_utc
from serving.ingest import ingest
from serving.keys import Credential
from serving.payloads import EventResult, FeedbackIn
from serving.problems import RefusedError, invalid
from serving.runtime import Runtime, StoreDownError
from serving.standing import UNTIL

VERBS: Final[Mapping[str, Verb]] = {
    "not_relevant": Verb.DISMISSED,
    "already_know": Verb.KNOWN,
    "later": Verb.DISMISSED,
    "saved": Verb.SAVED,
}
_OF_PAGES: Final = uuid.uuid5(uuid.NAMESPACE_URL, "nextwise:feedback")
LATER: Final = timedelta(days=14)
"""How long `later` is when nobody says."""


async def feedback(runtime: Runtime, asks: Credential, body: Any) -> EventResult:
    """Store it durably; the next ranking knows it. Raises RefusedError (400, 409, 503), as one event does."""
    tenant = asks.tenant
    try:
        given = FeedbackIn.model_validate(body, strict=False)
    except ValidationError as error:
        raise invalid(error) from None
    if asks.claim is not None and given.event_id is not None:
        given = given.model_copy(update={"event_id": _own_id(given.learner_id, given.event_id)})
    at = _utc(given.occurred_at or runtime.clock(), "occurred_at")
    context: dict[str, Any] = {"feedback": given.feedback}
    if given.feedback == "later":
        context[UNTIL] = _until(given, at).isoformat()
    event = {
        "event_id": given.event_id or str(uuid.uuid4()),
        "learner_id": given.learner_id,
        "verb": VERBS[given.feedback],
        "object_id": given.item_id,
        "occurred_at": at.isoformat(),
        "decision_id": given.decision_id,
        "context": context,
    }
    try:
        return (await ingest(runtime, tenant, event)).results[0]
    except RefusedError as refused:
        if refused.status == 409 and given.occurred_at is None and await _said_before(runtime, tenant, given):
            return EventResult(index=0, event_id=given.event_id, outcome="duplicate")
        raise


def _own_id(learner_id: str, event_id: str) -> str:
    """An id that a page chose, as one that no event of the host or of another learner has: else it could take theirs."""
    return str(uuid.uuid5(_OF_PAGES, f"{learner_id}\n{event_id}"))


def _utc(value: datetime, field: str) -> datetime:
    try:
        return to_utc(value)
    except ValueError as error:
        raise RefusedError(400, f"{field}: {error}", field=field) from error


def _until(given: FeedbackIn, at: datetime) -> datetime:
    if given.until is not None:
        return _utc(given.until, "until")
    try:
        return at + LATER
    except OverflowError as error:
        raise RefusedError(400, f"occurred_at: {at.isoformat()} is in the future", field="occurred_at") from error


async def _said_before(runtime: Runtime, tenant: str, given: FeedbackIn) -> bool:
    """Whether the stored event of this id says the same: the times are ours where none are given, and differ each time."""
    try:
        stored = await runtime.beside(tenant, lambda session: session.history(given.learner_id))
    except StoreDownError:
        return False
    return any(event.event_id == given.event_id and _alike(event, given) for event in stored)


def _alike(event: Event, given: FeedbackIn) -> bool:
    what = (VERBS[given.feedback], given.item_id, given.decision_id, given.feedback)
    if (event.verb, event.object_id, event.decision_id, event.context.get("feedback")) != what:
        return False
    return given.feedback != "later" or event.context.get(UNTIL) == _until(given, event.occurred_at).isoformat()
