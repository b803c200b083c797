"""What is drawn has the truth that is computed, and the shapes that real experiments have."""

from itertools import pairwise

import numpy as np
import pytest

from experiments.comparisons import compare
from experiments.inference.estimates import Inconclusive
from experiments.outcomes.measures import measures
from experiments.simulate.looks import at_the_end, each_day
from experiments.simulate.population import Population, population
from experiments.simulate.worlds import World, draw

WORLDS = [
    World("completions", 400_000, lift=0.3, entering=14, fades=5, drift=0.5),
    World("hours", 400_000, lift=-0.2),
    World("finishing", 400_000, ease=0.5),
    World("completions", 400_000, lift=0.2, teams=40_000),
]


@pytest.fixture(scope="module")
def people() -> Population:
    return population()


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: f"{world.metric}-{world.teams}")
def test_the_truth_is_what_many_learners_show(people: Population, world: World) -> None:
    """Within five standard errors of the mean of each arm; the log-normal pace makes those about half a percent."""
    arms = at_the_end(draw(people, world, np.random.default_rng(5)))
    for found, mean in zip(arms.values(), world.means(people), strict=True):
        value, spread = found.means[0] / found.means[1], found.covariances
        gradient = np.array([1, -value, 0]) / found.means[1]
        assert abs(value - mean) < 5 * (gradient @ spread @ gradient / found.n) ** 0.5


def test_learners_are_as_uneven_as_in_the_organisation(people: Population) -> None:
    """Log-normal pace of .9 and sessions: the variance of completions is several times their mean, hours are skewed."""
    drawn = draw(people, World("hours", 200_000), np.random.default_rng(5))
    hours = np.bincount(drawn.learner, drawn.value, 200_000)
    z = (hours - hours.mean()) / hours.std()
    assert (z**3).mean() > 4
    assert 0.4 < (hours == 0).mean() < 0.6


def test_looks_grow_to_the_end(people: Population) -> None:
    drawn = draw(people, World("completions", 500, entering=10), np.random.default_rng(1))
    looks = each_day(drawn)
    assert len(looks) == 28
    assert all(a["control"].n <= b["control"].n for a, b in pairwise(looks))
    last, all_ = looks[-1]["treatment"], at_the_end(drawn)["treatment"]
    np.testing.assert_allclose(last.means, all_.means)
    np.testing.assert_allclose(last.covariances, all_.covariances)


def test_a_team_is_in_one_arm(people: Population) -> None:
    drawn = draw(people, World("completions", 300, teams=20), np.random.default_rng(1))
    assert all(len(set(drawn.treated[drawn.team == team])) == 1 for team in np.unique(drawn.team))
    assert sum(one.n for one in at_the_end(drawn).values()) == len(np.unique(drawn.team))


def test_an_arm_of_one_team_has_no_spread_and_no_result(people: Population) -> None:
    world = World("completions", 30, teams=3)
    for seed in range(8):
        arms = at_the_end(draw(people, world, np.random.default_rng(seed)))
        alone = [one for one in arms.values() if one.n == 1]
        assert all(np.isnan(one.covariances).all() for one in alone)
    assert isinstance(compare(arms, measures(world.design())[0], world.design())[0].found, Inconclusive)
