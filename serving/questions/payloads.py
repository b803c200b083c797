"""What questions about a ranking ask, and what they are told."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.decisions import SlateItem
from features.events import Id
from serving.payloads import RecommendationsRequest

MAX_ITEMS = 20
"""Items that one question may be about."""


class ExplainRequest(RecommendationsRequest):
    """Why these items, or why not. Of a decision of the past, or of what `/v1/recommendations` would answer to the rest of the
    body now.
    """

    items: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_ITEMS, description="Ids or aliases.")]
    decision_id: Annotated[Id | None, Field(description="The decision that is asked about; absent: now.")] = None

    @model_validator(mode="after")
    def _a_decision_has_its_own_request(self) -> Self:
        said = sorted(self.model_fields_set - {"learner_id", "items", "decision_id"})
        if self.decision_id is not None and said:
            raise ValueError(f"{said[0]}: decision {self.decision_id} has its own; leave it out, or leave out decision_id")
        return self

    @property
    def ranking(self) -> RecommendationsRequest:
        """The request that is asked about, where that is now."""
        return RecommendationsRequest(**{name: getattr(self, name) for name in RecommendationsRequest.model_fields})


class Scored(BaseModel):
    """A score and the parts that add up to it, by model name."""

    item_id: str
    title: str | None
    score: float
    parts: Mapping[str, float]


class Compared(BaseModel):
    """An item that scored less beside the last one that was shown by its score (null: none was). `place`: by score, from 0,
    among `of` that might be shown. `difference`: by part, this one's less that one's.
    """

    place: int
    of: int
    score: float
    parts: Mapping[str, float]
    last: Scored | None
    difference: Mapping[str, float]


class ItemExplained(BaseModel):
    """What became of one item, in words.

    `outcome`: it was shown (`shown` has its place, score parts, reasons and propensity; `row` the title of its row); a rule
    removed it (`rule` says which, `stage` where, if that is known, `also` what else would); it scored less than what was shown
    (`compared`); no such item is known; or the decision's record does not say. `why` is a sentence, in the words of the
    learner's own reasons; `change` says what would have to be otherwise.
    """

    item_id: str
    title: str | None
    outcome: Literal["shown", "removed", "scored_less", "unknown_item", "not_recorded"]
    why: str
    change: str | None = None
    row: str | None = None
    shown: SlateItem | None = None
    stage: Literal["retrieve", "filter", "score", "rerank"] | None = None
    rule: str | None = None
    also: tuple[str, ...] = ()
    compared: Compared | None = None


class ExplainAnswer(BaseModel):
    """One answer per item, in the order asked. `decision_id`: null where it is about now. `source`: whether all was worked out
    (`replay`), or only read from the decision's record (`record`), because its bundle, its policy or what it read is gone.
    """

    learner_id: str
    decision_id: str | None
    at: datetime
    bundle: str
    fallback: str | None
    source: Literal["replay", "record"]
    items: tuple[ItemExplained, ...]


class PreviewQuery(BaseModel):
    """What `GET /preview/{learner_id}` may be asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: Annotated[Id | None, Field(description="An item: why it is there, or why not; empty: none.")] = None
