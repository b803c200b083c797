"""What a PUT of catalogue rows is asked and answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class SyncQuery(BaseModel):
    """What a PUT of catalogue rows may be asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: Annotated[bool, Field(description="The body is all there is of this kind: what it does not hold is retired.")] = (
        False
    )
    most_vanish: Annotated[
        float,
        Field(ge=0, le=1, allow_inf_nan=False, description="Share of what stands that a snapshot may retire; more is refused."),
    ] = 0.1


class UnknownName(BaseModel):
    """A row that another names (`named_by`, in its `field`) and that is not there, yet."""

    kind: Literal["item", "learner", "role", "skill"]
    id: str
    named_by: str
    field: str


class CatalogueAnswer(BaseModel):
    """What became of the rows, which are stored and synced. `unresolved`: the first of the names that lead nowhere."""

    inserted: int
    changed: int
    unchanged: int
    retired: int
    unresolved_count: int
    unresolved: tuple[UnknownName, ...]
