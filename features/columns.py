"""Names and types of the columns that stand in the store and in the lake: one spelling for all."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

SEQ: Final = "seq"
TENANT: Final = "tenant"
EVENT_ID: Final = "event_id"
LEARNER_ID: Final = "learner_id"
VERB: Final = "verb"
OBJECT_ID: Final = "object_id"
OCCURRED_AT: Final = "occurred_at"
RECORDED_AT: Final = "recorded_at"
KNOWN_AT: Final = "known_at"
DECISION_ID: Final = "decision_id"
BACKFILL: Final = "backfill"
SOURCE: Final = "source"

EVENT: Final[Mapping[str, str]] = {
    SEQ: "int64",
    TENANT: "string",
    EVENT_ID: "string",
    LEARNER_ID: "string",
    VERB: "string",
    OBJECT_ID: "string",
    OCCURRED_AT: "timestamp",
    RECORDED_AT: "timestamp",
    KNOWN_AT: "timestamp",
    DECISION_ID: "string",
    "completion": "bool",
    "success": "bool",
    "score": "float64",
    "duration_s": "float64",
    "progress": "float64",
    "context": "string",
    SOURCE: "string",
    BACKFILL: "bool",
    "schema_version": "int32",
}
"""Columns of an event in the lake; `timestamp` is in microseconds UTC, `context` is JSON."""

ROW: Final[Mapping[str, str]] = {"id": "string", "body": "string"}
"""What every catalogue snapshot in the lake starts with: the id and the canonical JSON of the whole row."""

ITEM: Final[Mapping[str, str]] = {**ROW, "title": "string", "type": "string", "difficulty": "string", "duration_s": "float64"}
ITEM_SKILL: Final[Mapping[str, str]] = {"item_id": "string", "skill_id": "string", "level": "float64"}
LEARNER: Final[Mapping[str, str]] = {**ROW, "status": "string", "role_id": "string", "org_unit": "string", "audience": "string"}
PERSON: Final[Mapping[str, str]] = {"name": "string", "learner_id": "string"}
SKILL: Final[Mapping[str, str]] = {**ROW, "name": "string", "family": "string"}
ROLE: Final[Mapping[str, str]] = {**ROW, "name": "string"}
ROLE_SKILL: Final[Mapping[str, str]] = {"role_id": "string", "skill_id": "string", "level": "float64"}

DECISION: Final[Mapping[str, str]] = {
    SEQ: "int64",
    DECISION_ID: "string",
    LEARNER_ID: "string",
    "decided_at": "timestamp",
    "kind": "string",
    "surface": "string",
    "policy": "string",
    "bundle": "string",
    "arms": "string",
    "item_ids": "string",
    "spoke": "bool",
    "fallback": "string",
    "stages_ms": "string",
    "total_ms": "float64",
}
"""Columns of a decision in the lake. `arms` and `stages_ms` are JSON objects, `item_ids` is a JSON list: the slate in order.

`spoke`: a nudge that said something. `total_ms`: the sum of `stages_ms`.
"""
CHOICE: Final[Mapping[str, str]] = {
    LEARNER_ID: "string",
    "choice": "string",
    OCCURRED_AT: "timestamp",
    RECORDED_AT: "timestamp",
}
"""What learners chose about nudges."""
MEMBERSHIP: Final[Mapping[str, str]] = {
    LEARNER_ID: "string",
    "manager_id": "string",
    "org_unit": "string",
    "role_id": "string",
    "valid_from": "timestamp",
    "valid_to": "timestamp",
}
"""To whom a learner belonged from when until when: one row a version of the learner, by id and time."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Whole microseconds since 1970 of an aware time: how the store keeps instants (exact, ordered, portable)."""
    return (at - EPOCH) // _MICROSECOND


def instant(stored: int) -> datetime:
    """The aware UTC time of `microseconds`."""
    return EPOCH + timedelta(microseconds=stored)
