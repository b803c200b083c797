"""What `/v1/recommendations` and `/v1/rank` take in and give out."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from features.catalogue import ItemType, Language
from features.decisions import Decision, Due, Row, RowKind
from features.events import Id
from serving.payloads.parts import Body
from serving.rules.language import MOST_ASKED, Rule, each_once

MAX_CANDIDATES = 1_000


class Filters(Body):
    """What every ranking request may say. `max_minutes` leaves out longer items and those of unknown duration."""

    learner_id: Id = Field(description="The host's id of the learner.")
    surface: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")] = "api"
    exclude: Annotated[tuple[Id, ...], Field(max_length=MAX_CANDIDATES)] = ()
    max_minutes: Annotated[float | None, Field(gt=0, le=100_000)] = None
    types: Annotated[tuple[ItemType, ...], Field(max_length=len(ItemType))] = ()
    languages: Annotated[tuple[Language, ...], Field(max_length=20)] = ()
    explain: Annotated[bool, Field(description="Take the trees' scores of the shown items apart, feature by feature.")] = False
    rules: Annotated[
        tuple[Rule, ...],
        Field(max_length=MOST_ASKED, description="They hold for this request, after those of the policy (docs/rules.md)."),
    ] = ()

    @model_validator(mode="after")
    def _each_rule_once(self) -> Self:
        try:
            each_once(self.rules)
        except ValueError as error:
            raise ValueError(f"rules: {error}") from None
        return self


class RowIn(Body):
    """One row of a page, and how many items it may have."""

    row: RowKind
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class RecommendationsRequest(Filters):
    """Nextwise chooses from the whole catalogue; `limit` bounds the items over all rows.

    `rows`: which rows, in this order, until `limit` is reached; absent: those of a home page.
    """

    limit: Annotated[int, Field(ge=1, le=100)] = 10
    rows: Annotated[tuple[RowIn, ...], Field(max_length=len(RowKind))] = ()
    form: Annotated[
        Literal["full", "minimal"], Field(description="`minimal`: ids, titles and positions only, for low bandwidth.")
    ] = "full"
    offline: Annotated[bool, Field(description="Sign the slate, so that a device may show it for 7 days without asking.")] = (
        False
    )

    @model_validator(mode="after")
    def _each_row_once(self) -> Self:
        kinds = [one.row for one in self.rows]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice is not None:
            raise ValueError(f"rows: {twice} stands there twice; ask for each row once, with the larger limit")
        return self


class RankRequest(Filters):
    """The caller's candidates; without a `limit` all that are eligible are ranked."""

    candidates: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_CANDIDATES)]
    limit: Annotated[int | None, Field(ge=1, le=100)] = None


Request = RecommendationsRequest | RankRequest


class RecommendationsAnswer(BaseModel):
    """Titled rows of items, deduplicated over rows; the part of a decision that a host receives.

    `language`: in which titles and reasons are said. `shortfall`: where fewer than `limit` items could be shown, how many each
    rule kept out. `arms`: by experiment the arm that the learner is in.
    """

    decision_id: str
    bundle: str
    policy: str
    arms: Mapping[str, str]
    fallback: str | None
    language: str | None
    rows: tuple[Row, ...]
    shortfall: Mapping[str, int]

    @classmethod
    def of(cls, decision: Decision) -> "RecommendationsAnswer":
        """The answer part of a decision, which was validated when it was made."""
        return cls.model_construct(**{name: getattr(decision, name) for name in cls.model_fields})


class MinimalItem(BaseModel):
    """What a card needs at least. `due`: of a duty. `language_mismatch`: it is in no language of the learner's."""

    item_id: str
    title: str | None
    position: int
    due: Due | None
    language_mismatch: bool


class MinimalRow(BaseModel):
    """A titled row of them. `more`: of the row of duties how many stand nowhere, for want of room."""

    title: str
    items: tuple[MinimalItem, ...]
    more: int | None


class MinimalAnswer(BaseModel):
    """The answer in the form `minimal`. The decision behind it is recorded in full, and named for events to refer to."""

    decision_id: str
    fallback: str | None
    language: str | None
    rows: tuple[MinimalRow, ...]

    @classmethod
    def of(cls, decision: Decision) -> "MinimalAnswer":
        """Of a decision what a card needs."""
        return cls.model_validate(decision, from_attributes=True)


class RankAnswer(RecommendationsAnswer):
    """Every candidate stands in a row or in `removed`, under the rule that removed it."""

    removed: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, decision: Decision) -> "RankAnswer":
        """The answer part of a decision and what was removed."""
        return cls.model_construct(**{name: getattr(decision, name) for name in cls.model_fields})
