"""The event: one fact about one learner, and the two clocks it carries.

Everything else in Nextwise (histories, skills, decisions' outcomes) is a pure function of events.
"""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

MAX_CLOCK_SKEW = timedelta(minutes=5)
EARLIEST = datetime(1901, 1, 1, tzinfo=UTC)
"""Nobody's learning is older, and 1 January 1900 is what databases and spreadsheets write for no time at all."""
ZERO = datetime(1969, 12, 31, tzinfo=UTC), datetime(1970, 2, 1, tzinfo=UTC)
"""From and until: what an unset field gives in any zone, and what seconds give that are read as milliseconds."""

SKILL_PREFIX = "skill:"
"""An object_id that starts with this names a skill (evidence about it), any other names an item."""

# The context is hashed apart, with sorted keys; the other fields always come in the order in which they are declared.
_NOT_CONTENT = {"recorded_at", "source", "backfill", "context"}
_ROW_NAMESPACE = uuid.UUID("6e8b2f0e-3d0c-5a51-9f0a-2c7f1f6d4b11").bytes


class Evidence(IntEnum):
    """How strongly a verb shows a skill: declared < completed < assessed < applied (attested counts as applied)."""

    NONE = 0
    DECLARED = 1
    COMPLETED = 2
    ASSESSED = 3
    APPLIED = 4


class Verb(StrEnum):
    """What a learner did, or what was done for them. `iri` is the xAPI verb, `evidence` what it shows of a skill."""

    ASSIGNED = "assigned"
    ENROLLED = "enrolled"
    WITHDRAWN = "withdrawn"
    SHOWN = "shown"
    STARTED = "started"
    PROGRESSED = "progressed"
    COMPLETED = "completed"
    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"
    SAVED = "saved"
    DISMISSED = "dismissed"
    KNOWN = "known"
    RATED = "rated"
    SHARED = "shared"
    ANSWERED = "answered"
    ENDORSED = "endorsed"
    APPLIED = "applied"
    ATTESTED = "attested"
    REVOKED = "revoked"

    @property
    def iri(self) -> str:
        return _IRI.get(self, f"https://w3id.org/nextwise/verbs/{self.value}")

    @property
    def evidence(self) -> Evidence:
        return _EVIDENCE.get(self, Evidence.NONE)


_ADL = "http://adlnet.gov/expapi/verbs/"
_IRI = {
    Verb.ENROLLED: _ADL + "registered",
    Verb.STARTED: _ADL + "initialized",
    Verb.PROGRESSED: _ADL + "progressed",
    Verb.COMPLETED: _ADL + "completed",
    Verb.PASSED: _ADL + "passed",
    Verb.FAILED: _ADL + "failed",
    Verb.WAIVED: "https://w3id.org/xapi/adl/verbs/waived",
    Verb.SHARED: _ADL + "shared",
    Verb.ANSWERED: _ADL + "answered",
}
_EVIDENCE = {
    Verb.KNOWN: Evidence.DECLARED,
    Verb.COMPLETED: Evidence.COMPLETED,
    Verb.PASSED: Evidence.ASSESSED,
    Verb.ENDORSED: Evidence.ASSESSED,
    Verb.APPLIED: Evidence.APPLIED,
    Verb.ATTESTED: Evidence.APPLIED,
}

INTERACTION_VERBS = frozenset({Verb.STARTED, Verb.PROGRESSED, Verb.COMPLETED, Verb.PASSED, Verb.FAILED, Verb.APPLIED})
"""Verbs by which a learner took up an item: what models learn from and what a history holds."""

FINISHING_VERBS = frozenset({Verb.COMPLETED, Verb.PASSED, Verb.WAIVED, Verb.KNOWN})
"""Verbs after which an item need not be recommended again while the completion is valid."""


def to_utc(value: datetime) -> datetime:
    """The same instant in UTC; ValueError where that leaves the calendar (the years 1 to 9999)."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value.isoformat()} lies outside the years 1 to 9999 in UTC") from None


def _of_a_log(value: datetime) -> datetime:
    if value < EARLIEST:
        raise ValueError(f"{value.isoformat()} is before {EARLIEST.year}: no learning log is that old")
    if ZERO[0] <= value < ZERO[1]:
        raise ValueError(f"{value.isoformat()} is what an unset field or a wrong unit gives: send the time when it happened")
    return value


def _storable(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # pydantic refuses lone surrogates in `str` but not within JSON values.
    try:
        json.dumps(value, ensure_ascii=False).encode() if value else b""
    except UnicodeEncodeError:
        raise ValueError("a text holds a lone surrogate (\\ud800 to \\udfff), which is no character") from None
    return value


Instant = Annotated[AwareDatetime, AfterValidator(to_utc)]
LogTime = Annotated[Instant, AfterValidator(_of_a_log)]
Id = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f]+$")]
Tenant = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Result(BaseModel):
    """The outcome part of an event. `score` and `progress` lie in 0..1, `duration_s` is in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    completion: bool | None = None
    success: bool | None = None
    score: float | None = Field(default=None, ge=0, le=1)
    duration_s: float | None = Field(default=None, ge=0)
    progress: float | None = Field(default=None, ge=0, le=1)


class Event(BaseModel):
    """One fact. Key (tenant, event_id): the same id twice is one event, with other content a conflict."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tenant: Tenant
    event_id: Id
    learner_id: Id
    verb: Verb
    object_id: Id
    occurred_at: LogTime
    recorded_at: LogTime
    decision_id: Id | None = None
    result: Result | None = None
    context: Annotated[dict[str, JsonValue], AfterValidator(_storable)] = Field(default_factory=dict, max_length=32)
    source: Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f]*$")] = "api"
    backfill: bool = False
    schema_version: int = Field(default=1, ge=1, le=1)

    @model_validator(mode="after")
    def _not_in_the_future(self) -> Self:
        if self.occurred_at - self.recorded_at > MAX_CLOCK_SKEW:
            raise ValueError(
                f"occurred_at {self.occurred_at.isoformat()} is in the future (more than 5 minutes after recorded_at)"
            )
        return self

    @property
    def known_at(self) -> datetime:
        """When a decision could first know this event: `recorded_at`, or `occurred_at` for an import marked backfill."""
        return self.occurred_at if self.backfill else self.recorded_at

    @property
    def skill_id(self) -> str | None:
        """The skill this event speaks of directly, None when its object is an item."""
        return self.object_id.removeprefix(SKILL_PREFIX) if self.object_id.startswith(SKILL_PREFIX) else None

    def content_hash(self) -> str:
        """SHA-256 over what makes two events with one id the same fact (all but `recorded_at`, `source`, `backfill`)."""
        body = self.model_dump_json(exclude=_NOT_CONTENT)
        context = json.dumps(self.context, sort_keys=True) if self.context else "{}"
        return hashlib.sha256((body + context).encode()).hexdigest()


def row_event_id(fields: tuple[Any, ...], occurrence: int) -> str:
    """A stable id for a file row without one: UUIDv5 of its fields and its occurrence number (0, 1, ..) among equal rows."""
    text = "\x1f".join([*map(str, fields), str(occurrence)])
    # Text that is no UTF-8 gets an id too: refusing it is the model's part, which knows the field.
    digest = hashlib.sha1(_ROW_NAMESPACE + text.encode(errors="backslashreplace"), usedforsecurity=False).hexdigest()
    # `uuid.uuid5` says the same in five times the time: version 5 in the 13th digit, the variant in the 17th.
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"


_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
