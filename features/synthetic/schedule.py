"""When learners come: visits for free choices, for shown slates and for duties, as arrays sorted by learner and time."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from features.synthetic.content import Shelf
from features.synthetic.moments import DAY, day_weights, local_clock, midnight, on_workday, zone_offsets
from features.synthetic.parameters import Parameters
from features.synthetic.people import Crowd
from features.synthetic.truth import Truth


@dataclass(frozen=True)
class Duty:
    """One item asked of one learner; times in seconds. `done_at` -1: never done. `waived_at` -1: not waived."""

    learner: int
    item: int
    asked_at: int
    due_at: int
    done_at: int
    waived_at: int
    mandatory: bool
    again: bool


@dataclass(frozen=True)
class Visits:
    """v visits by (learner, time). `item` is forced, -1: a free choice. An `idle` visit ends unless a shown item pleases."""

    learner: np.ndarray  # int[v]
    at: np.ndarray  # int[v], seconds
    item: np.ndarray  # int[v]
    again: np.ndarray  # bool[v]: a forced item even if it was taken before
    shown: np.ndarray  # bool[v]: a slate is shown
    idle: np.ndarray  # bool[v]


class Clock:
    """Draws working moments of learners in their own time zones."""

    def __init__(self, parameters: Parameters, crowd: Crowd, rng: np.random.Generator) -> None:
        zones = [unit.timezone for unit in parameters.org_unit]
        self.start, self.evening, self.crowd, self.rng = parameters.period.start, parameters.activity.evening_share, crowd, rng
        self.days = parameters.period.days
        self.offsets = zone_offsets(zones, parameters)
        self.mass = np.concatenate([[0.0], np.cumsum(day_weights(parameters))])

    def within(self, learner: np.ndarray, after: np.ndarray, before: np.ndarray) -> np.ndarray:
        """int[n]: a working moment of each learner in [after, before), by the weights of days; `before` where there is none."""
        low, high = self.mass[after // DAY], self.mass[np.clip(-(-before // DAY), 0, self.days)]
        drawn = low + (high - low) * self.rng.random(len(learner))
        day = np.clip(np.searchsorted(self.mass, drawn, side="right") - 1, 0, self.days - 1)
        at = self.at_work(learner, day)
        return np.where((at >= after) & (at < before), at, before)

    def at_work(self, learner: np.ndarray, day: np.ndarray) -> np.ndarray:
        """int[n]: a moment on the given day of the period, in the learner's working hours."""
        clock = local_clock(len(learner), self.evening, self.rng)
        return np.asarray(day * DAY + clock - self.offsets[self.crowd.unit[learner], np.clip(day, 0, self.days - 1)])

    def later(self, learner: np.ndarray, at: np.ndarray, days: np.ndarray) -> np.ndarray:
        """int[n]: a working moment about `days` days after `at`, on a weekday."""
        return self.at_work(learner, on_workday(at + days.astype(np.int64) * DAY, self.start) // DAY)

    def earlier(self, learner: np.ndarray, at: np.ndarray, days: np.ndarray) -> np.ndarray:
        """int[n]: a working moment about `days` days (at least one) before `at`, on a weekday."""
        day = at // DAY - np.maximum(days, 1).astype(np.int64)
        return self.at_work(learner, on_workday(day * DAY, self.start) // DAY - np.where(self._weekend(day), 7, 0))

    def _weekend(self, day: np.ndarray) -> np.ndarray:
        return np.asarray((day + self.start.weekday()) % 7 >= 5)


def visits(parameters: Parameters, crowd: Crowd, truth: Truth, duties: list[Duty], clock: Clock) -> Visits:
    """All visits of all learners. Those that would fall outside the learner's time are left out."""
    free_learner, free_at = _free(parameters, crowd, truth, clock)
    slate, idle_learner, idle_at = _slates(parameters, crowd, truth, len(free_at), clock)
    done = [d for d in duties if d.done_at >= 0]
    forced_learner, forced_at = np.array([d.learner for d in done], int), np.array([d.done_at for d in done], int)
    learner = np.concatenate([free_learner, idle_learner, forced_learner])
    at = np.concatenate([free_at, idle_at, forced_at])
    nothing = np.full(len(free_at) + len(idle_at), -1)
    item = np.concatenate([nothing, np.array([d.item for d in done], int)])
    again = np.concatenate([np.zeros(len(nothing), bool), np.array([d.again for d in done], bool)])
    idle = np.concatenate([np.zeros(len(free_at), bool), np.ones(len(idle_at), bool), np.zeros(len(done), bool)])
    shown = np.concatenate([slate, np.ones(len(idle_at), bool), np.zeros(len(done), bool)])
    keep = (at >= crowd.begins[learner] + 120) & (at < crowd.ends[learner])
    order = np.lexsort((item[keep], at[keep], learner[keep]))
    return Visits(*(column[keep][order] for column in (learner, at, item, again, shown, idle)))


def _free(parameters: Parameters, crowd: Crowd, truth: Truth, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """Sessions of one or more takes: (learner, at). The count follows the learner's pace and time in the organisation."""
    activity, last = parameters.activity, parameters.period.days * DAY
    share = np.maximum(crowd.ends - crowd.begins, 0) / last
    count = np.minimum(clock.rng.poisson(truth.pace * share / activity.session_size), activity.takes_max)
    learner = np.repeat(np.arange(len(count)), count)
    begin = clock.within(learner, crowd.begins[learner], crowd.ends[learner])
    size = clock.rng.geometric(1 / activity.session_size, len(learner))
    step = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    gap = (step * clock.rng.uniform(600, 2400, len(step))).astype(int)
    learner, at = np.repeat(learner, size), np.repeat(begin, size) + gap
    order = np.lexsort((at, learner))
    rank = np.arange(len(order)) - np.searchsorted(learner[order], learner[order])
    keep = order[rank < activity.takes_max]
    return learner[keep], at[keep]


def _slates(
    parameters: Parameters, crowd: Crowd, truth: Truth, n_free: int, clock: Clock
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """bool[n_free]: which free visits begin with a slate; and as many visits again that end there unless it pleases."""
    half = min(parameters.recommending.slates // 2, n_free)
    with_slate = np.zeros(n_free, bool)
    with_slate[clock.rng.choice(n_free, half, replace=False)] = True
    others = parameters.recommending.slates - half
    weight = truth.pace * (crowd.ends > crowd.begins)
    learner = clock.rng.choice(len(weight), others if weight.sum() > 0 else 0, p=weight / max(weight.sum(), 1e-9))
    return with_slate, learner, clock.within(learner, crowd.begins[learner], crowd.ends[learner])


def duties(parameters: Parameters, shelf: Shelf, crowd: Crowd, truth: Truth, clock: Clock) -> list[Duty]:
    """Mandatory items for everyone inside, renewed where they expire within the period, and managers' single requests."""
    found: list[Duty] = []
    inside = np.flatnonzero(crowd.inside(parameters) & ~crowd.cold & (crowd.ends > crowd.begins))
    for number, item in enumerate(shelf.mandatory.tolist()):
        campaign = campaign_day(number) * DAY
        arrived = np.maximum(crowd.begins[inside] + DAY, campaign)
        first = _asked(parameters, inside, item, arrived, False, clock)
        found += first
        if shelf.items[item].valid_for:
            renew = [d for d in first if d.done_at >= 0]
            again = np.array([on_year(d.done_at) for d in renew], int)
            found += _asked(parameters, np.array([d.learner for d in renew], int), item, again, True, clock)
    return found + _individual(parameters, shelf, crowd, truth, inside, clock)


def campaign_day(number: int) -> int:
    """The day of the period on which the number-th mandatory item is asked of everyone then present."""
    return 7 + 56 * number


def on_year(done_at: int) -> int:
    """When a completion of a year's validity is asked for again: 30 days before it expires."""
    return done_at + 335 * DAY


def _asked(parameters: Parameters, learner: np.ndarray, item: int, at: np.ndarray, again: bool, clock: Clock) -> list[Duty]:
    rule, n = parameters.duties, len(learner)
    asked = on_workday(at // DAY * DAY + 8 * 3600, parameters.period.start)
    due = asked + rule.due_days * DAY
    on_time = clock.rng.random(n) < rule.on_time_share
    never = ~on_time & (clock.rng.random(n) < 0.3)
    days = np.where(on_time, clock.rng.beta(1.2, 1.6, n) * rule.due_days, rule.due_days * clock.rng.uniform(1, 2.2, n))
    done = clock.later(learner, asked, np.maximum(days, 1))
    waived = clock.rng.random(n) < rule.waived_share
    spared = clock.later(learner, asked, np.full(n, 5))
    return [
        Duty(int(learner[i]), item, int(asked[i]), int(due[i]), -1 if never[i] or waived[i] else int(done[i]),
             int(spared[i]) if waived[i] else -1, True, again)
        for i in range(n)
        if asked[i] < clock.crowd.ends[learner[i]]
    ]  # fmt: skip


def _individual(
    parameters: Parameters, shelf: Shelf, crowd: Crowd, truth: Truth, inside: np.ndarray, clock: Clock
) -> list[Duty]:
    """A manager asks one person for one item on a skill that their role expects."""
    found: list[Duty] = []
    if not len(inside):
        return found
    for learner in clock.rng.choice(inside, parameters.duties.individual).tolist():
        begins, ends = int(crowd.begins[learner]), int(crowd.ends[learner])
        asked = int(clock.within(np.array([learner]), np.array([begins]), np.array([ends]))[0])
        wanted = (truth.expected[learner, shelf.main] > 0) & ~truth.silent
        open_now = [i for i in np.flatnonzero(wanted) if _may(shelf, crowd, learner, int(i), asked, parameters)]
        if crowd.manager[learner] >= 0 and asked < ends and open_now:
            item = int(clock.rng.choice(open_now))
            done = int(clock.later(np.array([learner]), np.array([asked]), clock.rng.uniform(2, 40, 1))[0])
            found.append(
                Duty(learner, item, asked, asked + 45 * DAY, done if clock.rng.random() < 0.7 else -1, -1, False, False)
            )
    return found


def _may(shelf: Shelf, crowd: Crowd, learner: int, item: int, at: int, parameters: Parameters) -> bool:

    row, when = shelf.items[item], midnight(parameters.period.start) + timedelta(seconds=at)
    return row.available(when) and (not row.audiences or crowd.audiences[crowd.audience[learner]] in row.audiences)
