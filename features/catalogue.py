"""The catalogue: items, learners, roles, skills and assignments of one tenant, each row versioned in the store.

Everything here is data: what an item teaches, who may see it, what a role expects.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from features.events import Id, Instant, Tenant
from features.pieces import in_pieces

Level = Annotated[float, Field(ge=0, le=5)]
"""A skill level from 0 (nothing known) to 5 (expert)."""

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]


class ItemType(StrEnum):
    """What kind of learning an item is."""

    COURSE = "course"
    VIDEO = "video"
    ARTICLE = "article"
    PRACTICE = "practice"
    ASSESSMENT = "assessment"
    PROJECT = "project"
    PEER_SESSION = "peer_session"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Skill(_Row):
    """A modular asset that items teach and roles expect."""

    id: Id
    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=50_000)
    family: str = Field(default="", max_length=200)


class Item(_Row):
    """A learning item. `duration_s` in seconds; `skills` maps a skill id to the level a learner has after it.

    `equivalent_to`: whoever finished one of these has finished this, and the other way round; with `equivalent_for` only
    learners of these audiences have.
    """

    id: Id
    title: str = Field(min_length=1, max_length=500)
    description: str = Field(default="", max_length=50_000)
    type: ItemType = ItemType.COURSE
    duration_s: float | None = Field(default=None, ge=0)
    difficulty: Literal["beginner", "intermediate", "advanced"] | None = None
    languages: tuple[Language, ...] = ()
    skills: Mapping[Id, Level] = Field(default_factory=dict)
    prerequisites: tuple[Id, ...] = ()
    audiences: tuple[str, ...] = ()  # empty: every audience of the tenant
    aliases: tuple[Id, ...] = ()
    version: str = Field(default="1", max_length=64)
    replaces: Id | None = None
    equivalent_to: tuple[Id, ...] = ()
    equivalent_for: tuple[str, ...] = ()  # empty: every audience
    valid_for: str | None = Field(default=None, pattern=r"^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?$")
    recertify_window: str | None = Field(default=None, pattern=r"^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?$")
    available_from: Instant | None = None
    available_until: Instant | None = None
    provider: str = Field(default="", max_length=200)
    position: int | None = None
    attributes: Mapping[str, str | tuple[str, ...]] = Field(default_factory=dict)
    granted_by: Tenant | None = None  # said of items that another tenant grants, never stored

    def available(self, at: datetime) -> bool:
        """Whether the item may be shown at `at` (aware UTC)."""
        after = self.available_from is None or self.available_from <= at
        return after and (self.available_until is None or at < self.available_until)


class Spell(_Row):
    """One period of belonging to the organisation, half-open [since, until)."""

    since: Instant
    until: Instant | None = None


def _as_statements_name_them(aliases: tuple[str, ...]) -> tuple[str, ...]:
    """A mailbox is one person however its letters are written, and a statement's actor is read in lower case."""
    return tuple(alias.lower() if alias.lower().startswith("mailto:") else alias for alias in aliases)


class Learner(_Row):
    """A person who learns. The first audience is the primary one."""

    id: Id
    aliases: Annotated[tuple[Id, ...], AfterValidator(_as_statements_name_them)] = ()
    status: Literal["active", "leave", "ended"] = "active"
    spells: tuple[Spell, ...] = ()
    manager_id: Id | None = None
    org_unit: str | None = Field(default=None, max_length=200)
    role_id: Id | None = None
    audiences: tuple[str, ...] = ()
    account: str | None = Field(default=None, max_length=200)
    timezone: str = Field(default="UTC", max_length=64)
    languages: tuple[Language, ...] = ()
    work_calendar: str | None = Field(default=None, max_length=200)
    personalisation: bool = True


class Role(_Row):
    """A role and the skill levels it expects."""

    id: Id
    name: str = Field(min_length=1, max_length=200)
    expects: Mapping[Id, Level] = Field(default_factory=dict)


class Assignment(_Row):
    """A duty: one item for one learner or one audience (exactly one of the two is given)."""

    id: Id
    item_id: Id
    learner_id: Id | None = None
    audience: str | None = Field(default=None, max_length=200)
    due_at: Instant | None = None
    mandatory: bool = True
    urgent: bool = False
    pause_on_leave: bool = True


CatalogueRow = Skill | Item | Learner | Role | Assignment

KINDS: Mapping[str, type[CatalogueRow]] = {
    "skill": Skill,
    "item": Item,
    "learner": Learner,
    "role": Role,
    "assignment": Assignment,
}
"""Catalogue kinds by the name used in the store and in files (`skills.jsonl`, `items.jsonl` ...)."""


def kind_of(row: CatalogueRow) -> str:
    """The kind name of a catalogue row: `skill`, `item`, `learner`, `role` or `assignment`."""
    return type(row).__name__.lower()


@dataclass(frozen=True)
class Catalogue:
    """What a bundle knows of items, skills and roles at one moment. Holds no person."""

    items: Mapping[str, Item]
    skills: Mapping[str, Skill]
    roles: Mapping[str, Role]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all rows, sorted by kind and id."""
        found = hashlib.sha256()
        for rows in (self.items, self.skills, self.roles):
            for key in in_pieces(sorted(rows)):
                found.update(canonical_json(rows[key]).encode())
        return found.hexdigest()


def canonical_json(row: BaseModel) -> str:
    """One line of JSON with sorted keys and no default values: equal rows give equal bytes."""
    body = row.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
