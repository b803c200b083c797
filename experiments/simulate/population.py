"""Learners of the embedded organisation's parameter family as distributions: how much they take up, finish and spend."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.synthetic.content import shelf
from features.synthetic.parameters import Parameters, load

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

_NODES: Final = 40
BUSY_FINISH: Final = 0.3
"""How the logarithm of a learner's pace correlates with how well items suit them: without it, a ratio would be an easy one."""


@dataclass(frozen=True)
class Population:
    """What `organisation.toml` says of one learner. `hours`: [m], of each item of its catalogue."""

    parameters: Parameters
    hours: Floats

    @property
    def pace(self) -> float:
        """Items that a learner with any events takes up a day."""
        return self.parameters.activity.takes_mean / self.parameters.period.days

    @property
    def warm(self) -> float:
        """The share of learners with any events."""
        return 1 - self.parameters.people.cold_share

    @cached_property
    def reaction(self) -> tuple[Floats, Floats]:
        """[a] shares of the audiences, and [a] how strongly each reacts, 1 on average: as each does to being shown an item."""
        people, effect = self.parameters.people.audiences, self.parameters.recommending.effect
        shares = np.array(list(people.values()))
        strengths = np.array([effect[name] for name in people])
        return shares, strengths / float(shares @ strengths)

    def paces(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """[n] items a day, log-normal, zero for the cold; and [n] how well items suit each, of mean 0 and deviation 1."""
        sigma, drawn = self.parameters.activity.takes_sigma, rng.standard_normal((2, n))
        suits = BUSY_FINISH * drawn[0] + (1 - BUSY_FINISH**2) ** 0.5 * drawn[1]
        paces = self.pace * np.exp(sigma * drawn[0] - sigma**2 / 2)
        return np.where(rng.random(n) < self.warm, paces, 0.0), suits

    def takes(self, rng: np.random.Generator, expected: Floats) -> Whole:
        """[n] items taken up where so many are expected: a Poisson number of sessions with a geometric number of items each."""
        size = self.parameters.activity.session_size
        sessions = rng.poisson(expected / size)
        more = rng.negative_binomial(np.maximum(sessions, 1), 1 / size)
        return np.where(sessions > 0, sessions + more, 0)

    def finishing(self, suits: Floats, hours: Floats, ease: float | Floats = 0.0) -> Floats:
        """The chance that a learner finishes an item of so many hours. `ease`: what is added to its log odds."""
        rule = self.parameters.outcome
        return 1 / (1 + np.exp(-(rule.completion + rule.completion_per_hour * hours + rule.fit * suits + ease)))

    def per_take(self, *, hours: bool, ease: float = 0.0) -> float:
        """What one item taken up adds on average: completions, or hours of completed items. By quadrature, not by drawing.

        The learner behind a random take is busier than a random learner, and so, by `BUSY_FINISH`, finishes more.
        """
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        suits = nodes + BUSY_FINISH * self.parameters.activity.takes_sigma
        chances = self.finishing(suits[:, None], self.hours, ease)
        each = (chances * (self.hours if hours else 1.0)).mean(axis=1)
        return float(weights @ each / weights.sum())


def population(file: Path | None = None, *, seed: int = 7) -> Population:
    """Of a parameter file, by default the embedded one; hours are those of the catalogue of that seed."""
    parameters = load(file)
    items = shelf(parameters, np.random.default_rng([seed, 0])).items
    return Population(parameters, np.array([min((item.duration_s or 0) / 3600, 6.0) for item in items]))
