"""What a model may learn from, and what it is asked: leave-last-out, rolling-origin and cold-items splits.

All are pure functions of `Interactions`. `relabel` comes before any of them: ids in public files are often numbered by
first appearance, so that `last item + 1` gives the answer away.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from features.interactions import NAT, Histories, Interactions

Ask = Literal["first", "every"]
"""Of a window in time: the first new item of each learner, or every one of them."""

NewestBy = Literal["first take-up", "available", "draw"]
"""Which items are the newest: by their first take-up, by the day the catalogue says, or, where nothing tells, drawn."""

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

    def take(self, rows: NDArray[np.integer]) -> "Task":
        """The chosen questions, in the order given."""
        led = self.recommended[rows]
        return Task(self.histories.take(rows), self.targets[rows], self.learners[rows], recommended=led)

    def organic(self) -> "Task":
        """The questions whose answer nobody recommended; itself where that is all of them. Histories stay whole."""
        if not self.recommended.any():
            return self
        return self.take(np.flatnonzero(~self.recommended))


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
class ColdItems:
    """`test` asks for items that `train` has no event of; `validation`, after a fit on `early`, for the next newest and others.

    hidden: bool[n_items], the items of the test. newest_by: how it was told which items are the newest.
    """

    early: Interactions
    validation: Task
    train: Interactions
    test: Task
    hidden: NDArray[np.bool_]
    newest_by: NewestBy

    @property
    def digest(self) -> str:
        """SHA-256 of train, validation and test."""
        return _digest([self.train.digest(), self.early.digest(), self.validation.digest, self.test.digest])


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
    train = interactions.holding(interactions.drop_last(2), until=NAT)  # order is all that such a table knows to its end
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


def cold_items(
    interactions: Interactions, *, share: float = 0.1, available: NDArray[np.floating] | None = None, seed: int = 0
) -> ColdItems:
    """The newest `share` of the items that anybody took up, hidden from training altogether: no history it holds has them.

    Newest: by `available` (float[n_items] days since 1970) where it is given for each of these items, else by their first
    take-up, else, in a table without times, drawn by `seed`. The test asks every take-up of a hidden item that has anything
    before it, after all its learner took up before, hidden items too: so is a service asked, which reads state at request
    time. Validation is the same one step earlier, with the next newest items, and as many last take-ups of other items, drawn
    by `seed` and left out of `early` as well: a rule that puts whatever is new first must not win by that alone.
    Errors: ValueError where too few items were taken up.
    """
    newest_by, order = _by_age(interactions, available, seed)
    count = int(len(order) * share)
    if count < 1 or 2 * count >= len(order):
        raise ValueError(
            f"{len(order)} items were taken up: hiding {share:.0%} of them twice leaves nothing to ask or to learn"
        )
    hidden, next_newest = np.zeros((2, interactions.n_items), dtype=bool)
    hidden[order[-count:]], next_newest[order[-2 * count : -count]] = True, True
    train = interactions.holding(interactions.where(~hidden[interactions.items]))
    test = _asking(interactions, hidden[interactions.items])
    if not len(test):
        raise ValueError("nobody took up one of the newest items after another item: there is nothing to ask")
    new = next_newest[train.items]
    others = _last_of_some(train, ~new, len(_asking(train, new)), seed)
    early = train.holding(train.where(~new & ~others))
    return ColdItems(early, _asking(train, new | others), train, test, hidden, newest_by)


def latest(interactions: Interactions, share: float) -> tuple[Interactions, Task]:
    """(past, task): what was known before the newest `share` of the take-ups, and those, each after all that came before it.

    Errors: ValueError where an entry has no time.
    """
    if np.isnat(interactions.at).any():
        raise ValueError("the newest share needs a time for every event, and this table has order only")
    if not len(interactions.items):
        return interactions, _last(interactions)
    start = np.sort(interactions.at)[int(len(interactions.at) * (1 - share))]
    return _known(interactions, start), _window(interactions, start, FOREVER, "every")


def leave_last(interactions: Interactions, steps: int) -> tuple[Interactions, Task]:
    """(past, task): the table without the last `steps` items of each learner, and those as questions, newest first.

    A question is asked of a learner whom it leaves a history, that of the step before the last after all but the last two.
    """
    asked = [_last(interactions.drop_last(step)) for step in range(steps)]
    return interactions.holding(interactions.drop_last(steps)), _joined(asked)


def hold_out(interactions: Interactions, held: NDArray[np.bool_], newest: int) -> tuple[Interactions, Task]:
    """(past, task): the table without these learners (bool[n_learners]), and what they took up as questions.

    Each of a learner's `newest` items that has another before it is asked after all that came before it.
    """
    theirs = np.repeat(held, interactions.lengths)
    return interactions.holding(interactions.where(~theirs)), _asking(interactions, theirs & (interactions.age() < newest))


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


def digest(parts: LeaveLastOut | ColdItems | Iterable[Fold]) -> str:
    """SHA-256 that names a whole split, of any protocol."""
    return parts.digest if isinstance(parts, LeaveLastOut | ColdItems) else _digest([fold.digest for fold in parts])


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


def _by_age(
    interactions: Interactions, available: NDArray[np.floating] | None, seed: int
) -> tuple[NewestBy, NDArray[np.int64]]:
    """How, and the items that anybody took up, the oldest first; of items equally old in an order drawn by `seed`."""
    drawn = np.random.default_rng(seed).permutation(interactions.n_items)
    drawn = drawn[interactions.item_counts()[drawn] > 0]
    if available is not None and not np.isnan(available[drawn]).any():
        return "available", drawn[np.argsort(available[drawn], kind="stable")]
    if np.isnat(interactions.at).any():
        return "draw", drawn
    first = np.full(interactions.n_items, FOREVER)
    np.minimum.at(first, interactions.items, interactions.at)
    return "first take-up", drawn[np.argsort(first[drawn], kind="stable")]


def _last_of_some(interactions: Interactions, among: NDArray[np.bool_], count: int, seed: int) -> NDArray[np.bool_]:
    """bool[nnz]: the last entry of `among` of `count` learners, drawn from those who have two of them."""
    entries = np.flatnonzero(among)
    learners = interactions.rows()[entries]
    last = np.flatnonzero(np.append(learners[1:] != learners[:-1], True)[: len(learners)])
    two = last[(last > 0) & (learners[last - 1] == learners[last])]
    chosen = np.random.default_rng(seed).choice(two, size=min(count, len(two)), replace=False)
    found = np.zeros(len(among), dtype=bool)
    found[entries[chosen]] = True
    return found


def _asking(interactions: Interactions, entries: NDArray[np.bool_]) -> Task:
    """A question for each of `entries` (bool[nnz]) with anything before it, after all that stands before it."""
    position = np.arange(len(interactions.items)) - np.repeat(interactions.indptr[:-1], interactions.lengths)
    entry = np.flatnonzero(entries & (position > 0))
    learners = interactions.rows()[entry]
    asked = interactions.take(learners)
    place = np.arange(len(asked.items)) - np.repeat(asked.indptr[:-1], asked.lengths)
    earlier = asked.where(place < np.repeat(position[entry], asked.lengths))
    return Task(earlier, interactions.items[entry], learners.astype(np.int32), recommended=interactions.recommended[entry])


def _last(histories: Histories) -> Task:
    learners = np.flatnonzero(histories.lengths >= 2).astype(np.int32)
    last = histories.indptr[learners + 1] - 1
    kept, led = histories.take(learners).drop_last(1), histories.recommended[last]
    return Task(kept, histories.items[last], learners, recommended=led)


def _joined(tasks: Sequence[Task]) -> Task:
    """All questions of several tasks, in their order."""
    n = tasks[0].histories.n_items
    parts = [task.histories for task in tasks]
    lengths = np.concatenate([part.lengths for part in parts])
    each = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("items", "at", "audience", "known_at", "recommended", "role", "org_unit")
    }
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    plain = each.pop("items"), each.pop("at"), each.pop("audience")
    rest = (np.concatenate([getattr(task, name) for task in tasks]) for name in ("targets", "learners"))
    led = np.concatenate([task.recommended for task in tasks])
    return Task(Histories(indptr, *plain, n, **each), *rest, recommended=led)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
