"""What a learner owes, and whom an assignment reached."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from serving.payloads.parts import Query


class DutiesQuery(Query):
    """What `GET /v1/learners/{learner_id}/duties` may be asked."""


class LearnerDuty(BaseModel):
    """One assignment that is a learner's. `due_at`: until when, without the time on leave where that pauses it; of what is
    done until when that holds; null where no time is set or it holds always. `paused`: its time stands still, on leave.
    """

    assignment_id: str
    item_id: str
    title: str | None
    mandatory: bool
    urgent: bool
    state: Literal["open", "overdue", "done"]
    due_at: datetime | None
    paused: bool


class DutiesAnswer(BaseModel):
    """What a learner has to do, what is due next first; what is done comes last."""

    learner_id: str
    at: datetime
    bundle: str
    duties: tuple[LearnerDuty, ...]


class Reached(BaseModel):
    """One learner of an assignment. `seen`: a decision or a host showed them the item since it stands. `acknowledged`: they
    began it since, or have done it.
    """

    learner_id: str
    seen: bool
    acknowledged: bool
    state: Literal["open", "overdue", "done"]
    due_at: datetime | None


class AssignmentReport(BaseModel):
    """Whom an assignment reached. `assigned`: all whom it is for and who have not left; the other counts are among them."""

    assignment_id: str
    item_id: str
    title: str | None
    urgent: bool
    at: datetime
    assigned: int
    seen: int
    acknowledged: int
    done: int
    overdue: int
    learners: tuple[Reached, ...]
