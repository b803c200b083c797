"""How the intake stands."""

from datetime import date, datetime

from pydantic import BaseModel


class Noted(BaseModel):
    """Something that was counted: what, how often, when last."""

    what: str
    count: int
    last_at: datetime


class Unresolved(BaseModel):
    """Names that events speak of and the catalogue does not know: how many, in how many events, and the most frequent."""

    count: int
    events: int
    most: tuple[Noted, ...]


class EvidenceCoverage(BaseModel):
    """Learners with any event, and of them those with evidence of each strength, whatever else they have."""

    learners: int
    declared: int
    completed: int
    assessed: int
    applied: int


class HealthAnswer(BaseModel):
    """How the intake stands. `last_event_lag_s`: from occurring to recording. `not_understood`: valid statements that are no
    events. `refused`: by the field that was wrong. An unresolved name is resolved by a catalogue row that has it as an alias.
    `shared_names`: the first that several learners go by, of whom only one has the history: take it from all but one.
    `retrain_by`: the day (UTC) by whose end what serves is to be retrained, null where it names none.
    """

    at: datetime
    last_statement_at: datetime | None
    last_event_at: datetime | None
    last_event_lag_s: float | None
    repairs: tuple[Noted, ...]
    not_understood: tuple[Noted, ...]
    refused: tuple[Noted, ...]
    unresolved_learners: Unresolved
    unresolved_items: Unresolved
    shared_names: tuple[str, ...]
    evidence: EvidenceCoverage
    retrain_by: date | None
    retrain_overdue: bool
