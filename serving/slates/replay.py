"""`POST /v1/slates/replay`: what was done with a slate while there was no service, as the events that it is.

The slate says what was decided, the device what was done with it. When it was done lies between the slate's beginning and its
end, by the clock of the device; when it is sent does not matter.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from pydantic import ValidationError

from features.events import MAX_CLOCK_SKEW, Event, Verb
from features.store import TenantSession
from serving.ingest import attempt, parsed, store
from serving.payloads import MAX_EVENTS, EventResult
from serving.problems import RefusedError, invalid, later
from serving.runtime import Runtime, StoreDownError
from serving.slates.offer import require_secret
from serving.slates.payloads import MAX_KEY, DoneIn, ReplayAnswer, ReplayHead
from serving.slates.slate import Slate, read

VERBS: Final[Mapping[str, Verb]] = {
    "shown": Verb.SHOWN,
    "opened": Verb.SHOWN,  # to open something earns nothing and is no evidence
    "started": Verb.STARTED,
    "completed": Verb.COMPLETED,
    "dismissed": Verb.DISMISSED,
}


class _Kept(NamedTuple):
    """What the store has of a slate: whether its decision, whether its learner was erased since it was given, and every name
    that is theirs.
    """

    decided: bool
    erased: bool
    names: tuple[str, ...]


async def replay(runtime: Runtime, tenant: str, body: Any, key: str | None = None) -> ReplayAnswer:
    """Store each row that holds, and report on all. `key`: the `Idempotency-Key`, which names rows without an id.

    Raises RefusedError: 400, 403 for a slate that was not given to this learner, 409 without a secret, 503.
    """
    require_secret(runtime)
    _check_key(key)
    head = _head(body)
    slate = _slate(runtime, tenant, head)
    rows = body.get("done")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_EVENTS:
        raise RefusedError(400, f"done: send an array of 1 to {MAX_EVENTS:,}", field="done")
    read_rows = await parsed(runtime, rows, DoneIn)
    kept = await _kept(runtime, slate)
    if head.learner_id not in (slate.learner_id, *kept.names):
        raise _not_theirs(runtime, "slate: this slate was given to another learner than `learner_id`")

    def event(index: int, one: DoneIn, now: datetime) -> Event | EventResult:
        one = _named(one, slate, key, index)
        if kept.erased:
            return EventResult(index=index, event_id=one.event_id, outcome="suppressed")
        wrong = _wrong(index, one, slate)
        return attempt(index, one.event_id, lambda: _event(one, slate, now)) if wrong is None else wrong

    done = await store(runtime, tenant, read_rows, event, single=False)
    decision = "stored" if kept.decided else "waiting" if runtime.spooling else "missing"
    return ReplayAnswer(accepted=done.accepted, results=done.results, decision=decision)


def _check_key(key: str | None) -> None:
    """RefusedError 400 for what nobody can send twice alike."""
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        words = f"Idempotency-Key: send 1 to {MAX_KEY} visible ASCII characters, such as a UUID"
        raise RefusedError(400, words, field="idempotency-key")


def _named(one: DoneIn, slate: Slate, key: str | None, index: int) -> DoneIn:
    """With an id that is the same whenever the row is sent again under the same key."""
    if one.event_id is not None or key is None:
        return one
    return one.model_copy(update={"event_id": str(uuid5(NAMESPACE_URL, f"nextwise:{slate.decision_id}:{index}:{key}"))})


def _head(body: Any) -> ReplayHead:
    if not isinstance(body, dict):
        raise RefusedError(400, "body: send an object with `learner_id`, `slate` and `done`", field="body")
    try:
        return ReplayHead.model_validate_json(json.dumps({name: said for name, said in body.items() if name != "done"}))
    except ValidationError as error:
        raise invalid(error) from None


def _slate(runtime: Runtime, tenant: str, head: ReplayHead) -> Slate:
    """RefusedError 403: what nobody here signed and what another tenant was given are the same to whoever sends it."""
    slate = read(runtime.signer, head.slate)
    if slate is None or slate.tenant != tenant:
        raise _not_theirs(runtime, "slate: this is no slate that this service gave you; send the text as it came")
    return slate


def _not_theirs(runtime: Runtime, words: str) -> RefusedError:
    runtime.metrics.refused.labels("slate").inc()
    return RefusedError(403, words, field="slate")


async def _kept(runtime: Runtime, slate: Slate) -> _Kept:
    def found(session: TenantSession) -> _Kept:
        gone = session.erased_at(slate.learner_id)
        erased = gone is not None and gone >= slate.issued_at
        return _Kept(session.decision(slate.decision_id) is not None, erased, session.names_of(slate.learner_id))

    try:
        return await runtime.beside(slate.tenant, found)
    except StoreDownError as error:
        raise later(error) from error


def _wrong(index: int, one: DoneIn, slate: Slate) -> EventResult | None:
    """Why a row cannot have been done with this slate; None where it can."""
    at = one.occurred_at
    if one.event_id is None:
        field, detail = "event_id", "send one with each row, or an Idempotency-Key with the request"
    elif one.item_id not in slate.places:
        field, detail = "item_id", f"{one.item_id!r} is not in this slate"
    elif one.result is not None and one.did not in ("started", "completed"):
        field, detail = "result", f"what is {one.did} has none"
    elif at < slate.issued_at - MAX_CLOCK_SKEW:
        field, detail = "occurred_at", f"{at.isoformat()} is before the slate was given, at {slate.issued_at.isoformat()}"
    elif at >= slate.expires_at:
        field = "occurred_at"
        detail = f"the slate ended at {slate.expires_at.isoformat()}; send what was done later to POST /v1/events"
    else:
        return None
    return EventResult(index=index, event_id=one.event_id, outcome="invalid", field=field, detail=f"{field}: {detail}")


def _event(one: DoneIn, slate: Slate, now: datetime) -> Event:
    """The fact to store. Raises ValidationError when it lies in the future.

    A clock a little behind ours would have it done before it was decided: it was not. Position and propensity stand in the
    event as well, for the case that the decision's record never comes.
    """
    place = slate.places[one.item_id]
    told = {"position": place.position, "propensity": place.propensity, "bundle": slate.bundle}
    return Event.model_validate(
        {
            "tenant": slate.tenant,
            "event_id": one.event_id,
            "learner_id": slate.learner_id,
            "verb": VERBS[one.did],
            "object_id": one.item_id,
            "occurred_at": max(one.occurred_at, slate.issued_at),
            "recorded_at": now,
            "decision_id": slate.decision_id,
            "result": one.result,
            "context": {"offline": told | ({"opened": True} if one.did == "opened" else {})},
            "source": "offline",
        }
    )
