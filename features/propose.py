"""Proposing skills for items that name none: cosine of texts, turned into a confidence by what the tenant did name.

The skills closest to an item's text are its candidates. `P(right) = sigmoid(w . (1, cosine, lead))`, where the lead is the
cosine minus that of the best other skill: a text that is close to one skill alone says more than one that is close to all.
The weights are fitted to the items that have skills (logistic regression, Platt 1999, drawn to `DEFAULT` by a Gaussian
prior: with no such item they are the default). Everything is worked out from texts without skill names in them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Catalogue, Item, Skill
from features.proposals import Proposal
from features.text import item_text

CANDIDATES: Final = 5
"""Skills of an item that are looked at, the closest first."""
AT_MOST: Final = 3
FLOOR: Final = 0.5
"""Below this confidence nothing is proposed."""
DEFAULT: Final = (-2.45, 3.84, 11.77)
"""Weights fitted to MARS (1,105 items, 38 skills) with all-MiniLM-L6-v2; `python -m benchmarks.skills` prints them."""
LEVELS: Final[Mapping[str | None, float]] = {None: 2.0, "beginner": 1.5, "intermediate": 3.0, "advanced": 4.0}
"""Level by difficulty where no item of that difficulty has skills to take the mean of."""

MOST_SURE: Final = 0.99
"""No text is proof."""

_PRECISION: Final = np.array([1.0, 0.1, 0.04])  # of the prior: standard deviations 1, 3 and 5

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""float32[n, d] unit vectors of n texts."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Findings:
    """What was proposed, the weights behind the confidences, and how many items with skills they were fitted to."""

    proposals: Mapping[str, Mapping[str, Proposal]]
    weights: tuple[float, ...]
    fitted_to: int


@dataclass(frozen=True, eq=False)
class Candidates:
    """The closest skills of n items: skill int64[n, c], and what speaks for them float64[n, c, 3]."""

    skill: NDArray[np.int64]
    signs: Floats

    @classmethod
    def of(cls, cosines: Floats) -> "Candidates":
        """From float64[n, s] cosines."""
        closest = np.argsort(-cosines, axis=1, kind="stable")[:, :CANDIDATES]
        near = np.take_along_axis(cosines, closest, axis=1)
        best = near[:, :1].repeat(near.shape[1], axis=1)
        best[:, 0] = near[:, 1] if near.shape[1] > 1 else 0.0
        return cls(closest, np.stack([np.ones_like(near), near, near - best], axis=-1))

    def confidence(self, weights: Floats) -> Floats:
        """float64[n, c]: how likely each candidate is right."""
        return sigmoid(self.signs @ weights)


def propose(catalogue: Catalogue, encode: Encode, *, at_most: int = AT_MOST, floor: float = FLOOR) -> Findings:
    """Skills for the items of a catalogue that have none, at most `at_most` each, none below the confidence `floor`."""
    items = [catalogue.items[item] for item in sorted(catalogue.items)]
    skills = [catalogue.skills[skill] for skill in sorted(catalogue.skills)]
    if not items or not skills:
        return Findings({}, DEFAULT, 0)
    texts = [*map(bare_text, items), *map(skill_text, skills)]
    vectors = encode(texts).astype(np.float64)
    candidates = Candidates.of(vectors[: len(items)] @ vectors[len(items) :].T)
    given = np.array([bool(item.skills) for item in items])
    weights = calibrate(candidates, _right(items, skills, candidates), given)
    sure = candidates.confidence(weights)
    levels = levels_by_difficulty(items)
    found = {
        items[n].id: _chosen(candidates.skill[n], sure[n], skills, levels[items[n].difficulty], at_most, floor)
        for n in np.flatnonzero(~given).tolist()
    }
    return Findings({item: own for item, own in found.items() if own}, tuple(weights.tolist()), int(given.sum()))


def bare_text(item: Item) -> str:
    """The text of an item without the names of its skills."""
    return item_text(item.model_copy(update={"skills": {}}))


def skill_text(skill: Skill) -> str:
    """Name and description."""
    return f"{skill.name}. {skill.description}".rstrip(" .")


def calibrate(candidates: Candidates, right: NDArray[np.bool_], given: NDArray[np.bool_]) -> Floats:
    """float64[3] weights from the items where `given` (bool[n]) says that `right` (bool[n, c]) is known."""
    return logistic(candidates.signs[given].reshape(-1, 3), right[given].ravel().astype(np.float64))


def logistic(signs: Floats, right: Floats) -> Floats:
    """The most probable weights, float64[3], of signs float64[p, 3] and outcomes 0 or 1."""
    from scipy.optimize import minimize  # here, so that the command line answers at once

    prior = np.array(DEFAULT)

    def loss(weights: Floats) -> tuple[float, Floats]:
        """Negative log posterior and its gradient."""
        z, off = signs @ weights, weights - prior
        value = np.logaddexp(0, z).sum() - right @ z + 0.5 * (_PRECISION * off**2).sum()
        return float(value), signs.T @ (sigmoid(z) - right) + _PRECISION * off

    return np.asarray(minimize(loss, prior, jac=True, method="L-BFGS-B").x, dtype=np.float64)


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x), within what a float can hold."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -500, 500))))


def levels_by_difficulty(items: Sequence[Item]) -> dict[str | None, float]:
    """The mean level that items of a difficulty are given; `LEVELS` where there is none."""
    found: dict[str | None, list[float]] = {difficulty: [] for difficulty in LEVELS}
    for item in items:
        found[item.difficulty] += item.skills.values()
    return {difficulty: round(fmean(own), 2) if own else LEVELS[difficulty] for difficulty, own in found.items()}


def _right(items: Sequence[Item], skills: Sequence[Skill], candidates: Candidates) -> NDArray[np.bool_]:
    ids = [skill.id for skill in skills]
    return np.array([[ids[k] in item.skills for k in row] for item, row in zip(items, candidates.skill.tolist(), strict=True)])


def _chosen(
    closest: NDArray[np.int64], sure: Floats, skills: Sequence[Skill], level: float, at_most: int, floor: float
) -> dict[str, Proposal]:
    order = np.argsort(-sure, kind="stable")[:at_most]
    return {
        skills[closest[k]].id: Proposal(level=level, confidence=min(round(float(sure[k]), 3), MOST_SURE))
        for k in order
        if sure[k] >= floor
    }
