"""What a learner's skills and gaps are answered with."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from features.catalogue import ItemType
from features.events import Id, Verb
from serving.payloads.parts import OfLearner, Query

MAX_WHY = 100
"""Events that are listed behind one skill; more are counted."""


class SkillsQuery(Query):
    """What `GET /v1/learners/{learner_id}/skills` may be asked."""

    skill: Annotated[tuple[Id, ...], Field(max_length=100, description="Only these skills; repeat it for several.")] = ()


class GapsQuery(Query):
    """What `GET /v1/learners/{learner_id}/gaps` may be asked."""

    limit: Annotated[int, Field(ge=1, le=50, description="Items a gap.")] = 5


class Why(BaseModel):
    """What one event gives to a skill: the level it showed, and that level and its confidence as they are now.

    `proposed`: how sure a text model is that the item teaches the skill; null where the catalogue says so.
    """

    event_id: str
    verb: Verb
    object_id: str
    title: str | None
    occurred_at: datetime
    shown: float
    level: float
    confidence: float
    half_life_days: float
    proposed: float | None


class LearnerSkill(BaseModel):
    """One skill now. `expected`: by the role. `below_expected_at`: when the level fades below that if nothing happens (null: it
    is below, or nothing is expected). `events`: how many stand behind it, of which `why` lists the largest.
    """

    skill: str
    name: str
    level: float
    confidence: float
    evidence: Literal["declared", "completed", "assessed", "applied"]
    half_life_days: float
    expected: float | None
    below_expected_at: datetime | None
    events: int
    why: tuple[Why, ...]


class SkillsAnswer(OfLearner):
    """A learner's skills, the highest level first. With personalisation off there is no profile: `fallback` says so."""

    skills: tuple[LearnerSkill, ...]


class GapItem(BaseModel):
    """An item the learner may take now. `closes`: levels of the gap. `proposed`: how sure a text model is that the item teaches
    the skill; null where the catalogue says so.
    """

    item_id: str
    title: str
    type: ItemType
    minutes: float | None
    level: float
    closes: float
    proposed: float | None


class Gap(BaseModel):
    """What the role expects of a skill and the learner does not show. `items`: what closes most of it, first."""

    skill: str
    name: str
    expected: float
    present: float
    gap: float
    confidence: float
    items: tuple[GapItem, ...]


class GapsAnswer(OfLearner):
    """A learner's gaps, the largest first; none without a role, or with personalisation off (`fallback` says so)."""

    gaps: tuple[Gap, ...]
