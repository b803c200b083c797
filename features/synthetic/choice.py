"""What learners choose: the known utility, drawn visit by visit for all learners at once.

The k-th visits of all learners form wave k, so state (skill levels, what was just taken) is that of the moment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from features.synthetic.content import Shelf
from features.synthetic.moments import DAY, midnight
from features.synthetic.parameters import Parameters
from features.synthetic.people import Crowd
from features.synthetic.schedule import Visits
from features.synthetic.truth import Float, Truth

NEVER = np.float32(-1e9)
COLUMNS = ("visit", "learner", "item", "at", "level", "completed", "fit", "clicked", "rank")


@dataclass(frozen=True)
class Takes:
    """t items taken up, sorted by learner and time, and what the choice knew."""

    visit: np.ndarray  # int[t], index into visits
    learner: np.ndarray  # int[t]
    item: np.ndarray  # int[t]
    at: np.ndarray  # int[t], seconds
    level: np.ndarray  # float[t], of the item's main skill when it was taken up
    completed: np.ndarray  # bool[t]
    fit: np.ndarray  # float[t], interest in the item's family
    clicked: np.ndarray  # bool[t]: the item stood in the slate of this visit
    rank: np.ndarray  # int[t]: items that were truly better liked, noise and slate aside; -1 for duties and idle visits
    slates: dict[int, np.ndarray]  # visit -> int[size] items shown, best first
    explored: set[int]  # visits whose slate was drawn at random
    levels_at_end: Float  # [n, s]


@dataclass
class Rows:
    """Columns of the takes, wave by wave."""

    columns: list[tuple[np.ndarray, ...]] = field(default_factory=list)
    slates: dict[int, np.ndarray] = field(default_factory=dict)
    explored: set[int] = field(default_factory=set)


Show = Callable[["World", Visits, np.ndarray, Float, Rows], Float]
"""(world, visits, [w] visits of this wave, float[w, m] utility, rows of the waves before) -> float[w, m]: what being shown adds
to the utility of each item. Enters the slates into the rows.
"""


class World:
    """State that moves as learners take items up, and the utility that follows from it."""

    def __init__(self, parameters: Parameters, shelf: Shelf, crowd: Crowd, truth: Truth, rng: np.random.Generator) -> None:
        self.parameters, self.shelf, self.crowd, self.truth, self.rng = parameters, shelf, crowd, truth, rng
        n, m = len(crowd.rows), len(shelf.items)
        self.levels = truth.levels_at_start.copy()
        self.done = np.zeros((n, m), bool)
        self.pull = np.zeros((n, m), np.float32)
        self.theme = np.zeros((n, len(shelf.families)), np.float32)
        self.fixed = self._fixed()
        self.open_by_day = _open_by_day(parameters, shelf)
        self.allowed = _allowed(shelf, crowd.audiences) & ~truth.silent
        self.fresh_by_day = _fresh_by_day(parameters, shelf)
        place = {item.id: i for i, item in enumerate(shelf.items)}
        self.needs = np.array([place[i.prerequisites[0]] if i.prerequisites else -1 for i in shelf.items])
        self.hours = np.array([min((i.duration_s or 0) / 3600, 6.0) for i in shelf.items])

    def _fixed(self) -> Float:
        """float[n, m]: interest and taste, which do not move. einsum, not BLAS: the same bits for any number of threads."""
        choice, truth = self.parameters.choice, self.truth
        taste = np.einsum("nk,mk->nm", truth.taste, truth.character) / np.float32(np.sqrt(choice.taste_dimensions))
        return np.asarray(choice.interest * truth.interest[:, self.shelf.family] + choice.taste * taste, np.float32)

    def gap(self, who: np.ndarray) -> Float:
        """float[w, m]: role levels an item would close (at most 1.5 a skill), less what is too hard or already known."""
        main, level = self.shelf.main, self.levels[who]
        closed = np.clip(np.minimum(self.shelf.after[:, 0], self.truth.expected[who][:, main]) - level[:, main], 0, 1.5)
        second = np.maximum(self.shelf.second, 0)
        other = np.clip(np.minimum(self.shelf.after[:, 1], self.truth.expected[who][:, second]) - level[:, second], 0, 1.5)
        closed = closed + np.where(self.shelf.second >= 0, 0.5 * other, 0)
        too_hard = np.clip(self.truth.difficulty - level[:, main] - 1.5, 0, 2)
        known = np.clip(level[:, main] - self.shelf.after[:, 0], 0, 2)
        return np.asarray(closed - 0.5 * too_hard - 0.5 * known, np.float32)

    def utility(self, who: np.ndarray, day: np.ndarray) -> Float:
        """float[w, m]: the true utility of each item to each learner now; -1e9 where it may not be taken up."""
        choice = self.parameters.choice
        unmet = (self.needs >= 0) & ~self.done[who][:, self.needs]
        found = choice.appeal * self.truth.appeal_by_day[day] + self.fixed[who] + choice.gap * self.gap(who)
        found = found + choice.next * self.pull[who] + choice.theme * self.theme[who][:, self.shelf.family]
        found = found + choice.freshness * self.fresh_by_day[day] + choice.unmet_prerequisite * unmet
        may = self.open_by_day[day] & self.allowed[self.crowd.audience[who]] & ~self.done[who]
        return np.where(may, found, NEVER).astype(np.float32)

    def complete(self, who: np.ndarray, item: np.ndarray, duty: np.ndarray) -> np.ndarray:
        """bool[w]: whether each learner finishes the item just started."""
        rule, level = self.parameters.outcome, self.levels[who, self.shelf.main[item]]
        ease = np.clip(level - self.truth.difficulty[item], -2, 1)
        liking = 0.5 * self.truth.interest[who, self.shelf.family[item]]
        odds = rule.completion + rule.completion_per_hour * self.hours[item] + rule.fit * (ease + liking)
        odds = odds + self.parameters.duties.diligence * duty
        return np.asarray(self.rng.random(len(who)) < 1 / (1 + np.exp(-odds)))

    def move(self, who: np.ndarray, item: np.ndarray, completed: np.ndarray) -> None:
        """Learners take items up: skills rise with what is finished, attention follows what was just taken."""
        choice, recall = self.parameters.choice, self.parameters.outcome.recall
        self.done[who, item] = True
        self.pull[who] = choice.memory * self.pull[who] + self.truth.transitions[item]
        self.theme[who] *= choice.memory
        self.theme[who, self.shelf.family[item]] += 1
        for column, skill in enumerate((self.shelf.main[item], self.shelf.second[item])):
            rises = completed & (skill >= 0)
            before = self.levels[who, skill]
            gain = recall * np.maximum(self.shelf.after[item, column] - before, 0)
            self.levels[who[rises], skill[rises]] += gain[rises].astype(np.float32)


def simulate(world: World, visits: Visits, show: "Show | None" = None) -> Takes:
    """Let every visit happen, in order within each learner. `show`: who fills the slates, else the earlier system."""
    rows = Rows()
    first = np.searchsorted(visits.learner, visits.learner)
    wave = np.arange(len(visits.learner)) - first
    order = np.argsort(wave, kind="stable")
    for now in np.split(order, np.searchsorted(wave[order], np.arange(1, wave.max(initial=0) + 1))):
        if len(now):
            _wave(world, visits, now, rows, show or _show)
    empty = tuple(np.zeros(0, kind) for kind in (int, int, int, int, float, bool, float, bool, int))
    columns = [np.concatenate(column) for column in zip(*(rows.columns or [empty]), strict=True)]
    by_visit = np.argsort(columns[0], kind="stable")
    named: dict[str, Any] = {name: column[by_visit] for name, column in zip(COLUMNS, columns, strict=True)}
    return Takes(slates=rows.slates, explored=rows.explored, levels_at_end=world.levels, **named)


def _wave(world: World, visits: Visits, now: np.ndarray, rows: Rows, show: "Show") -> None:
    who, day = visits.learner[now], visits.at[now] // DAY
    utility = world.utility(who, day)
    bonus = show(world, visits, now, utility, rows)
    noisy = utility + bonus + world.rng.gumbel(size=utility.shape).astype(np.float32)
    forced = visits.item[now]
    item = np.where(forced >= 0, forced, noisy.argmax(axis=1))
    line = np.arange(len(now))
    open_now = world.open_by_day[day, item] & world.allowed[world.crowd.audience[who], item]
    fresh = ~world.done[who, item] | visits.again[now]
    pleased = ~visits.idle[now] | (bonus[line, item] > 0)
    takes = open_now & fresh & pleased
    better = (utility > utility[line, item][:, None]).sum(axis=1)
    rank = np.where((forced >= 0) | visits.idle[now], -1, better)
    who, item = who[takes], item[takes]
    completed = world.complete(who, item, forced[takes] >= 0)
    level = world.levels[who, world.shelf.main[item]].copy()
    fit = world.truth.interest[who, world.shelf.family[item]]
    clicked = bonus[line, :][takes, item] > 0
    rows.columns.append((now[takes], who, item, visits.at[now][takes], level, completed, fit, clicked, rank[takes]))
    world.move(who, item, completed)


def _show(world: World, visits: Visits, now: np.ndarray, utility: Float, rows: Rows) -> Float:
    """float[w, m]: what being shown adds. Slates are drawn at random or, more often, by current appeal with some noise."""
    rule, bonus = world.parameters.recommending, np.zeros(utility.shape, np.float32)
    lines = np.flatnonzero(visits.shown[now])
    may = utility[lines] > NEVER / 2
    random = world.rng.random(len(lines)) < rule.random_share
    liking = np.where(random[:, None], 0, 1.5 * world.truth.appeal_by_day[visits.at[now[lines]] // DAY])
    score = np.where(may, liking + world.rng.gumbel(size=may.shape), -np.inf)
    top = np.argsort(-score, axis=1, kind="stable")[:, : rule.size]
    for line, explored, items, kept in zip(lines, random, top, np.isfinite(np.take_along_axis(score, top, 1)), strict=True):
        visit, items = int(now[line]), items[kept]
        bonus[line, items] = world.truth.effect[world.crowd.audience[visits.learner[visit]]]
        rows.slates[visit] = items
        if explored:
            rows.explored.add(visit)
    return bonus


def _open_by_day(parameters: Parameters, shelf: Shelf) -> np.ndarray:
    """bool[d, m]: available for the whole of a day."""
    first = np.array([_day(parameters, item.available_from) for item in shelf.items]) + 1
    until = np.array([_day(parameters, item.available_until, parameters.period.days + 1) for item in shelf.items])
    day = np.arange(parameters.period.days)[:, None]
    return np.asarray((day >= first) & (day < until))


def _day(parameters: Parameters, at: object, otherwise: int = -10_000) -> int:
    return (at - midnight(parameters.period.start)).days if isinstance(at, datetime) else otherwise


def _fresh_by_day(parameters: Parameters, shelf: Shelf) -> Float:
    """float[d, m]: 1 on the day an item arrives, fading with `fresh_days`."""
    first = np.array([_day(parameters, item.available_from) for item in shelf.items])
    age = np.arange(parameters.period.days)[:, None] - first
    return np.where(age >= 0, np.exp(-np.maximum(age, 0) / parameters.choice.fresh_days), 0).astype(np.float32)


def _allowed(shelf: Shelf, audiences: tuple[str, ...]) -> np.ndarray:
    """bool[n_audiences, m]: whether an audience may take an item."""
    return np.array([[not item.audiences or name in item.audiences for item in shelf.items] for name in audiences])
