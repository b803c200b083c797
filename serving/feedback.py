"""`POST /v1/feedback`: what a learner says of an item, as the event that it is."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError

from features.events import Verb, to_utc
from serving.ingest import ingest
from serving.payloads import EventResult, FeedbackIn
from serving.problems import invalid
from serving.runtime import Runtime
from serving.standing import UNTIL

VERBS: Final[Mapping[str, Verb]] = {
    "not_relevant": Verb.DISMISSED,
    "already_know": Verb.KNOWN,
    "later": Verb.DISMISSED,
    "saved": Verb.SAVED,
}
LATER: Final = timedelta(days=14)
"""How long `later` is when nobody says."""


async def feedback(runtime: Runtime, tenant: str, body: Any) -> EventResult:
    """Store it durably; the next ranking knows it. Raises RefusedError (400, 409, 503), as one event does."""
    try:
        given = FeedbackIn.model_validate(body, strict=False)
    except ValidationError as error:
        raise invalid(error) from None
    at = to_utc(given.occurred_at or runtime.clock())
    context: dict[str, Any] = {"feedback": given.feedback}
    if given.feedback == "later":
        context[UNTIL] = to_utc(given.until or at + LATER).isoformat()
    event = {
        "event_id": given.event_id or str(uuid.uuid4()),
        "learner_id": given.learner_id,
        "verb": VERBS[given.feedback],
        "object_id": given.item_id,
        "occurred_at": at.isoformat(),
        "decision_id": given.decision_id,
        "context": context,
    }
    return (await ingest(runtime, tenant, event)).results[0]
