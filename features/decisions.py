"""The decision: what was shown to whom, why, and with what probability. A decision is a log line like an event.

What the service returns and what it records is this one object; `answer()` is the part a host sees.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from features.events import Id, Instant, Tenant
from features.nudges import Nudge

Probability = Annotated[float, Field(gt=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Driver(_Part):
    """What one feature of an item gave to the score of the trees. `value`: null where the feature is not known of the item."""

    feature: str
    value: float | None
    amount: float


class TreeScore(_Part):
    """The score of the trees for an item, taken apart (SHAP values): `start` and all amounts add up to `score`.

    `largest`: the largest amounts by size; `rest`: the sum of all others. All are null or empty where the trees did not look at
    the item, because it was no candidate of theirs (`candidate` false): it stands where the blend put it.
    """

    candidate: bool
    score: float | None = None
    start: float | None = None
    largest: tuple[Driver, ...] = ()
    rest: float | None = None


class Due(_Part):
    """The duty for which an item stands in a slate. `due_at`: without the days on leave where they do not count; null where
    there is no time. `overdue`: whether that was past.
    """

    assignment_id: Id
    due_at: Instant | None = None
    urgent: bool = False
    overdue: bool = False


class RowKind(StrEnum):
    """What a row of a slate is about."""

    MANDATORY = "mandatory"
    PINNED = "pinned"
    CONTINUE = "continue"
    RECOMMENDED = "recommended"
    GAPS = "gaps"
    BECAUSE = "because"
    NEW = "new"
    POPULAR = "popular"


class SlateItem(_Part):
    """One shown item.

    `position` counts from 0 over the whole slate. `score` is the model's, `parts` its additive pieces by model name.
    `propensity` is the probability of this item at this position given the context and the positions above, over all
    randomisation inside the arm: `(1 - e) [item = greedy] + e q(item)`. `source` names where the item came from,
    `explore` when the exploration coin placed it. `place` is its place in its row by score alone, from 0: it differs from the
    place it has where diversity, a provider limit or the coin moved it. `probability`: how likely the learner takes it up next,
    by a map from scores that was fitted on what learners did (null where the bundle has none, or a fallback ranked). `because`:
    the items of the learner's history that gave most to it, at most three, each with what it adds to the score of the linear
    part (empty without one). `trees`: what trees made of it, where the request asked and the bundle has trees. `title` and
    `language`: the catalogue's; of several languages the first that the learner reads. `language_mismatch`: it is in none of
    theirs, and shown because it is a duty. `due`: that duty.
    """

    item_id: Id
    position: int = Field(ge=0)
    score: float
    parts: Mapping[str, float] = Field(default_factory=dict)
    propensity: Probability
    source: str
    reasons: tuple[str, ...] = ()
    place: int | None = Field(default=None, ge=0)
    probability: float | None = Field(default=None, ge=0, le=1)
    because: tuple[tuple[Id, float], ...] = ()
    trees: TreeScore | None = None
    title: str | None = None
    language: str | None = None
    language_mismatch: bool = False
    due: Due | None = None


class Row(_Part):
    """A titled row of a slate. `row`: what it is about; null in decisions from before rows had a kind, and of `/v1/rank`.
    `more`: of the row of duties how many stand in no row of the slate, for want of room; null of other rows.
    """

    title: str
    row: RowKind | None = None
    items: tuple[SlateItem, ...]
    more: int | None = Field(default=None, ge=0)


class Randomisation(_Part):
    """How chance took part: the coin's probability, the seed of the draws, and how many items the coin could choose from."""

    epsilon: float = Field(ge=0, le=1)
    seed: int = Field(ge=0)
    support: int = Field(ge=0)


class Decision(_Part):
    """One answer, complete enough to be explained, replayed and evaluated later.

    `removed` groups item ids by the rule that removed them; `shortfall` says how many each rule took where a slate has fewer
    items than it might have; `features` holds the named feature values of the shown items in slate order (NaN is recorded as
    null); `arms` are those of the experiments whose arms differ in what made it, and make it an exposure to them; `events_read`
    are the ids of the events that the decision knew, `nudges_read` of the nudges that its limits counted; `language` is the one
    in which titles of rows and reasons are said, null where none is recorded; `stages_ms` are milliseconds by pipeline stage. A
    decision of kind `nudge` has `nudge` and no rows.
    """

    decision_id: Id
    tenant: Tenant
    learner_id: Id
    decided_at: Instant
    kind: Literal["ranking", "nudge"] = "ranking"
    surface: str = "api"
    request: Mapping[str, JsonValue] = Field(default_factory=dict)
    bundle: str
    policy: str
    arms: Mapping[str, str] = Field(default_factory=dict)
    randomisation: Randomisation
    candidates: Mapping[str, int] = Field(default_factory=dict)
    removed: Mapping[str, tuple[Id, ...]] = Field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    shortfall: Mapping[str, int] = Field(default_factory=dict)
    nudge: Nudge | None = None
    features: Mapping[str, tuple[float | None, ...]] = Field(default_factory=dict)
    events_read: tuple[Id, ...] = ()
    nudges_read: tuple[Id, ...] = ()
    versions: Mapping[str, str] = Field(default_factory=dict)
    fallback: str | None = None
    language: str | None = None
    stages_ms: Mapping[str, float] = Field(default_factory=dict)
    schema_version: int = Field(default=1, ge=1, le=1)

    @property
    def slate(self) -> tuple[SlateItem, ...]:
        """All shown items, by position."""
        return tuple(item for row in self.rows for item in row.items)

    def answer(self) -> dict[str, Any]:
        """The part a host LMS receives, JSON-ready."""
        return self.model_dump(
            mode="json", include={"decision_id", "bundle", "policy", "arms", "fallback", "language", "rows", "shortfall"}
        )


def nudged_items(nudges: Iterable[Decision]) -> list[tuple[datetime, str]]:
    """When something was said about which item."""
    said = ((one.decided_at, None if one.nudge is None else one.nudge.item_id) for one in nudges)
    return [(when, item_id) for when, item_id in said if item_id is not None]
