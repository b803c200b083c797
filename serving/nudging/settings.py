"""What an organisation sets about nudges: hours, budget, holdout, kill switches. Data, hashed into every nudge."""

import hashlib
from collections.abc import Mapping
from datetime import date, time
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.events import Tenant
from features.nudges import Arm

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Share = Annotated[float, Field(ge=0, le=1)]


class WorkCalendar(BaseModel):
    """When people work, and when nobody is spoken to, by the clock on the learner's wall.

    `quiet_from` and `quiet_until` are one stretch, over midnight where it ends earlier than it begins; equal: none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: tuple[Weekday, ...] = WEEKDAYS[:5]
    holidays: tuple[date, ...] = ()
    quiet_from: time = time(18)
    quiet_until: time = time(8)

    @model_validator(mode="after")
    def _of_the_wall(self) -> Self:
        if self.quiet_from.tzinfo is not None or self.quiet_until.tzinfo is not None:
            raise ValueError("quiet hours are of the learner's own clock: leave the zone out")
        return self

    def works(self, day: date) -> bool:
        """Whether this is a day of work."""
        return WEEKDAYS[day.weekday()] in self.days and day not in self.holidays

    def quiet(self, clock: time) -> bool:
        """Whether nobody is spoken to at this time of day: `quiet_from` is quiet, `quiet_until` no longer."""
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= clock < self.quiet_until
        return clock >= self.quiet_from or clock < self.quiet_until


class NudgeSettings(BaseModel):
    """`calendar` holds for whoever names none, `calendars` by the name in a learner's `work_calendar`.

    `weekly_budget`: nudges in seven days, over all channels. `least_hours_between`: from one nudge to the next, over all
    channels as well. `item_rest_days`: so long no nudge is about an item that one was about, whatever it said of it.
    `holdout`: the share of learners who never get one, the same for as long as `holdout_seed` stays. `floor`: the least
    probability of every arm that can come. `killed` silences everybody, `killed_tenants` these, `killed_arms` never come.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    calendar: WorkCalendar = WorkCalendar()
    calendars: Mapping[str, WorkCalendar] = Field(default_factory=dict)
    weekly_budget: Annotated[int, Field(ge=0, le=100)] = 3
    least_hours_between: Annotated[float, Field(ge=0, le=168)] = 4.0
    item_rest_days: Annotated[int, Field(ge=0, le=28)] = 0
    holdout: Share = 0.05
    holdout_seed: Annotated[str, Field(min_length=1, max_length=200)] = "nudges"
    floor: Annotated[float, Field(gt=0, le=1 / len(Arm))] = 0.05
    killed: bool = False
    killed_tenants: tuple[Tenant, ...] = ()
    killed_arms: tuple[Arm, ...] = ()

    @model_validator(mode="after")
    def _nothing_always_can(self) -> Self:
        if Arm.NOTHING in self.killed_arms:
            raise ValueError("killed_arms: `nothing` can always come; leave it out")
        return self

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of all values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]
