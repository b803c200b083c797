"""What is known of a history and a candidate item together: the features of the ranker that no part's score tells.

Written once, for the table that the ranker learns from and for the service alike: a function of histories and arrays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log1p
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import Histories, Interactions
from features.side import AVAILABLE, DIFFICULTY, MINUTES, POSITION, SideInformation
from training.models.base import Arrays, csr, csr_arrays, floats
from training.models.content import ContentConfig, nothing
from training.models.item_tables import follows, strongest, together
from training.models.row_lookups import dots, dots_of_one, entries, looked_up

Floats = NDArray[np.float32]

_DAY = 8.64e10  # microseconds
_WINDOWS = (7, 30, 120)  # days
_FIELDS = (POSITION, MINUTES, DIFFICULTY, AVAILABLE)

FEATURES = (
    *("follows_last", "follows_previous", "leads_to_last", "with_last", "with_previous"),
    *("taken", "taken_last", "length"),
    *("content_last", "content_previous"),
    *("position_step", "position_distance", "minutes", "minutes_step", "difficulty", "difficulty_step", "available_since"),
    *("gap_closed", "gap_skills"),
    *(f"taken_{days}_days" for days in _WINDOWS),
    *("since_taken", "since_first_taken", "pause"),
)
"""Column names of `Pairs.features`. "Last" is the newest item of the history, "previous" the one before it; NaN: not known.

follows_*          how often learners went on from that item to the candidate within three steps, by how often they went on
leads_to_last      the same from the candidate to the last item
with_*             cosine of the learners of both items
taken, taken_last  ln(1 + learners) of the candidate, of the last item; length: ln(1 + items of the history)
content_*          cosine of texts and attributes
position_*         places in the catalogue from the last item on, and their distance; minutes, difficulty: likewise
available_since    days from when the candidate became available to the last take-up
gap_closed         skill levels it adds towards the role's expectations to what the items of the history gave
gap_skills         in how many skills it does
taken_N_days       the candidate's share of take-ups in the N days before the history's last one, times 1000, as ln(1 + x)
since_taken        days since anybody took it up, seen from the history's last take-up; since_first_taken: since the first
pause              ln(1 + hours) between the last two take-ups of the history
"""

_AT = {name: at for at, name in enumerate(FEATURES)}
_PATHS = (
    (("follows", _AT["follows_last"]), ("leads", _AT["leads_to_last"]), ("together", _AT["with_last"])),
    (("follows", _AT["follows_previous"]), ("together", _AT["with_previous"])),
)
_TAKEN, _TAKEN_LAST, _LENGTH = _AT["taken"], _AT["taken_last"], _AT["length"]
_CONTENT = slice(_AT["content_last"], _AT["content_previous"] + 1)
_MINUTES, _DIFFICULTY, _AVAILABLE, _PAUSE = (_AT[name] for name in ("minutes", "difficulty", "available_since", "pause"))
_STEP, _DISTANCE, _MINUTES_STEP, _DIFFICULTY_STEP = (
    _AT[name] for name in ("position_step", "position_distance", "minutes_step", "difficulty_step")
)
_GAPS = slice(_AT["gap_closed"], _AT["gap_skills"] + 1)
_WINDOWS_AT = [_AT[f"taken_{days}_days"] for days in _WINDOWS]
_SINCE, _SINCE_FIRST = _AT["since_taken"], _AT["since_first_taken"]

RISING = {name: 1 for name in FEATURES if name.startswith(("follows_", "leads_", "with_", "content_"))} | {
    "position_distance": -1
}
"""1: nearer to what was taken up is never worse; -1: farther is never better. All other features may count either way."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Arrays over m items. follows, together: float32 csr[m, m]; taken: float32[m]; content: float32[m, d] and csr[m, a].

    fields: float32[m, 4] (position, minutes, difficulty, available). levels: float32[m, s], expects: float32[r, s]. first:
    int64[m + 1], days: float64[nnz] since the epoch, the take-ups of each item in order of time (none without times).
    """

    follows: sparse.csr_matrix
    leads: sparse.csr_matrix
    together: sparse.csr_matrix
    taken: Floats
    text: Floats
    attributes: sparse.csr_matrix
    fields: Floats
    levels: Floats
    expects: Floats
    first: NDArray[np.int64]
    days: NDArray[np.float64]

    @classmethod
    def of(cls, table: Interactions, side: SideInformation) -> Self:
        """What a table and the side information of its items tell. Errors: ValueError where these are other items."""
        if side.n_items != table.n_items:
            raise ValueError(f"side information of {side.n_items} items for a table of {table.n_items} items")
        steps = follows(table)
        known = side.text is not None or side.attributes is not None
        content = ContentConfig().bind(side) if known else None
        none = np.full(table.n_items, np.nan, dtype=np.float32)
        first, days = _days(table)
        return cls(
            follows=strongest(steps),
            leads=strongest(steps.T.tocsr()),
            together=strongest(together(table)),
            taken=np.log1p(table.item_counts()).astype(np.float32),
            text=np.zeros((table.n_items, 0), dtype=np.float32) if content is None else content.vectors,
            attributes=nothing(table.n_items) if content is None else content.attributes,
            fields=np.stack([side.fields.get(name, none) for name in _FIELDS], axis=1),
            levels=np.zeros((table.n_items, 0), dtype=np.float32) if side.levels is None else side.levels,
            expects=np.zeros((0, 0), dtype=np.float32) if side.expects is None else side.expects,
            first=first,
            days=days,
        )

    def features(self, histories: Histories, row: NDArray[np.int64], item: NDArray[np.int64]) -> Floats:
        """float32[k, len(FEATURES)] for k pairs of a history (its row) and an item, rows ascending."""
        if len(histories) == 1:
            return self._of_one(histories, item)
        last, previous = newest(histories, 0), newest(histories, 1)
        columns = [
            *self._paths(last, previous, row, item),
            self.taken[item],
            np.where(last >= 0, self.taken[last], np.nan)[row],
            np.log1p(histories.lengths)[row],
            self._alike(last, row, item),
            self._alike(previous, row, item),
            *self._steps(histories, last, row, item),
            *self._gaps(histories, row, item),
            *self._times(histories, row, item),
        ]
        return np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=1)

    def _of_one(self, history: Histories, item: NDArray[np.int64]) -> Floats:
        found = np.empty((len(FEATURES), len(item)), dtype=np.float32)
        self.write(history, item, found)
        return found.T

    def write(self, history: Histories, item: NDArray[np.int64], found: Floats) -> None:
        """The same of one history into float32[len(FEATURES), k], a row at a time: for a service, in a fraction of the time."""
        found.fill(np.nan)
        newest_two = history.items[:-3:-1].tolist()
        asked = [(name, of, column) for of, paths in zip(newest_two, _PATHS, strict=False) for name, column in paths]
        if asked:
            found[[column for _, _, column in asked]] = entries([(getattr(self, name), of) for name, of, _ in asked], item)
        found[_TAKEN] = self.taken.take(item)
        found[_LENGTH] = log1p(len(history.items))
        own = self.fields.take(item, axis=0).T
        found[_MINUTES], found[_DIFFICULTY] = own[1], own[2]
        if newest_two:
            found[_TAKEN_LAST] = self.taken[newest_two[0]]
            step = own[:3] - self.fields[newest_two[0], :3, None]
            found[_STEP], found[_MINUTES_STEP], found[_DIFFICULTY_STEP] = step
            np.abs(step[0], out=found[_DISTANCE])
            self._alike_of_one(newest_two, item, found[_CONTENT])
        self._gaps_of_one(history, item, found[_GAPS])
        self._times_of_one(history, item, own[3], found)

    def _alike_of_one(self, of: Sequence[int], item: NDArray[np.int64], found: Floats) -> None:
        if not self.text.shape[1] and not self.attributes.shape[1]:
            return
        given = found[: len(of)]
        given.fill(0)
        if self.text.shape[1]:
            given += self.text[of] @ self.text[item].T
        if self.attributes.shape[1]:
            given += dots_of_one(self.attributes, of, item)

    def _gaps_of_one(self, history: Histories, item: NDArray[np.int64], found: Floats) -> None:
        role = int(history.role[0])
        if not self.levels.shape[1] or not 0 <= role < len(self.expects) or not self._any_expected:
            return
        expected = self.expects[role]
        asked = np.flatnonzero(expected)
        present = self.levels.take(history.items, axis=0).max(axis=0, initial=0).take(asked)
        closed = self.levels.take(item, axis=0).take(asked, axis=1)
        np.minimum(closed, expected.take(asked), out=closed)
        closed -= present
        np.maximum(closed, 0, out=closed)
        closed.sum(axis=1, out=found[0])
        (closed > 0).sum(axis=1, out=found[1])

    def _times_of_one(self, history: Histories, item: NDArray[np.int64], available: Floats, found: Floats) -> None:
        if not len(history.items):
            return
        newest_days = _day(history.at[-2:], np.arange(min(len(history.items), 2))).tolist()
        before, now = newest_days[0], newest_days[-1]
        found[_AVAILABLE] = now - available
        if len(history.items) > 1:
            found[_PAUSE] = log1p(max(now - before, 0.0) * 24) if now == now and before == before else np.nan
        if not len(self.days) or now != now:
            return
        moments = now - np.array([*reversed(_WINDOWS), 0], dtype=np.float64)
        *since, upto = self._count(item[:, None], moments).T  # keys that rise: each is looked for near the one before it
        everybody = np.searchsorted(self._every, moments)
        inside = 1000 * (upto - np.stack(since)) / np.maximum(everybody[-1] - everybody[:-1], 1)[:, None]
        found[_WINDOWS_AT] = np.log1p(inside)[::-1]
        first = self.first.take(item)
        before_now = np.flatnonzero(first < upto)
        found[_SINCE, before_now] = now - self.days.take(upto[before_now] - 1)
        found[_SINCE_FIRST, before_now] = now - self.days.take(first[before_now])

    @cached_property
    def _any_expected(self) -> bool:
        return bool(self.expects.any())

    def arrays(self) -> Arrays:
        found: dict[str, NDArray[Any]] = {}
        for name in ("follows", "leads", "together", "attributes"):
            found |= csr_arrays(name, getattr(self, name))
        found["widths"] = np.array([self.attributes.shape[1]], dtype=np.int64)
        plain = ("taken", "text", "fields", "levels", "expects", "first", "days")
        return found | {name: getattr(self, name) for name in plain}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Errors: KeyError or ValueError for arrays that could not be looked up in."""
        taken = floats(arrays, "taken", None)
        m = len(taken)
        first, days = np.asarray(arrays["first"]), np.asarray(arrays["days"])
        if first.dtype != np.int64 or first.shape != (m + 1,) or first[0] != 0 or np.any(np.diff(first) < 0):
            raise ValueError(f"first does not rise from 0 in {m} steps")
        if days.dtype != np.float64 or days.shape != (first[-1],) or not np.isfinite(days).all():
            raise ValueError(f"days is {days.dtype}{list(days.shape)}, not float64[{first[-1]}] of finite numbers")
        fields = np.asarray(arrays["fields"])
        if fields.dtype != np.float32 or fields.shape != (m, len(_FIELDS)):
            raise ValueError(f"fields is {fields.dtype}{list(fields.shape)}, not float32[{m}, {len(_FIELDS)}]")
        if np.isinf(fields).any():
            raise ValueError("fields holds numbers that are not finite (NaN is a field that is not known)")
        widths = np.asarray(arrays["widths"])
        if widths.dtype != np.int64 or widths.shape != (1,):
            raise ValueError(f"widths is {widths.dtype}{list(widths.shape)}, not int64[1]")
        levels = floats(arrays, "levels", m, None)
        square = {name: csr(arrays, name, m, m) for name in ("follows", "leads", "together")}
        return cls(
            **square,
            taken=taken,
            text=floats(arrays, "text", m, None),
            attributes=csr(arrays, "attributes", m, int(widths[0])),
            fields=fields,
            levels=levels,
            expects=floats(arrays, "expects", None, None),
            first=first,
            days=days,
        )

    def _paths(
        self, last: NDArray[np.int64], previous: NDArray[np.int64], row: NDArray[np.int64], item: NDArray[np.int64]
    ) -> Iterator[Floats]:
        looked = ((self.follows, last), (self.follows, previous), (self.leads, last), (self.together, last))
        for table, of in (*looked, (self.together, previous)):
            yield looked_up(table, of, row, item)

    def _alike(self, of: NDArray[np.int64], row: NDArray[np.int64], item: NDArray[np.int64]) -> Floats:
        """Cosine of what is known of two items, NaN where nothing is known of the history's."""
        if not self.text.shape[1] and not self.attributes.shape[1]:
            return np.full(len(row), np.nan, dtype=np.float32)
        found = np.zeros(len(row), dtype=np.float32)
        if self.text.shape[1]:
            found += np.einsum("ij,ij->i", self.text[of[row]], self.text[item])
        if self.attributes.shape[1]:
            found += dots(self.attributes, of, row, item)
        found[of[row] < 0] = np.nan
        return found

    def _steps(
        self, histories: Histories, last: NDArray[np.int64], row: NDArray[np.int64], item: NDArray[np.int64]
    ) -> Iterator[Floats]:
        own, before = self.fields[item], np.where((last >= 0)[:, None], self.fields[last], np.nan)[row]
        step = own - before
        yield from (step[:, 0], np.abs(step[:, 0]), own[:, 1], step[:, 1], own[:, 2], step[:, 2])
        yield (_last_day(histories)[row] - own[:, 3]).astype(np.float32)

    def _gaps(self, histories: Histories, row: NDArray[np.int64], item: NDArray[np.int64]) -> tuple[Floats, Floats]:
        none = np.full(len(row), np.nan, dtype=np.float32)
        if not self.levels.shape[1] or not self.expects.any():
            return none, none
        known = (histories.role >= 0) & (histories.role < len(self.expects))
        expected = np.where(known[:, None], self.expects[histories.role], np.float32(0))
        present = np.zeros_like(expected)
        np.maximum.at(present, histories.rows(), self.levels[histories.items])
        closed = np.maximum(np.minimum(self.levels[item], expected[row]) - present[row], 0)
        return np.where(known[row], closed.sum(axis=1), none), np.where(known[row], np.count_nonzero(closed, axis=1), none)

    def _times(self, histories: Histories, row: NDArray[np.int64], item: NDArray[np.int64]) -> Iterator[Floats]:
        now = _last_day(histories)
        if not len(self.days):
            yield from (np.full(len(row), np.nan, dtype=np.float32) for _ in range(len(_WINDOWS) + 2))
        else:
            yield from self._taken_before(now, row, item)
        before = np.where(histories.lengths > 1, _day(histories.at, histories.indptr[1:] - 2), np.nan)
        yield np.log1p(np.maximum(now - before, 0) * 24)[row]

    def _taken_before(self, now: NDArray[np.float64], row: NDArray[np.int64], item: NDArray[np.int64]) -> Iterator[Floats]:
        """Shares of take-ups in the windows, days since the last and since the first: all before the moment `now` of a row."""
        dated = np.isfinite(now)[row]
        moment = np.where(dated, now[row], 0.0)
        upto = self._count(item, moment)
        every = self._every
        everybody = np.searchsorted(every, np.nan_to_num(now))
        for window in _WINDOWS:
            inside = upto - self._count(item, moment - window)
            total = everybody - np.searchsorted(every, np.nan_to_num(now) - window)
            share = np.log1p(1000 * inside / np.maximum(total, 1)[row])
            yield np.where(dated, share, np.nan).astype(np.float32)
        since = self.first[item] < upto
        newest_day = self.days[np.maximum(upto - 1, 0)]
        yield np.where(dated & since, moment - newest_day, np.nan).astype(np.float32)
        oldest_day = self.days[np.minimum(self.first[item], len(self.days) - 1)]
        yield np.where(dated & since, moment - oldest_day, np.nan).astype(np.float32)

    @cached_property
    def _every(self) -> NDArray[np.float64]:
        """float64[nnz]: all take-ups in order of time."""
        return np.sort(self.days)

    @cached_property
    def _keys(self) -> tuple[NDArray[np.float64], float, float]:
        """Item and day of every take-up as one rising number, the first day, and the days from one item to the next."""
        start = self._every[0] - max(_WINDOWS) - 1
        span = self._every[-1] - start + 2
        return np.repeat(np.arange(len(self.taken)), np.diff(self.first)) * span + (self.days - start), start, span

    def _count(self, item: NDArray[np.int64], moment: NDArray[np.float64]) -> NDArray[np.int64]:
        """int64[k]: where in `days` the item's take-ups before a moment end."""
        keys, start, span = self._keys
        return np.searchsorted(keys, item * span + np.clip(moment - start, 0, span - 1))


def newest(histories: Histories, age: int) -> NDArray[np.int64]:
    """int64[n]: the item of that age (0: the newest), -1 where the history is shorter."""
    found = np.full(len(histories), -1, dtype=np.int64)
    long = np.flatnonzero(histories.lengths > age)
    found[long] = histories.items[histories.indptr[long + 1] - 1 - age]
    return found


def _day(at: NDArray[np.datetime64], place: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64[n] days since the epoch of the entries at `place` (any value where that is none), NaN for no time."""
    if not len(at):
        return np.full(len(place), np.nan)
    chosen = at[np.maximum(place, 0)]
    return np.where(np.isnat(chosen), np.nan, chosen.astype("datetime64[us]").astype(np.int64) / _DAY)


def _last_day(histories: Histories) -> NDArray[np.float64]:
    return np.where(histories.lengths > 0, _day(histories.at, histories.indptr[1:] - 1), np.nan)


def _days(table: Interactions) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    dated = np.flatnonzero(~np.isnat(table.at))
    items, days = table.items[dated], _day(table.at, dated)
    order = np.lexsort((days, items))
    counts = np.bincount(items, minlength=table.n_items)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), days[order]
