"""Who took up what, in order: the immutable arrays that models learn from and score against.

`Interactions` is a training table (every learner's history); `Histories` is a batch of histories to score, which may
belong to learners no model has ever seen. Order within a history is the order of what happened.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

NAT = np.datetime64("NaT", "us")
RECOMMENDED_FOR = np.timedelta64(30, "D")
"""How long after it was shown a take-up of an item counts as recommended."""


@dataclass(frozen=True, eq=False)
class Histories:
    """A ragged batch of n histories over m items.

    indptr: int64[n + 1], items: int32[nnz] (every value in 0..m-1, oldest first), at: datetime64[us][nnz] UTC (NaT where a
    file has order but no time), audience: int32[n] index of the learner's primary audience (-1 unknown), known_at:
    datetime64[us][nnz] UTC when each entry could first be known (`at` unless given, NaT unknown), recommended: bool[nnz],
    entries that followed a recommendation (none unless given; all others are organic).
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    at: NDArray[np.datetime64]
    audience: NDArray[np.int32]
    n_items: int
    known_at: NDArray[np.datetime64] = field(default=cast(NDArray[np.datetime64], None), kw_only=True)
    recommended: NDArray[np.bool_] = field(default=cast(NDArray[np.bool_], None), kw_only=True)

    def __post_init__(self) -> None:
        if self.known_at is None:
            object.__setattr__(self, "known_at", self.at)
        if self.recommended is None:
            object.__setattr__(self, "recommended", np.zeros(len(self.items), dtype=bool))
        if self.indptr[0] != 0 or self.indptr[-1] != len(self.items) or len(self.at) != len(self.items):
            raise ValueError("indptr, items and at do not fit together")
        if len(self.known_at) != len(self.items):
            raise ValueError(f"{len(self.known_at)} values of known_at for {len(self.items)} entries")
        if len(self.recommended) != len(self.items) or self.recommended.dtype != bool:
            found = f"{self.recommended.dtype}[{len(self.recommended)}]"
            raise ValueError(f"recommended is {found}, not bool[{len(self.items)}], one for each entry")
        if len(self.audience) != len(self.indptr) - 1:
            raise ValueError(f"{len(self.audience)} audiences for {len(self.indptr) - 1} histories")
        if len(self.items) and (self.items.min() < 0 or self.items.max() >= self.n_items):
            raise ValueError(f"an item index lies outside 0..{self.n_items - 1}")
        for array in (self.indptr, self.items, self.at, self.audience, self.known_at, self.recommended):
            array.setflags(write=False)

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[int]],
        n_items: int,
        *,
        at: Sequence[Sequence[np.datetime64]] | None = None,
        audience: Sequence[int] | None = None,
    ) -> "Histories":
        """From one sequence of item indices per learner."""
        lengths = [len(row) for row in rows]
        flat = np.array([i for row in rows for i in row], dtype=np.int32)
        times = np.full(len(flat), NAT) if at is None else np.array([t for row in at for t in row], dtype="datetime64[us]")
        who = np.full(len(rows), -1, dtype=np.int32) if audience is None else np.asarray(audience, dtype=np.int32)
        return cls(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), flat, times, who, n_items)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        """int32[length]: the items of one history, oldest first."""
        return self.items[self.indptr[row] : self.indptr[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.indptr)

    def age(self) -> NDArray[np.int64]:
        """int64[nnz]: 0 for the newest item of a history, 1 for the one before it, and so on."""
        ends = np.repeat(self.indptr[1:], self.lengths)
        return ends - 1 - np.arange(len(self.items))

    def rows(self) -> NDArray[np.int64]:
        """int64[nnz]: the history that each entry belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def matrix(self, decay: float = 1.0) -> sparse.csr_matrix:
        """float32 csr[n, m]: `decay ** age` at each item of a history; the sum where an item stands twice."""
        data = np.power(np.float32(decay), self.age(), dtype=np.float32)
        found = sparse.csr_matrix((data, self.items, self.indptr), shape=(len(self), self.n_items), copy=True)
        found.sum_duplicates()
        return found

    def take(self, rows: NDArray[np.integer]) -> "Histories":
        """The chosen histories, in the order given."""
        rows = np.asarray(rows)
        lengths = self.lengths[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], lengths)
        return self._entries(indptr, source, self.audience[rows])

    def drop_last(self, count: int = 1) -> "Histories":
        """Every history without its newest `count` entries."""
        keep = self.age() >= count
        return self.where(keep)

    def where(self, keep: NDArray[np.bool_]) -> "Histories":
        """Only the entries marked in `keep` (bool[nnz]); histories may become empty but none disappears."""
        kept = np.concatenate([[0], np.cumsum(keep)])[self.indptr].astype(np.int64)
        return self._entries(kept, keep, self.audience)

    def _entries(
        self, indptr: NDArray[np.int64], chosen: NDArray[np.integer] | NDArray[np.bool_], audience: NDArray[np.int32]
    ) -> "Histories":
        """Histories of the chosen entries: all that is said of an entry goes with it."""
        known, led = self.known_at[chosen], self.recommended[chosen]
        arrays = indptr, self.items[chosen], self.at[chosen], audience
        return Histories(*arrays, self.n_items, known_at=known, recommended=led)

    def renamed(self, items: NDArray[np.int32]) -> "Histories":
        """The same histories with item i called items[i] (int32[n_items])."""
        arrays = self.indptr, items[self.items], self.at, self.audience
        return Histories(*arrays, self.n_items, known_at=self.known_at, recommended=self.recommended)

    def batches(self, size: int) -> Iterator[tuple[int, "Histories"]]:
        """(first row, batch) in order, `size` histories at a time: bounds the memory of dense scores."""
        for start in range(0, len(self), size):
            yield start, self.take(np.arange(start, min(start + size, len(self))))

    def digest(self) -> str:
        """SHA-256 of the arrays: names this table in a run, a split or a bundle."""
        found = hashlib.sha256(str(self.n_items).encode())
        for array in (self.indptr, self.items, self.at.astype(np.int64), self.audience, self.known_at.astype(np.int64)):
            found.update(np.ascontiguousarray(array).tobytes())
        if self.recommended.any():  # a table without any is named as it was before the flag existed
            found.update(b"recommended" + self.recommended.tobytes())
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class Interactions(Histories):
    """The histories of all learners of a training table: distinct (learner, item), the first one kept.

    `n_audiences` counts audiences; `until` is the instant up to which the table knows everything (NaT: order only).
    """

    n_audiences: int = 0
    until: np.datetime64 = field(default=NAT)

    @classmethod
    def of_histories(cls, histories: Histories, *, n_audiences: int = 0, until: np.datetime64 = NAT) -> "Interactions":
        """From histories, keeping the first of each (learner, item)."""
        key = histories.rows() * histories.n_items + histories.items
        first = np.zeros(len(key), dtype=bool)
        first[np.unique(key, return_index=True)[1]] = True
        return cls._of(histories.where(first), n_audiences, until)

    @classmethod
    def _of(cls, kept: Histories, n_audiences: int, until: np.datetime64) -> "Interactions":
        arrays = kept.indptr, kept.items, kept.at, kept.audience
        known, led = kept.known_at, kept.recommended
        return cls(*arrays, kept.n_items, n_audiences, until, known_at=known, recommended=led)

    def holding(self, kept: Histories, *, until: np.datetime64 | None = None) -> "Interactions":
        """This table with other histories of its items in it, such as a selection of its own; `until` as now unless given."""
        return self._of(kept, self.n_audiences, self.until if until is None else until)

    def organic(self) -> "Interactions":
        """The entries that nobody recommended; itself where all are."""
        return self.holding(self.where(~self.recommended)) if self.recommended.any() else self

    @property
    def shape(self) -> tuple[int, int]:
        """(n_learners, n_items)."""
        return len(self), self.n_items

    def item_counts(self) -> NDArray[np.int64]:
        """int64[n_items]: how many learners took up each item."""
        return np.bincount(self.items, minlength=self.n_items)

    def after_shown(
        self,
        learners: NDArray[np.integer],
        items: NDArray[np.int32],
        at: NDArray[np.datetime64],
        known_at: NDArray[np.datetime64],
    ) -> NDArray[np.bool_]:
        """bool[nnz]: the entries whose item a decision had shown to their learner within `RECOMMENDED_FOR` before.

        One value of each argument for a `shown` event (learners: rows of this table; unknown ones, below 0, do not count). It
        must have been known when the take-up was: what is recorded later changes no flag of an earlier table.
        """
        key = self.rows() * self.n_items + self.items
        order = np.argsort(key)
        shown = np.flatnonzero((learners >= 0) & (items >= 0))
        wanted = learners[shown].astype(np.int64) * self.n_items + items[shown]
        place = np.minimum(np.searchsorted(key[order], wanted), max(len(key) - 1, 0))
        found = np.zeros(len(key), dtype=bool)
        if not len(key):
            return found
        same = key[order[place]] == wanted
        shown, entry = shown[same], order[place[same]]
        since = self.at[entry] - at[shown]
        led = (since >= np.timedelta64(0)) & (since <= RECOMMENDED_FOR) & (known_at[shown] <= self.known_at[entry])
        found[entry[led]] = True
        return found
