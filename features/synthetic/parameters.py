"""The parameter file of the embedded organisation: frozen models of `organisation.toml`, every field of which is read."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

EMBEDDED = Path(__file__).with_name("organisation.toml")

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Period(_Table):
    """The observed time, half-open [start, end), midnight UTC."""

    start: date
    end: date

    @property
    def days(self) -> int:
        return (self.end - self.start).days


class People(_Table):
    """How many learners there are and in which states. Shares are of all learners; audiences sum to 1."""

    learners: PositiveInt
    cold_share: Share
    already_here_share: Share
    personalisation_off_share: Share
    leave_share: Share
    ended_share: Share
    declared_share: Share
    second_language_share: Share
    audiences: dict[str, Share]


class CatalogueShape(_Table):
    """How many of the written items exist and which of them are late, retired, restricted, translated or never found."""

    items: PositiveInt
    late_share: Share
    retired_share: Share
    restricted_share: Share
    translated_share: Share
    silent_share: Share
    second_skill_share: Share
    providers: tuple[str, ...] = Field(min_length=1)


class Activity(_Table):
    """When and how much people learn. `takes_mean` is free choices per warm learner over the full period."""

    takes_mean: Positive
    takes_sigma: Positive
    takes_max: PositiveInt
    session_size: Annotated[float, Field(ge=1)]
    weekend_share: Share
    evening_share: Share
    quiet_months: tuple[Annotated[int, Field(ge=1, le=12)], ...]
    quiet_factor: Share
    offline_share: Share
    batch_share: Share


class Choice(_Table):
    """The utility of an item to a learner at a moment, in units of the choice's Gumbel noise."""

    appeal: float
    interest: float
    taste: float
    gap: float
    next: float
    theme: float
    freshness: float
    unmet_prerequisite: float
    memory: Share
    taste_dimensions: PositiveInt
    journeys: Count
    fresh_days: PositiveInt


class Appeal(_Table):
    """How an item's appeal changes: a slow drift and short campaigns."""

    drift: float
    bursts: Count
    burst_height: float
    burst_days: PositiveInt


class Recommending(_Table):
    """The slates shown by the earlier system and what they do; `effect` is added utility by primary audience."""

    slates: Count
    size: PositiveInt
    random_share: Share
    saved_share: Share
    dismissed_share: Share
    known_share: Share
    effect: dict[str, float]


class Duties(_Table):
    """Mandatory items for everyone inside, and items that managers assign to one person."""

    mandatory_items: Count
    due_days: PositiveInt
    on_time_share: Share
    waived_share: Share
    diligence: float
    individual: Count


class Outcome(_Table):
    """What becomes of a started item: completion, passing, what is kept, and its application weeks later."""

    completion: float
    completion_per_hour: float
    fit: float
    pass_margin: float
    retry_share: Share
    recall: Share
    applied_per_take: Share
    attested_share: Share
    endorsed_per_take: Share
    revoked_share: Share
    apply_days: PositiveInt


class Traces(_Table):
    """The small events around a take: shares of takes (`withdrawn_share`: of enrolments not completed)."""

    enrolled_share: Share
    withdrawn_share: Share
    progressed_share: Share
    answered_share: Share
    rated_share: Share
    shared_share: Share
    saved_share: Share


class OrgUnit(_Table):
    """A unit of the organisation. `audience` is set where a unit holds an outside audience; `size` is relative."""

    name: str
    timezone: str
    language: str
    size: Positive
    roles: tuple[str, ...] = Field(min_length=1)
    audience: str | None = None


class RoleExpectation(_Table):
    """A role and the skill levels (0..5) it expects."""

    id: str
    name: str
    expects: dict[str, Annotated[float, Field(ge=0, le=5)]]


class Parameters(_Table):
    """Everything that decides the organisation, but for the seed."""

    period: Period
    people: People
    catalogue: CatalogueShape
    activity: Activity
    choice: Choice
    appeal: Appeal
    recommending: Recommending
    duties: Duties
    outcome: Outcome
    traces: Traces
    org_unit: tuple[OrgUnit, ...] = Field(min_length=1)
    role: tuple[RoleExpectation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> "Parameters":
        known = {role.id for role in self.role}
        for unit in self.org_unit:
            if missing := sorted(set(unit.roles) - known):
                raise ValueError(f"org_unit {unit.name!r} names unknown roles {missing}")
        if abs(sum(self.people.audiences.values()) - 1) > 1e-9:
            raise ValueError("people.audiences must sum to 1")
        if set(self.recommending.effect) != set(self.people.audiences):
            raise ValueError("recommending.effect must name the same audiences as people.audiences")
        if self.period.days < 60:
            raise ValueError("period must last at least 60 days")
        return self


def load(path: Path | None = None) -> Parameters:
    """The parameters in a TOML file, by default the embedded one. Raises ValueError that names file and field."""
    file = EMBEDDED if path is None else path
    try:
        return Parameters.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: not TOML: {error}") from error
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{file}: {lines}") from error
