"""What a model may learn from, and what it is asked: leave-last-out and rolling-origin splits.

Both are pure functions of `Interactions`. `relabel` comes before either of them: ids in public files are often numbered by
first appearance, so that `last item + 1` gives the answer away.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories, Interactions

Ask = Literal["first", "every"]
"""Of a window in time: the first new item of each learner, or every one of them."""

FOREVER = np.datetime64("9999-12-31T00:00:00", "us")


@dataclass(frozen=True, eq=False)
class Task:
    """k questions: after each history, which item comes next?

    histories: k histories (may be empty: a learner nobody knows yet), targets: int32[k] the item that came next,
    learners: int32[k] row of the learner in the table that was split, recommended: bool[k] targets that followed a
    recommendation (none unless given). Items of the history are not candidates.
    """

    histories: Histories
    targets: NDArray[np.int32]
    learners: NDArray[np.int32]
    recommended: NDArray[np.bool_] = field(default=cast(NDArray[np.bool_], None), kw_only=True)

    def __post_init__(self) -> None:
        if self.recommended is None:
            object.__setattr__(self, "recommended", np.zeros(len(self.targets), dtype=bool))
        if len(self.recommended) != len(self.targets):
            raise ValueError(f"{len(self.recommended)} values of recommended for {len(self.targets)} targets")
        if not len(self.histories) == len(self.targets) == len(self.learners):
            raise ValueError(f"{len(self.histories)} histories, {len(self.targets)} targets, {len(self.learners)} learners")
        if np.any(self.histories.items == np.repeat(self.targets, self.histories.lengths)):
            raise ValueError("a target stands in its own history: it is seen and could never be ranked")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def digest(self) -> str:
        """SHA-256 of histories, targets and learners, and of which targets followed a recommendation where any did."""
        led = [self.recommended.tobytes().hex()] if self.recommended.any() else []
        return _digest([self.histories.digest(), self.targets.tobytes().hex(), self.learners.tobytes().hex(), *led])

    def organic(self) -> "Task":
        """The questions whose answer nobody recommended; itself where that is all of them. Histories stay whole."""
        if not self.recommended.any():
            return self
        rows = np.flatnonzero(~self.recommended)
        return Task(self.histories.take(rows), self.targets[rows], self.learners[rows])


@dataclass(frozen=True, eq=False)
class LeaveLastOut:
    """Fit on `train`, choose settings on `validation`, look at `test` once. There is no refit in between."""

    train: Interactions
    validation: Task
    test: Task

    @property
    def digest(self) -> str:
        """SHA-256 of the three parts."""
        return _digest([self.train.digest(), self.validation.digest, self.test.digest])


@dataclass(frozen=True, eq=False)
class Fold:
    """One cut in time: `train` knows what was known before `cut`, `test` asks for what came next.

    `validation_train` and `validation` are the same thing one window earlier, made from `train` alone.
    """

    train: Interactions
    validation_train: Interactions
    validation: Task | None
    test: Task
    cut: np.datetime64

    @property
    def digest(self) -> str:
        """SHA-256 of train and test; validation follows from them."""
        return _digest([self.train.digest(), self.test.digest, str(self.cut)])


@dataclass(frozen=True, eq=False)
class Permutation:
    """How `relabel` renamed: `items[new]` and `learners[new]` are the old indices (int32[n_items], int32[n_learners]).

    A table of rows by item, such as text vectors, follows as `table[permutation.items]`.
    """

    items: NDArray[np.int32]
    learners: NDArray[np.int32]


def relabel(interactions: Interactions, *, rng: np.random.Generator) -> tuple[Interactions, Permutation]:
    """The same histories under random item indices and in random order; the order within a history stays."""
    n_learners, n_items = interactions.shape
    items, learners = rng.permutation(n_items).astype(np.int32), rng.permutation(n_learners).astype(np.int32)
    renamed = np.empty(n_items, dtype=np.int32)
    renamed[items] = np.arange(n_items, dtype=np.int32)
    moved = interactions.take(learners)
    return interactions.holding(moved.renamed(renamed)), Permutation(items, learners)


def leave_last_out(interactions: Interactions) -> LeaveLastOut:
    """Train: all but the last two; validation: the second-last after all but two; test: the last after all but one.

    A part asks only learners who leave it a history: two items for the test, three for validation. Nothing of the last
    two is ever learned from, so a learner with one or two items adds nothing to the training counts.
    """
    train = interactions.holding(interactions.drop_last(2))
    return LeaveLastOut(train, _last(interactions.drop_last(1)), _last(interactions))


def rolling_origin(interactions: Interactions, *, cuts: int = 8, ask: Ask = "every") -> tuple[Fold, ...]:
    """`cuts` folds, each one cut in time and the window up to the next; cuts stand at quantiles of the event times.

    Train: everything that happened and was known before the cut (`train.until` is the cut). Test: each new item in the window,
    after all that its learner was known to have taken up until then, nothing for a learner who starts there. So is a service
    asked that reads state at request time; the model is as old as the cut all the same. `ask="first"`: only the first new item
    of each learner in a window, after what was known before it. An entry that was recorded late stays a target, in the window
    in which it happened. Errors: ValueError where events have no time, or too few distinct ones.
    """
    bounds = _bounds(interactions.at, cuts)
    ends = np.append(bounds[2:], FOREVER)
    return tuple(_fold(interactions, *window, ask) for window in zip(bounds[:-1], bounds[1:], ends, strict=True))


def before_every_test(interactions: Interactions, *, cuts: int = 8, ask: Ask = "every") -> tuple[Interactions, Task]:
    """What to choose on so that neither protocol's test has been seen: (train, validation).

    With times: the window that ends at the first cut of `rolling_origin`, and what was known before it, both without any
    learner's last item, which leave-last-out asks for. Without: train and validation of `leave_last_out`. Errors: as
    `rolling_origin`.
    """
    if np.isnat(interactions.at).any():
        parts = leave_last_out(interactions)
        return parts.train, parts.validation
    start, cut = _bounds(interactions.at, cuts)[:2]
    past = _known(interactions.holding(interactions.drop_last(1)), cut)
    return _known(past, start), _window(past, start, cut, ask)


def _bounds(at: NDArray[np.datetime64], cuts: int) -> NDArray[np.datetime64]:
    """The start of the first validation window, then the cuts."""
    if np.isnat(at).any():
        raise ValueError("rolling origin needs a time for every event, and this table has order only: use leave-last-out")
    bounds = np.unique(_quantiles(at, cuts)) if len(at) else at
    if cuts < 1 or len(bounds) <= cuts:
        raise ValueError(f"too few distinct event times for {cuts} cuts: gather more events or ask for fewer cuts")
    return bounds


def digest(parts: LeaveLastOut | Iterable[Fold]) -> str:
    """SHA-256 that names a whole split, of either protocol."""
    return parts.digest if isinstance(parts, LeaveLastOut) else _digest([fold.digest for fold in parts])


def _fold(interactions: Interactions, before: np.datetime64, cut: np.datetime64, end: np.datetime64, ask: Ask) -> Fold:
    train = _known(interactions, cut)
    validation = _window(train, before, cut, ask)
    test = _window(interactions, cut, end, ask)
    return Fold(train, _known(train, before), validation if len(validation) else None, test, cut)


def _quantiles(at: NDArray[np.datetime64], cuts: int) -> NDArray[np.datetime64]:
    """cuts + 1 instants: the start of the first validation window, then the cuts; as many events before as in a window."""
    places = np.arange(1, cuts + 2) * len(at) // (cuts + 2)
    return np.sort(at)[places]


def known_before(interactions: Histories, moment: np.datetime64) -> NDArray[np.bool_]:
    """bool[nnz]: the entries that happened before `moment` and were recorded by then."""
    return (interactions.at < moment) & (interactions.known_at < moment)


def _known(interactions: Interactions, cut: np.datetime64) -> Interactions:
    return interactions.holding(interactions.where(known_before(interactions, cut)), until=cut)


def _window(interactions: Interactions, start: np.datetime64, end: np.datetime64, ask: Ask) -> Task:
    inside = np.flatnonzero((interactions.at >= start) & (interactions.at < end))
    learners = interactions.rows()[inside]
    if ask == "first":
        learners, first = np.unique(learners, return_index=True)
        inside = inside[first]
    asked = interactions.take(learners)
    position = np.arange(len(asked.items)) - np.repeat(asked.indptr[:-1], asked.lengths)
    earlier = position < np.repeat(inside - interactions.indptr[learners], asked.lengths)
    if ask == "first":
        known = earlier & known_before(asked, start)
    else:
        known = earlier & (asked.known_at <= np.repeat(interactions.at[inside], asked.lengths))
    led = interactions.recommended[inside]
    return Task(asked.where(known), interactions.items[inside], learners.astype(np.int32), recommended=led)


def _last(histories: Histories) -> Task:
    learners = np.flatnonzero(histories.lengths >= 2).astype(np.int32)
    last = histories.indptr[learners + 1] - 1
    kept, led = histories.take(learners).drop_last(1), histories.recommended[last]
    return Task(kept, histories.items[last], learners, recommended=led)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
