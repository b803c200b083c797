"""What `POST /v1/rules:dry-run` asks, and what it is told."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serving.rules.language import MOST_RULES, Rule, each_once

MOST_DECISIONS: Final = 500
"""Decisions that one dry run makes again."""
MOST_ITEMS: Final = 50
"""Items of which a dry run tells one by one; those that change most."""


class DryRunRequest(BaseModel):
    """Rules to try, beside those that hold now; one that has the id of such a rule takes its place.

    `without`: ids of rules that hold now, to try without them. `decisions`: how many of the newest to make again, at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rules: Annotated[tuple[Rule, ...], Field(max_length=MOST_RULES)] = ()
    without: Annotated[tuple[str, ...], Field(max_length=2 * MOST_RULES)] = ()
    decisions: Annotated[int, Field(ge=1, le=MOST_DECISIONS)] = 100

    @model_validator(mode="after")
    def _something_to_try(self) -> Self:
        if not self.rules and not self.without:
            raise ValueError("rules: nothing to try; send rules, or in `without` ids of those that hold now")
        try:
            each_once(self.rules)
        except ValueError as error:
            raise ValueError(f"rules: {error}") from None
        return self


class Sample(BaseModel):
    """What was made again: the newest rankings of this tenant, so many, of so many learners, decided from `since` to `until`.

    `as_recorded`: how many come out as they were recorded when made by what serves now, without the rules that are tried; the
    others were made by another bundle or policy. `left_out`: not made again, because what they read is gone. `complete`:
    whether time sufficed for all that were asked for, or that there are.
    """

    decisions: int
    learners: int
    since: datetime | None
    until: datetime | None
    as_recorded: int
    left_out: int
    complete: bool


class Changed(BaseModel):
    """Of the sample: decisions with other items or another order, and their learners; slates with fewer items, or with none."""

    decisions: int = 0
    learners: int = 0
    shorter: int = 0
    emptied: int = 0


class ItemChanged(BaseModel):
    """In how many decisions an item appears, vanishes, or stands at another place."""

    item_id: str
    title: str | None
    appears: int
    vanishes: int
    moves: int


class RuleTried(BaseModel):
    """One rule. `matches`: items of the bundle. Of the sample's decisions: `held` for the learner; `acted`, where it kept an
    item out, lifted one that might be shown, or pinned one; `hid`, items that would have been shown without; `emptied`, slates
    that it had a part in emptying. `warnings`: what may be wrong with it, with the field and what to do.
    """

    id: str
    kind: Literal["exclude", "only", "boost", "limit", "pin"]
    holds: Literal["now", "later", "ended"]
    matches: int
    held: int
    acted: int
    hid: int
    emptied: int
    warnings: tuple[str, ...]


class DryRunAnswer(BaseModel):
    """What rules would have changed in a sample of the past, as if they had held then; a sample, and no forecast.

    `bundle` and `policy`: what serves now, by which all was made again. `items`: at most 50, those that change most, of
    `items_changed`.
    """

    bundle: str
    policy: str
    sample: Sample
    changed: Changed
    items_changed: int
    items: tuple[ItemChanged, ...]
    rules: tuple[RuleTried, ...]
