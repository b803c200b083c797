"""External ids and array indices: two types, and the one place that converts between them."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NewType

import numpy as np
from numpy.typing import NDArray

ItemId = NewType("ItemId", str)
LearnerId = NewType("LearnerId", str)
Index = NewType("Index", int)

UNKNOWN = -1
"""The index of an id that a vocabulary does not hold."""


class Vocabulary:
    """An immutable, ordered set of ids. Index i is the i-th id; `digest` stands in every artefact built on it."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids: tuple[str, ...] = tuple(ids)
        self._index = {external: position for position, external in enumerate(self.ids)}
        if len(self._index) != len(self.ids):
            seen: set[str] = set()
            twice = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise ValueError(f"id {twice!r} stands twice in the vocabulary")

    @classmethod
    def of(cls, ids: Iterable[str]) -> "Vocabulary":
        """The distinct ids in sorted order, so that file order leaves no trace."""
        return cls(sorted(set(ids)))

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, external: object) -> bool:
        return external in self._index

    def index(self, external: str) -> int:
        """The index of one id, `UNKNOWN` (-1) when it is not held."""
        return self._index.get(external, UNKNOWN)

    def indices(self, externals: Sequence[str]) -> NDArray[np.int32]:
        """int32[len(externals)]; -1 for unknown ids."""
        return np.fromiter((self._index.get(e, UNKNOWN) for e in externals), dtype=np.int32, count=len(externals))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the ids in order."""
        return hashlib.sha256("\n".join(self.ids).encode()).hexdigest()
