"""Worlds in which an experiment runs: how many units, what an arm does to them, and what is therefore true."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np

from experiments.design import Design, design_of
from experiments.simulate.population import Floats, Population, Whole

Metric = Literal["completions", "hours", "finishing"]
RATIO: Final = "finishing"
"""Completions by items taken up: a ratio of two sums."""


@dataclass(frozen=True)
class World:
    """`units` learners in two arms, followed for `days`; half of them by a coin, team by team where there are `teams`.

    `lift`: by which share the treatment raises what is taken up, on average over audiences. `ease`: what it adds to the log
    odds of finishing. `fades`: days after which a half of the lift is left, 0: it stays. `drift`: by how much the logarithm of
    everybody's pace grows over the days. `entering`: days over which learners enter. `before`: days whose values are known
    from before, the covariate. `team_spread`: deviation of the logarithm of a team's pace.
    """

    metric: Metric
    units: int
    lift: float = 0.0
    ease: float = 0.0
    days: int = 28
    before: int = 56
    entering: int = 1
    fades: float = 0.0
    drift: float = 0.0
    teams: int = 0
    team_spread: float = 0.3

    def with_units(self, units: int) -> "World":
        """The same world with more or fewer learners."""
        return replace(self, units=units, teams=self.teams * units // self.units)

    @cached_property
    def entered(self) -> Floats:
        """[days]: the share of learners who have entered by each day."""
        return np.minimum(np.arange(1, self.days + 1) / self.entering, 1.0)

    def rates(self, population: Population, *, treated: bool) -> Floats:
        """[days]: how much is taken up on each day beside an average one before; few weekends, as in the organisation."""
        day = np.arange(self.days)
        weekend = population.parameters.activity.weekend_share
        base = np.where(day % 7 >= 5, weekend / 2, (1 - weekend) / 5) * 7 * np.exp(self.drift * day / self.days)
        left = 0.5 ** (day / self.fades) if self.fades else np.ones(self.days)
        return np.asarray(base * (1 + self.lift * left if treated else 1.0))

    def means(self, population: Population) -> tuple[float, float]:
        """The true value of the metric in control and treatment."""
        each = [population.per_take(hours=self.metric == "hours", ease=ease) for ease in (0.0, self.ease)]
        if self.metric == RATIO:
            return each[0], each[1]
        taken = [
            population.warm * population.pace * float(self.rates(population, treated=treated) @ self.entered)
            for treated in (False, True)
        ]
        return taken[0] * each[0], taken[1] * each[1]

    def truth(self, population: Population, *, relative: bool) -> float:
        """The true effect."""
        control, treated = self.means(population)
        return (treated - control) / control if relative else treated - control

    def design(self, *, relative: bool = True, peeking: str = "fixed", minimum: float | None = None) -> Design:
        """What is written down before an experiment in this world."""
        ratio = {"denominator": "takes"} if self.metric == RATIO else {"missing": "zero"}
        least = {} if minimum is None else {"minimum_effect": minimum}
        return design_of(
            {
                "name": "simulated",
                "unit": "manager" if self.teams else "learner",
                "allocation": {"control": 0.5, "treatment": 0.5},
                "primary": {"metric": self.metric, "relative": relative, **ratio, **least},
                "horizon_days": self.days,
                "peeking": peeking,
                "planned_units": self.teams or self.units,
            },
            "simulated",
        )


@dataclass(frozen=True)
class Drawn:
    """n units, and k items that they took up while the experiment ran.

    treated: bool[n]; team: int[n], its own number where there are no teams; entered: int[n], day; before: float[n], the metric
    (of a ratio: its numerator) from before. learner: int[k]; day: int[k]; value: float[k], what it adds to the numerator.
    """

    world: World
    treated: np.ndarray
    team: Whole
    entered: Whole
    before: Floats
    learner: Whole
    day: Whole
    value: Floats


def draw(population: Population, world: World, rng: np.random.Generator) -> Drawn:
    """One experiment in a world."""
    n = world.units
    paces, suits = population.paces(rng, n)
    team, treated = np.arange(n), rng.random(n) < 0.5
    if world.teams:
        team = np.sort(rng.choice(world.teams, n, p=_sizes(population, world.teams, rng)))
        spread = world.team_spread
        paces = paces * np.exp(rng.normal(0, spread, world.teams) - spread**2 / 2)[team]
        treated = (rng.random(world.teams) < 0.5)[team]
    shares, strengths = population.reaction
    strength = strengths[rng.choice(len(shares), n, p=shares)]
    rates = [world.rates(population, treated=arm) for arm in (False, True)]
    more = (rates[1].sum() - rates[0].sum()) * strength * treated
    taken = population.takes(rng, paces * (rates[0].sum() + more))
    earlier = population.takes(rng, paces * world.before)
    entered = rng.integers(world.entering, size=n)
    learner = np.repeat(np.arange(n), taken)
    day = np.where(treated[learner], _days(rng, rates[1], len(learner)), _days(rng, rates[0], len(learner)))
    value = _values(population, world, rng, suits[learner], world.ease * treated[learner].astype(np.float64))
    past = np.repeat(np.arange(n), earlier)
    before = summed(past, _values(population, world, rng, suits[past], np.zeros(len(past))), n)
    kept = day >= entered[learner]
    return Drawn(world, treated, team, entered, before, learner[kept], day[kept], value[kept])


def summed(places: Whole, values: Floats, n: int) -> Floats:
    """[n]: the sum of the values at each place."""
    return np.bincount(places, values, n).astype(np.float64)


def _sizes(population: Population, teams: int, rng: np.random.Generator) -> Floats:
    """[teams] shares of the learners: as unequal as the organisation's units."""
    sizes = rng.choice([unit.size for unit in population.parameters.org_unit], teams)
    return np.asarray(sizes / sizes.sum())


def _days(rng: np.random.Generator, rates: Floats, k: int) -> Whole:
    edges = np.cumsum(rates) / rates.sum()
    return np.minimum(np.searchsorted(edges, rng.random(k), side="right"), len(rates) - 1)


def _values(population: Population, world: World, rng: np.random.Generator, suits: Floats, ease: Floats) -> Floats:
    """[k]: what each item adds: 1, or its hours, where it is finished."""
    hours = population.hours[rng.integers(len(population.hours), size=len(suits))]
    done = rng.random(len(suits)) < population.finishing(suits, hours, ease)
    return np.asarray(done * (hours if world.metric == "hours" else 1.0))
