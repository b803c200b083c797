"""Blend: a weighted sum of several models' standardised scores, so that each covers what another cannot know.

A row of each part is standardised over the items it can score (mean 0, deviation 1). Where a part cannot score an item,
or a whole history, it adds 0: the mean of its row. So the parts that need no history rank for a learner without one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, SkipValidation, model_validator

from features.interactions import Histories, Interactions
from features.pieces import in_pieces
from training.models.base import Arrays, Fitted, Model, columns, number
from training.models.families import FAMILIES
from training.models.linear import FittedLinear
from training.models.weights import choose_weights, standardise

__all__ = ["Blend", "FittedBlend", "choose_weights"]


class Blend(BaseModel):
    """Parts and their fixed weights, by the name of each part. `choose_weights` finds weights on validation."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    name: ClassVar[str] = "blend"

    parts: tuple[SkipValidation[Model], ...]
    weights: Mapping[str, float]

    @model_validator(mode="after")
    def _weights_fit_parts(self) -> Self:
        names = [part.name for part in self.parts]
        if not names or sorted(names) != sorted(self.weights):
            raise ValueError(f"one weight for each part: parts {sorted(names)}, weights for {sorted(self.weights)}")
        return self

    def fit(self, interactions: Interactions, *, rng: np.random.Generator) -> "FittedBlend":
        return FittedBlend({part.name: part.fit(interactions, rng=rng) for part in self.parts}, dict(self.weights))


@dataclass(frozen=True, eq=False)
class FittedBlend:
    """Fitted parts and their weights by name. NaN for an item that no part can score."""

    parts: Mapping[str, Fitted]
    weights: Mapping[str, float]
    kind: ClassVar[str] = "blend"

    @property
    def n_items(self) -> int:
        return next(iter(self.parts.values())).n_items

    def score(self, histories: Histories, items: NDArray[np.int32] | None = None) -> NDArray[np.float32]:
        total = np.zeros((len(histories), histories.n_items), dtype=np.float32)
        known = np.zeros(total.shape, dtype=bool)
        for _, part, scored in self._weighted(histories):
            total += part
            known |= scored
        total[~known] = np.nan
        return columns(total, items)

    def score_parts(self, histories: Histories) -> dict[str, NDArray[np.float32]]:
        """float32[n, m] by part: weighted and standardised, 0 where the part cannot score; the sum is `score` where not NaN."""
        return {name: part for name, part, _ in self._weighted(histories)}

    def _weighted(self, histories: Histories) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.bool_]]]:
        for name, part in in_pieces(self.parts.items()):
            standard, known = standardise(part.score(histories))
            standard *= np.float32(self.weights[name])
            yield name, standard, known

    def contributions(self, histories: Histories, row: int, item: int) -> NDArray[np.float32]:
        """float32[length]: what each entry of a history adds to an item's score by the linear part alone; zeros without it."""
        for part in self.parts.values():
            if isinstance(part, FittedLinear):
                return part.contributions(histories, row, item)
        return np.zeros(len(histories[row]), dtype=np.float32)

    def compact(self, rows: int = 300) -> "FittedBlend":
        """The same blend with its linear part as the `rows` strongest weights a row."""
        smaller = {name: part.compact(rows) if isinstance(part, FittedLinear) else part for name, part in self.parts.items()}
        return replace(self, parts=smaller)

    def arrays(self) -> Arrays:
        return {f"{name}.{key}": array for name, part in self.parts.items() for key, array in part.arrays().items()}

    def params(self) -> Mapping[str, float | int | str]:
        found: dict[str, float | int | str] = {"parts": ",".join(self.parts)}
        for name, part in self.parts.items():
            found |= {f"{name}.kind": part.kind, f"{name}.weight": float(self.weights[name])}
            found |= {f"{name}.{key}": value for key, value in part.params().items()}
        return found

    @classmethod
    def from_arrays(cls, arrays: Arrays, params: Mapping[str, Any]) -> Self:
        names = str(params["parts"]).split(",")
        kinds = {name: FAMILIES[str(params[f"{name}.kind"])].fitted for name in names}
        parts = {name: kind.from_arrays(_of(name, arrays), _of(name, params)) for name, kind in kinds.items()}
        counts = {name: part.n_items for name, part in parts.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"parts of different numbers of items: {counts}")
        return cls(parts, {name: number(params, f"{name}.weight") for name in names})


def _of(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of one part, without its name in front."""
    return {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
