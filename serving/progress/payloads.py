"""What `GET /v1/learners/{learner_id}/progress` may be asked, and its answer."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel

from features.events import Verb
from features.progress.applied import Applied
from features.progress.quests import Step
from serving.payloads import OfLearner, Query


class ProgressQuery(Query):
    """What `GET /v1/learners/{learner_id}/progress` may be asked."""


class VestedPoints(BaseModel):
    """Points by the event that vested them. `learned`: the part that was pending, since the event `learned_by`. `repeats`: how
    often the same voice had said it of this skill; `given`: how often the learner had vouched for that voice, or for a third
    person who had; each of them lessens the points, to none. `capped`: what the week had no room for.
    """

    event_id: str
    verb: Verb
    kind: Applied
    skill: str
    name: str
    occurred_at: datetime
    points: float
    learned: float
    learned_by: str | None
    repeats: int
    given: int
    capped: float


class PendingPoints(BaseModel):
    """Points of what `event_id` taught, that vest once it is applied, until `until`."""

    event_id: str
    skill: str
    name: str
    points: float
    until: datetime


class LearnerPoints(BaseModel):
    """`total`: what has vested. `vested`: the last of the `events` behind it, the newest first."""

    total: float
    this_week: float
    pending_total: float
    events: int
    vested: tuple[VestedPoints, ...]
    pending: tuple[PendingPoints, ...]


class KeptWeek(BaseModel):
    """A week, by its Monday, and the event that refreshed a skill that was due."""

    week: date
    skill: str
    name: str
    event_id: str


class DueSkill(BaseModel):
    """A skill to refresh: when it falls below what is wanted, and until when the streak waits for it."""

    skill: str
    name: str
    falls_at: datetime
    until: datetime


class LearnerStreak(BaseModel):
    """`weeks` in which a due skill was refreshed, since one was last let go (`broken_at`). `kept`: the last of them first."""

    weeks: int
    longest: int
    broken_at: datetime | None
    kept: tuple[KeptWeek, ...]
    due: tuple[DueSkill, ...]


class QuestStep(BaseModel):
    """A step and the event by which it is done; null: it is not."""

    step: Step
    done_by: str | None


class QuestItem(BaseModel):
    """An item for the next step."""

    item_id: str
    title: str
    begun: bool


class LearnerQuest(BaseModel):
    """One skill that the role expects. `next`: the first step that is not done, with what it can be done with."""

    skill: str
    name: str
    expected: float
    present: float
    gap: float
    steps: tuple[QuestStep, ...]
    next: Step
    items: tuple[QuestItem, ...]


class ProgressAnswer(OfLearner):
    """Points, streak and quests of a learner. With personalisation off there is no profile: they are null, `fallback` says so.

    `settings`: the hash of the policy's section `progress`.
    """

    settings: str
    points: LearnerPoints | None
    streak: LearnerStreak | None
    quests: tuple[LearnerQuest, ...] | None
    fallback: Literal["personalisation_off"] | None
