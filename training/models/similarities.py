"""Kinds of similarity between items, from what is known of them beside who took them up; rows are made when asked for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.side import POSITION, SideInformation
from training.models.content import ContentConfig

Floats = NDArray[np.float32]

TEXT, ATTRIBUTES = "text", "attributes"
REACH = (1, 5, 30)
"""Places in the catalogue over which nearness falls to 1/e, for the kinds `ahead1` ... and `behind1` ..."""


@dataclass(frozen=True, eq=False)
class Similarities:
    """Of m items. text: float32[m, d], attributes: float32 csr[m, a] weighted by rarity, both of rows of length 1 or 0.

    position: float32[m] in the catalogue, NaN where not given. Each None
    where no item has it.
    """

    n_items: int
    text: Floats | None
    attributes: sparse.csr_matrix | None
    position: Floats | None

    @classmethod
    def of(cls, side: SideInformation) -> "Similarities":
        """ValueError where neither texts, attributes nor positions are known of any item."""
        text = None if side.text is None else ContentConfig().bind(SideInformation(side.n_items, side.text)).vectors
        alone = SideInformation(side.n_items, attributes=side.attributes)
        attributes = None if side.attributes is None else ContentConfig().bind(alone).attributes
        position = side.fields.get(POSITION)
        if text is None and attributes is None and position is None:
            raise ValueError("nothing is known of the items: similarity needs texts, attributes or positions in the catalogue")
        return cls(side.n_items, text, attributes, position)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The names of the kinds that these items have."""
        near = tuple(f"{way}{reach}" for reach in REACH for way in ("ahead", "behind"))
        has = ((TEXT, self.text), (ATTRIBUTES, self.attributes))
        return (*(name for name, table in has if table is not None), *(near if self.position is not None else ()))

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """bool[m]: items with any of them."""
        found = np.zeros(self.n_items, dtype=bool)
        if self.text is not None:
            found |= self.text.any(axis=1)
        if self.attributes is not None:
            found |= np.diff(self.attributes.indptr) > 0
        if self.position is not None:
            found |= ~np.isnan(self.position)
        return found

    def rows(self, kind: str, items: NDArray[np.integer]) -> Floats:
        """float32[len(items), m]: how like each of `items` every item is. Errors: KeyError for a kind they do not have."""
        if kind == TEXT and self.text is not None:
            return np.asarray(self.text[items] @ self.text.T, dtype=np.float32)
        if kind == ATTRIBUTES and self.attributes is not None:
            return np.asarray((self.attributes[items] @ self.attributes.T).toarray(), dtype=np.float32)
        if self.position is not None and kind in self.kinds:
            return _near(self.position, items, kind)
        raise KeyError(kind)


def _near(position: Floats, items: NDArray[np.integer], kind: str) -> Floats:
    """exp((1 - distance) / reach) for items ahead of (or behind) one in the catalogue; 0 for the others."""
    way = kind.rstrip("0123456789")
    distance = position[None, :] - position[items][:, None]
    distance = distance if way == "ahead" else -distance
    near: Floats = np.exp((1 - np.maximum(distance, 1)) / np.float32(kind.removeprefix(way)))
    return np.where(distance > 0, near, np.float32(0))
