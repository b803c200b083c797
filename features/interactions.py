"""Who took up what, in order: the immutable arrays that models learn from and score against.

`Interactions` is a training table (every learner's history); `Histories` is a batch of histories to score, which may
belong to learners no model has ever seen. Order within a history is the order of what happened.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

NAT = np.datetime64("NaT", "us")
_GROUPS = ("audience", "role", "org_unit")
RECOMMENDED_FOR = np.timedelta64(30, "D")
"""How long after it was shown a take-up of an item counts as recommended."""


@dataclass(frozen=True)
class Groups:
    """Names of the groups that learners belong to, in the order in which `Histories` counts them."""

    audiences: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    org_units: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Histories:
    """A ragged batch of n histories over m items.

    indptr: int64[n + 1], items: int32[nnz] (every value in 0..m-1, oldest first), at: datetime64[us][nnz] UTC (NaT where a
    file has order but no time), audience: int32[n] index of the learner's primary audience (-1 unknown), known_at:
    datetime64[us][nnz] UTC when each entry could first be known (`at` unless given, NaT unknown), recommended: bool[nnz],
    entries that followed a recommendation (none unless given; all others are organic), role, org_unit: int32[n] indices of
    the learner's role and unit (-1 unknown, which all are unless given).
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    at: NDArray[np.datetime64]
    audience: NDArray[np.int32]
    n_items: int
    known_at: NDArray[np.datetime64] = field(default=cast(NDArray[np.datetime64], None), kw_only=True)
    recommended: NDArray[np.bool_] = field(default=cast(NDArray[np.bool_], None), kw_only=True)
    role: NDArray[np.int32] = field(default=cast(NDArray[np.int32], None), kw_only=True)
    org_unit: NDArray[np.int32] = field(default=cast(NDArray[np.int32], None), kw_only=True)

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
        for name in _GROUPS:
            self._check_group(name)
        if len(self.items) and (self.items.min() < 0 or self.items.max() >= self.n_items):
            raise ValueError(f"an item index lies outside 0..{self.n_items - 1}")
        for name in (*_GROUPS, "indptr", "items", "at", "known_at", "recommended"):
            getattr(self, name).setflags(write=False)

    def _check_group(self, name: str) -> None:
        """One index for each history; an array that is not given knows none."""
        if getattr(self, name) is None:
            object.__setattr__(self, name, np.full(len(self), -1, dtype=np.int32))
        if len(getattr(self, name)) != len(self):
            raise ValueError(f"{len(getattr(self, name))} {name}s for {len(self)} histories")

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[int]],
        n_items: int,
        *,
        at: Sequence[Sequence[np.datetime64]] | None = None,
        audience: Sequence[int] | None = None,
        role: Sequence[int] | None = None,
        org_unit: Sequence[int] | None = None,
    ) -> "Histories":
        """From one sequence of item indices per learner."""
        lengths = [len(row) for row in rows]
        flat = np.array([i for row in rows for i in row], dtype=np.int32)
        times = np.full(len(flat), NAT) if at is None else np.array([t for row in at for t in row], dtype="datetime64[us]")
        who, role_of, unit_of = (
            np.full(len(rows), -1, dtype=np.int32) if group is None else np.asarray(group, dtype=np.int32)
            for group in (audience, role, org_unit)
        )
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(indptr, flat, times, who, n_items, role=role_of, org_unit=unit_of)

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
        return self._entries(indptr, source, rows)

    def drop_last(self, count: int = 1) -> "Histories":
        """Every history without its newest `count` entries."""
        keep = self.age() >= count
        return self.where(keep)

    def where(self, keep: NDArray[np.bool_]) -> "Histories":
        """Only the entries marked in `keep` (bool[nnz]); histories may become empty but none disappears."""
        kept = np.concatenate([[0], np.cumsum(keep)])[self.indptr].astype(np.int64)
        return self._entries(kept, keep, slice(None))

    def _entries(
        self, indptr: NDArray[np.int64], chosen: NDArray[np.integer] | NDArray[np.bool_], rows: NDArray[np.integer] | slice
    ) -> "Histories":
        """Histories of the chosen entries and rows: all that is said of an entry or a learner goes with it."""
        known, led, role, unit = self.known_at[chosen], self.recommended[chosen], self.role[rows], self.org_unit[rows]
        arrays = indptr, self.items[chosen], self.at[chosen], self.audience[rows]
        return Histories(*arrays, self.n_items, known_at=known, recommended=led, role=role, org_unit=unit)

    def renamed(self, items: NDArray[np.int32], n_items: int | None = None) -> "Histories":
        """The same histories with item i called items[i] (int32[n_items]), of now `n_items` items (as many as before)."""
        known, led, role, unit = self.known_at, self.recommended, self.role, self.org_unit
        arrays = self.indptr, items[self.items], self.at, self.audience, self.n_items if n_items is None else n_items
        return Histories(*arrays, known_at=known, recommended=led, role=role, org_unit=unit)

    def in_groups(self, audience: NDArray[np.int32], role: NDArray[np.int32], org_unit: NDArray[np.int32]) -> "Histories":
        """The same histories with groups called otherwise: index i of each becomes its array's entry i, -1 stays unknown."""
        groups = (self.audience, self.role, self.org_unit)
        found = [
            np.append(to, np.int32(-1))[of].astype(np.int32) for to, of in zip((audience, role, org_unit), groups, strict=True)
        ]
        return replace(self, audience=found[0], role=found[1], org_unit=found[2])

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
        for name in ("role", "org_unit"):  # likewise
            if (group := getattr(self, name)).max(initial=-1) >= 0:
                found.update(name.encode() + np.ascontiguousarray(group, dtype=np.int32).tobytes())
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class Interactions(Histories):
    """The histories of all learners of a training table: distinct (learner, item), the first one kept.

    `n_audiences` counts audiences; `until` is the instant up to which the table knows everything (NaT: order only). Roles and
    org units are not counted: one without a learner in the table is the same to a model as one that is unknown.
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
        known, led, role, unit = kept.known_at, kept.recommended, kept.role, kept.org_unit
        return cls(*arrays, kept.n_items, n_audiences, until, known_at=known, recommended=led, role=role, org_unit=unit)

    def holding(self, kept: Histories, *, until: np.datetime64 | None = None) -> "Interactions":
        """This table with other histories of its items in it, such as a selection of its own; `until` as now unless given."""
        return self._of(kept, self.n_audiences, self.until if until is None else until)

    @property
    def grouped(self) -> bool:
        """Whether any learner's audience, role or org unit is known."""
        return any(getattr(self, name).max(initial=-1) >= 0 for name in _GROUPS)

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
