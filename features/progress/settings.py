"""What an organisation sets about progress. Data, hashed into every answer."""

import hashlib
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, le=1_000)]


class ProgressSettings(BaseModel):
    """`learned`: points of a passed assessment, which vest when the skill is applied within `window_days`; `applied`: points of
    the evidence itself. `used_in_work` to `stated`: the share of both that each kind of evidence is worth. `repeat`: what each
    repetition leaves of it, nothing below the share `least`. `weekly_cap`: points in a week. `quests`: how many at a time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learned: Amount = 10.0
    applied: Amount = 10.0
    window_days: Annotated[int, Field(ge=1, le=730)] = 90
    used_in_work: Share = 1.0
    attested: Share = 1.0
    helped: Share = 1.0
    endorsed: Share = 0.75
    stated: Share = 0.25
    repeat: Annotated[float, Field(ge=0, lt=1)] = 0.5
    least: Annotated[float, Field(gt=0, le=1)] = 0.05
    weekly_cap: Amount = 60.0
    quests: Annotated[int, Field(ge=1, le=20)] = 3

    @model_validator(mode="after")
    def _ones_own_word_is_the_least(self) -> Self:
        if self.stated >= min(self.used_in_work, self.attested, self.helped, self.endorsed):
            raise ValueError("stated: what learners say of themselves must be worth less than what others show or say")
        return self

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of all values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]
