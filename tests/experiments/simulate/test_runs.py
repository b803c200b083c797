"""A small share of `make calibrate`: the procedures err as often as they say, in worlds whose truth is known."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from experiments.comparisons import compare
from experiments.inference.estimates import Estimate
from experiments.outcomes.days import as_it_went
from experiments.outcomes.measured import measure
from experiments.outcomes.measures import measures
from experiments.outcomes.sums import by_arm
from experiments.simulate.looks import at_the_end, each_day
from experiments.simulate.population import Population, population
from experiments.simulate.runs import cover, peek, read, tables_of
from experiments.simulate.worlds import World, draw

EFFECTS = [
    World("hours", 1_000, lift=0.1),
    World("completions", 1_200, lift=0.1, teams=100),
    World("finishing", 1_000, ease=0.2),
]


@pytest.fixture(scope="module")
def people() -> Population:
    return population()


def within(share: float, runs: int) -> tuple[float, float]:
    """The 99.99 % binomial interval."""
    low, high = stats.binom.interval(0.9999, runs, share)
    return low / runs, high / runs


def test_nothing_is_found_in_nothing_more_often_than_promised(people: Population) -> None:
    world, rng, runs = World("completions", 600, entering=7), np.random.default_rng(21), 150
    at_one, read_daily, always = np.array([peek(people, world, rng) for _ in range(runs)]).mean(axis=0)
    assert within(0.05, runs)[0] <= at_one <= within(0.05, runs)[1]
    assert always <= within(0.05, runs)[1]
    assert read_daily >= at_one


@pytest.mark.parametrize("world", EFFECTS, ids=lambda world: world.metric)
def test_intervals_hold_the_truth(people: Population, world: World) -> None:
    rng, runs = np.random.default_rng(22), 150
    found = np.array([cover(people, world, rng) for _ in range(runs)])
    low, high = within(0.95, runs)
    assert np.isfinite(found).all()
    assert (found[:, :, :2].mean(axis=0) >= low).all()
    assert (found[:, :, :2].mean(axis=0) <= high).all()
    assert (found[:, :, 2].mean(axis=0) >= low).all()


@pytest.mark.parametrize("world", [*EFFECTS, World("completions", 800, entering=5)], ids=lambda w: f"{w.metric}-{w.entering}")
def test_the_moments_are_those_that_an_analysis_works_out(people: Population, world: World) -> None:
    """In the database, row by row, and here, array by array: at the end and at the end of each day."""
    design, drawn = world.design(), draw(people, world, np.random.default_rng(4))
    one, tables = measures(design)[0], tables_of(drawn, design)
    measure(tables, one)
    theirs, ours = by_arm(tables), at_the_end(drawn)
    for arm in ("control", "treatment"):
        assert theirs[arm].n == ours[arm].n
        np.testing.assert_allclose(theirs[arm].means, ours[arm].means)
        np.testing.assert_allclose(theirs[arm].covariances, ours[arm].covariances)
    if world.metric != "finishing":
        last = list(as_it_went(tables, one).values())[-1]
        np.testing.assert_allclose(last["treatment"].covariances, each_day(drawn)[-1]["treatment"].covariances)


def test_harm_is_never_shipped_and_a_benefit_mostly_is(people: Population) -> None:
    kinds = {}
    for name, lift in (("harmful", -0.4), ("null", 0.0), ("beneficial", 0.5)):
        world, rng = World("completions", 1_000, lift=lift), np.random.default_rng(9)
        kinds[name] = Counter(read(people, world, world.design(), rng).verdict.kind for _ in range(12))
    assert kinds["harmful"] == {"do not ship": 12}
    assert kinds["null"]["ship"] <= 1
    assert kinds["beneficial"]["ship"] >= 9


def test_an_effect_that_fades_is_told_from_one_that_stays(people: Population) -> None:
    """The later days less the earlier ones, of an effect whose half is gone after three days, in most of ten experiments."""
    worlds = {fades: World("completions", 4_000, lift=1.5, fades=fades, drift=0.5) for fades in (0.0, 3.0)}
    shown = {
        fades: sum(_falls(people, world, np.random.default_rng([7, run])) for run in range(10))
        for fades, world in worlds.items()
    }
    assert shown[3.0] >= 7
    assert shown[0.0] <= 2


def _falls(people: Population, world: World, rng: np.random.Generator) -> bool:
    later = read(people, world, world.design(), rng).fading[0].later
    return isinstance(later, Estimate) and later.high < 0


def test_the_same_seed_is_the_same_experiment(people: Population) -> None:
    world, design = EFFECTS[0], EFFECTS[0].design()
    one, other = (compare(at_the_end(draw(people, world, np.random.default_rng(3))), measures(design)[0], design) for _ in "ab")
    assert one == other
