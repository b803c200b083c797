"""A statement: who did what, with what outcome, in which context; checked field by field, without nulls and unknown fields."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from features.xapi.activities import Activity
from features.xapi.actors import Actor, Agent, Group, type_of
from features.xapi.values import Array, Duration, Extensions, Given, Iri, Language, LanguageMap, Strict, Time, Uuid

VOIDED = "http://adlnet.gov/expapi/verbs/voided"


class Verb(Strict):
    """What was done."""

    id: Iri
    display: Annotated[LanguageMap | None, Given] = None


class StatementRef(Strict):
    """Another statement, by its id."""

    object_type: Literal["StatementRef"] = Field(alias="objectType")
    id: Uuid


class Score(Strict):
    """`scaled` lies in -1..1, `raw` between `min` and `max` where these are given."""

    scaled: Annotated[float | None, Given] = Field(default=None, ge=-1, le=1)
    raw: Annotated[float | None, Given] = None
    min: Annotated[float | None, Given] = None
    max: Annotated[float | None, Given] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = -math.inf if self.min is None else self.min, math.inf if self.max is None else self.max
        if low >= high:
            raise ValueError(f"min {self.min:g} is not below max {self.max:g}")
        if self.raw is not None and not low <= self.raw <= high:
            raise ValueError(f"raw {self.raw:g} does not lie between min and max")
        return self

    @property
    def share(self) -> float | None:
        """In 0..1: `scaled`, or `raw` between `min` (0 where not given) and `max`; None where neither can be told."""
        if self.scaled is not None:
            return max(self.scaled, 0.0)
        if self.raw is None or self.max is None:
            return None
        low = 0.0 if self.min is None else self.min
        return min(max((self.raw - low) / (self.max - low), 0.0), 1.0) if self.max > low else None


class Result(Strict):
    """The outcome."""

    score: Annotated[Score | None, Given] = None
    success: Annotated[bool | None, Given] = None
    completion: Annotated[bool | None, Given] = None
    response: Annotated[str | None, Given] = None
    duration: Annotated[Duration | None, Given] = None
    extensions: Annotated[Extensions | None, Given] = None


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else value


Activities = Annotated[tuple[Activity, ...] | None, Array, BeforeValidator(_listed), Given]
"""One activity may stand without its list, as version 0.95 had it."""


class ContextActivities(Strict):
    """Activities that this one is part of (`parent`, `grouping`), is shaped by (`category`), or has to do with (`other`)."""

    parent: Activities = None
    grouping: Activities = None
    category: Activities = None
    other: Activities = None


class ContextAgent(Strict):
    """Somebody who had a part in it (2.0)."""

    object_type: Literal["contextAgent"] = Field(default="contextAgent", alias="objectType")
    agent: Agent
    relevant_types: Annotated[tuple[Iri, ...] | None, Array, Given] = Field(default=None, alias="relevantTypes", min_length=1)


class ContextGroup(Strict):
    """A group that had a part in it (2.0)."""

    object_type: Literal["contextGroup"] = Field(default="contextGroup", alias="objectType")
    group: Group
    relevant_types: Annotated[tuple[Iri, ...] | None, Array, Given] = Field(default=None, alias="relevantTypes", min_length=1)


class Context(Strict):
    """Where it belongs."""

    registration: Annotated[Uuid | None, Given] = None
    instructor: Annotated[Actor | None, Given] = None
    team: Annotated[Group | None, Given] = None
    context_activities: Annotated[ContextActivities | None, Given] = Field(default=None, alias="contextActivities")
    context_agents: Annotated[tuple[ContextAgent, ...] | None, Array, Given] = Field(default=None, alias="contextAgents")
    context_groups: Annotated[tuple[ContextGroup, ...] | None, Array, Given] = Field(default=None, alias="contextGroups")
    revision: Annotated[str | None, Given] = None
    platform: Annotated[str | None, Given] = None
    language: Annotated[Language | None, Given] = None
    statement: Annotated[StatementRef | None, Given] = None
    extensions: Annotated[Extensions | None, Given] = None


class Attachment(Strict):
    """A file that belongs to it; the file itself is not kept."""

    usage_type: Iri = Field(alias="usageType")
    display: LanguageMap
    description: Annotated[LanguageMap | None, Given] = None
    content_type: Annotated[str, Field(alias="contentType", pattern=r"^[\w.+-]+/[\w.+*-]+(?:\s*;.*)?$")]
    length: Annotated[int, Field(ge=0)]
    sha2: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{56,128}$")]
    file_url: Annotated[Iri | None, Given] = Field(default=None, alias="fileUrl")


def _kind(value: Any) -> str:
    found = type_of(value)
    return found if isinstance(found, str) and found in ("Agent", "Group", "StatementRef", "SubStatement") else "Activity"


Plain = (
    Annotated[Activity, Tag("Activity")]
    | Annotated[Agent, Tag("Agent")]
    | Annotated[Group, Tag("Group")]
    | Annotated[StatementRef, Tag("StatementRef")]
)


class _Said(Strict):
    """What statement and sub-statement have in common."""

    actor: Actor
    verb: Verb
    result: Annotated[Result | None, Given] = None
    context: Annotated[Context | None, Given] = None
    timestamp: Annotated[Time | None, Given] = None
    attachments: Annotated[tuple[Attachment, ...] | None, Array, Given] = None

    def _context_fits(self, thing: Any) -> None:
        """Revision and platform describe an activity, and nothing else has them."""
        if self.context is None or isinstance(thing, Activity):
            return
        if wrong := [name for name in ("revision", "platform") if getattr(self.context, name) is not None]:
            raise ValueError(f"context.{wrong[0]} is given, but the object is no activity")


class SubStatement(_Said):
    """A statement within a statement: something intended or said by others; it has no id and holds no other one."""

    object_type: Literal["SubStatement"] = Field(alias="objectType")
    object: Annotated[Plain, Discriminator(_kind)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._context_fits(self.object)
        return self


class Statement(_Said):
    """A whole statement. `stored` and `authority` are the store's to set: what comes in is checked and then replaced."""

    id: Annotated[Uuid | None, Given] = None
    object: Annotated[Plain | Annotated[SubStatement, Tag("SubStatement")], Discriminator(_kind)]
    stored: Annotated[Time | None, Given] = None
    authority: Annotated[Actor | None, Given] = None
    version: Annotated[str | None, Given] = Field(default=None, pattern=r"^(?:1\.0(?:\.\d+)?|2\.0(?:\.\d+)?)$")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._context_fits(self.object)
        if self.verb.id == VOIDED and not isinstance(self.object, StatementRef):
            raise ValueError("a voiding statement names the statement that it voids: object is a StatementRef")
        if isinstance(self.authority, Group) and not _is_oauth(self.authority):
            raise ValueError("authority: a group stands for OAuth and has two members and no identifier")
        return self

    @property
    def voids(self) -> str | None:
        """The id of the statement that this one voids."""
        return self.object.id if self.verb.id == VOIDED and isinstance(self.object, StatementRef) else None


def _is_oauth(group: Group) -> bool:
    return not group.identifiers and group.member is not None and len(group.member) == 2
