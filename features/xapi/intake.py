"""A batch of statements as it comes in: checked, repaired where that is allowed, and turned into what is stored.

All or nothing: one statement that is wrong refuses the batch, and the error says which one and what is wrong with it.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import to_json

from features.events import MAX_CLOCK_SKEW, Event
from features.xapi.activities import Activity
from features.xapi.actors import Agent
from features.xapi.meaning import Known, NotUnderstood, bounded, event, learner_of, wholes
from features.xapi.mentions import mentioned
from features.xapi.repair import repaired
from features.xapi.statement import Statement
from features.xapi.values import moment

REPAIR, NOT_EVENT = "repair", "no event"
"""Kinds of what is counted: a repair that was made, a valid statement that is no event."""
CLOCK_AHEAD: Final = "clock ahead of ours"
_SET_BY_STORE: Final = ("stored", "authority", "version")
_ONLY_WORDS: Final = frozenset({"display", "definition"})


class StatementError(ValueError):
    """A statement of a batch is wrong. `index`: which one (from 0); `field`: where in it; the message says what."""

    def __init__(self, index: int, field: str, detail: str) -> None:
        super().__init__(detail)
        self.index, self.field = index, field


@dataclass(frozen=True)
class Checked:
    """One statement that the standard allows, with the names of the repairs that it took."""

    statement: Statement
    body: Mapping[str, Any]
    repairs: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The activities that may be, or contain, a known item: the object, its parents, its groupings."""
        if not isinstance(self.statement.object, Activity):
            return ()
        return (bounded(self.statement.object.id), *wholes(self.statement.object, self.statement.context))


@dataclass(frozen=True)
class Intake:
    """One statement as it is stored. `event`: the event of the same id, None for a statement that is none.

    `learner_id`: whose it is, None where a group acted. `mentions`: who else is named in it.
    `counted`: (kind, which) of what is counted with it.
    """

    statement_id: str
    stored_at: datetime
    body: str
    content_hash: str
    voids: str | None
    event: Event | None
    learner_id: str | None
    occurred_at: datetime
    mentions: tuple[str, ...]
    counted: tuple[tuple[str, str], ...]


def check(bodies: Sequence[Any], *, compat: bool) -> list[Checked]:
    """Statements that the standard allows. Errors: StatementError for the first that is none, or whose id stands twice."""
    found = [_check(index, body, compat) for index, body in enumerate(bodies)]
    ids = Counter(one.statement.id for one in found if one.statement.id is not None)
    if twice := {name for name, count in ids.items() if count > 1}:
        index = max(index for index, one in enumerate(found) if one.statement.id in twice)
        raise StatementError(index, "id", f"the id {found[index].statement.id} stands twice in the batch")
    return found


def _check(index: int, body: Any, compat: bool) -> Checked:
    if not isinstance(body, dict):
        raise StatementError(index, "", f"a statement is an object, not {type(body).__name__}")
    body, repairs = repaired(body) if compat else (body, [])
    try:
        return Checked(Statement.model_validate_json(_json(body)), body, tuple(repairs))
    except ValidationError as error:
        raise _error(index, error) from None


def take_in(
    checked: Sequence[Checked], *, tenant: str, now: datetime, known: Known, authority: str, compat: bool
) -> list[Intake]:
    """What is stored of a batch that arrived at `now`. `authority`: the account that vouches for it, which `stored` and
    `authority` of the emitter give way to. Errors: StatementError for a time that no log has.
    """
    return [_take_in(index, one, tenant, now, known, authority, compat) for index, one in enumerate(checked)]


def _take_in(index: int, given: Checked, tenant: str, now: datetime, known: Known, authority: str, compat: bool) -> Intake:
    statement, counted = given.statement, [(REPAIR, name) for name in given.repairs]
    changes: dict[str, Any] = {"id": statement.id or str(uuid.uuid4()), "stored": now.isoformat()}
    if statement.timestamp is None:
        changes["timestamp"] = changes["stored"]
    elif compat and moment(statement.timestamp) - now > MAX_CLOCK_SKEW:
        changes["timestamp"] = changes["stored"]
        counted.append((REPAIR, CLOCK_AHEAD))
    whole = statement.model_copy(update=changes)
    found = _event(index, whole, tenant, now, known)
    if isinstance(found, NotUnderstood):
        counted.append((NOT_EVENT, bounded(f"{found.what}: {found.which}" if found.which else found.what)))
    kept = {**given.body, **changes, "authority": {"objectType": "Agent", "account": _account(authority)}}
    return Intake(
        statement_id=changes["id"],
        stored_at=now,
        body=_json({"version": "1.0.0", **kept}).decode(),
        content_hash=_content_hash(given.body),
        voids=statement.voids,
        event=found if isinstance(found, Event) else None,
        learner_id=learner_of(statement.actor) if isinstance(statement.actor, Agent) else None,
        occurred_at=moment(whole.timestamp or whole.stored or changes["stored"]),
        mentions=mentioned(given.body),
        counted=tuple(counted),
    )


def _event(index: int, statement: Statement, tenant: str, now: datetime, known: Known) -> Event | NotUnderstood | None:
    if statement.voids is not None:
        return None
    try:
        return event(statement, tenant=tenant, recorded_at=now, known=known)
    except ValidationError as error:
        first = _first(error)
        field = _FIELD_OF.get(str(first["loc"][0]), "") if first["loc"] else "timestamp"  # a rule over the whole is of times
        detail = "no id may hold control characters" if first["type"] == "string_pattern_mismatch" else _words(first)
        raise StatementError(index, field, detail) from None


def _account(name: str) -> dict[str, str]:
    return {"homePage": "https://w3id.org/nextwise/keys", "name": name}


def _error(index: int, error: ValidationError) -> StatementError:
    first = _first(error)
    place = ".".join(str(part) for part in first["loc"] if part not in _TAGS)
    return StatementError(index, place, _words(first))


def _first(error: ValidationError) -> Mapping[str, Any]:
    return error.errors(include_url=False, include_context=False, include_input=False)[0]


def _words(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


_FIELD_OF: Final[Mapping[str, str]] = {
    **{"learner_id": "actor", "object_id": "object.id", "occurred_at": "timestamp", "context": "context"},
    **{"score": "result.score", "duration_s": "result.duration"},
}
"""Which part of a statement became a field of an event or of its result."""
_TAGS: Final = frozenset({"Activity", "Agent", "Group", "StatementRef", "SubStatement"})
"""Names of choices, which pydantic puts into the place of an error and no statement has as a field."""


def same(stored: str, given: str) -> bool:
    """Whether two statements as they are stored say the same: names for people, who stored them and when, and how a time or
    a default is written do not count.
    """
    both = [json.loads(stored), json.loads(given)]
    ours = any(body["timestamp"] == body["stored"] for body in both)  # an emitter gave none
    one, other = (_normal(body, without=("timestamp",) if ours else ()) for body in both)
    return bool(one == other)


def _normal(body: dict[str, Any], *, without: tuple[str, ...]) -> Any:
    said = {name: value for name, value in body.items() if name not in (*_SET_BY_STORE, *without)}
    found = Statement.model_validate_json(_json(said)).model_dump(mode="json", by_alias=True, exclude_none=True)
    if "timestamp" in found:
        found["timestamp"] = moment(found["timestamp"]).isoformat()
    return _bare(found)


def _content_hash(body: Mapping[str, Any]) -> str:
    """SHA-256 of what the emitter sent: equal for the same bytes, which is what an emitter sends again. `same` looks closer."""
    said = {name: value for name, value in body.items() if name not in _SET_BY_STORE}
    return hashlib.sha256(_json(said)).hexdigest()


def _json(body: Any) -> bytes:
    return to_json(body, inf_nan_mode="constants")


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: own if name == "extensions" else _bare(own) for name, own in value.items() if name not in _ONLY_WORDS}
    return [_bare(one) for one in value] if isinstance(value, list) else value
