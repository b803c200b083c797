"""Activities: what was done, and how an interaction in them may be answered."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from features.xapi.values import Array, Extensions, Given, Iri, LanguageMap, Strict

INTERACTIONS = {
    "true-false": (),
    "choice": ("choices",),
    "fill-in": (),
    "long-fill-in": (),
    "matching": ("source", "target"),
    "performance": ("steps",),
    "sequencing": ("choices",),
    "likert": ("scale",),
    "numeric": (),
    "other": (),
}
"""Kinds of interaction, and the lists of components that each may have."""
_LISTS = ("choices", "scale", "source", "target", "steps")
Kind = Literal[
    "true-false", "choice", "fill-in", "long-fill-in", "matching", "performance", "sequencing", "likert", "numeric", "other"
]


class Component(Strict):
    """One possible answer."""

    id: Annotated[str, Field(min_length=1)]
    description: Annotated[LanguageMap | None, Given] = None


Components = Annotated[tuple[Component, ...] | None, Array, Given]


class Definition(Strict):
    """What an activity is."""

    name: Annotated[LanguageMap | None, Given] = None
    description: Annotated[LanguageMap | None, Given] = None
    type: Annotated[Iri | None, Given] = None
    more_info: Annotated[Iri | None, Given] = Field(default=None, alias="moreInfo")
    extensions: Annotated[Extensions | None, Given] = None
    interaction_type: Annotated[Kind | None, Given] = Field(default=None, alias="interactionType")
    correct_responses_pattern: Annotated[tuple[str, ...] | None, Array, Given] = Field(
        default=None, alias="correctResponsesPattern"
    )
    choices: Components = None
    scale: Components = None
    source: Components = None
    target: Components = None
    steps: Components = None

    @model_validator(mode="after")
    def _components_fit(self) -> Self:
        given = [name for name in _LISTS if getattr(self, name) is not None]
        if self.interaction_type is None:
            if given or self.correct_responses_pattern is not None:
                raise ValueError("a definition with answers names its interactionType")
            return self
        if wrong := [name for name in given if name not in INTERACTIONS[self.interaction_type]]:
            raise ValueError(f"an interaction of type {self.interaction_type} has no {', '.join(wrong)}")
        for name in given:
            ids = [one.id for one in getattr(self, name)]
            if len(set(ids)) < len(ids):
                raise ValueError(f"{name}: an id stands twice")
        return self


class Activity(Strict):
    """A course, a module, a video, a question: whatever a learner does something with."""

    object_type: Literal["Activity"] = Field(default="Activity", alias="objectType")
    id: Iri
    definition: Annotated[Definition | None, Given] = None
