"""Merges of learners, and all that is stored of one."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from features.events import Id, LogTime
from serving.payloads.parts import Body


class MergeIn(Body):
    """That a learner is the person of another id, or no longer is."""

    into: Annotated[Id, Field(description="Whose row counts for both.")]
    occurred_at: Annotated[LogTime | None, Field(description="When that was found out; absent: now.")] = None


class MergeAnswer(BaseModel):
    """The two ids (of aliases those of their learners), and what became of it: stored, no news, or about somebody who was
    erased since.
    """

    learner_id: str
    into: str
    outcome: Literal["accepted", "duplicate", "suppressed"]


class LearnerVersion(BaseModel):
    """A row of the catalogue and from when until when it was so; `valid_to` is null for the one that is."""

    valid_from: datetime
    valid_to: datetime | None
    row: dict[str, JsonValue]


class LearnerExport(BaseModel):
    """All that is stored of a learner, under every name they have or had, in the order of arrival.

    `merges`: that ids were joined, and that they were no longer. `events`: those that were taken back too, with `voided_at`.
    `statements`: as they came. `decisions`: what was shown or said to them, and why. `nudge_choices`: what they chose about
    nudges.
    """

    tenant: str
    learner_id: str
    names: tuple[str, ...]
    learner: tuple[LearnerVersion, ...]
    assignments: tuple[LearnerVersion, ...]
    merges: tuple[dict[str, JsonValue], ...]
    events: tuple[dict[str, JsonValue], ...]
    statements: tuple[dict[str, JsonValue], ...]
    decisions: tuple[dict[str, JsonValue], ...]
    nudge_choices: tuple[dict[str, JsonValue], ...]
