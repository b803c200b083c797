"""The known truth: what drives every choice, drawn before any event exists.

A perfect recommender would know all of it; `as_json` writes what a model can be compared with.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.synthetic.content import Shelf
from features.synthetic.moments import DAY
from features.synthetic.parameters import Parameters
from features.synthetic.people import Crowd

Float = NDArray[np.float32]

NEED = {"beginner": 0.6, "intermediate": 1.7, "advanced": 2.9}


@dataclass(frozen=True)
class Truth:
    """Latent values of n learners, m items, s skills and f families over d days."""

    interest: Float  # [n, f], mean 0 and deviation 1 over families
    taste: Float  # [n, k], dot `character` / sqrt(k) is the taste utility
    levels_at_start: Float  # [n, s], 0..5
    expected: Float  # [n, s], what the learner's role expects
    pace: Float  # [n], expected free choices over the full period, 0 for cold learners
    character: Float  # [m, k]
    difficulty: Float  # [m], the skill level at which passing has the odds of `outcome.pass_margin` zero
    appeal: Float  # [m], deviation 1
    appeal_by_day: Float  # [d, m], with drift and bursts
    transitions: Float  # [m, m], row i: how strongly finishing i pulls each next item
    silent: NDArray[np.bool_]  # [m], items that nobody finds
    effect: Float  # [n_audiences], utility added by being shown
    bursts: tuple[dict[str, Any], ...]


def draw(parameters: Parameters, shelf: Shelf, crowd: Crowd, rng: np.random.Generator) -> Truth:
    """Draw the latent values of one organisation."""
    n, m, choice = len(crowd.rows), len(shelf.items), parameters.choice
    expected = _expected(parameters, shelf, crowd)
    appeal = rng.standard_normal(m)
    by_day, bursts = _appeal_by_day(parameters, shelf, appeal, rng)
    silent = rng.random(m) < parameters.catalogue.silent_share
    silent[shelf.mandatory] = False
    return Truth(
        interest=_interest(expected, shelf, rng),
        taste=rng.standard_normal((n, choice.taste_dimensions)).astype(np.float32),
        levels_at_start=_levels(expected, crowd, rng),
        expected=expected,
        pace=_pace(parameters, crowd, rng),
        character=rng.standard_normal((m, choice.taste_dimensions)).astype(np.float32),
        difficulty=np.array([NEED[i.difficulty or "beginner"] for i in shelf.items], np.float32)
        + rng.normal(0, 0.3, m).astype(np.float32),
        appeal=appeal.astype(np.float32),
        appeal_by_day=by_day,
        transitions=_transitions(shelf, choice.journeys, rng),
        silent=silent,
        effect=np.array([parameters.recommending.effect[name] for name in crowd.audiences], np.float32),
        bursts=bursts,
    )


def _expected(parameters: Parameters, shelf: Shelf, crowd: Crowd) -> Float:
    place = {skill.id: s for s, skill in enumerate(shelf.skills)}
    table = np.zeros((len(parameters.role), len(shelf.skills)), np.float32)
    for r, role in enumerate(parameters.role):
        for skill, level in role.expects.items():
            table[r, place[skill]] = level
    return np.asarray(table[crowd.role])


def _interest(expected: Float, shelf: Shelf, rng: np.random.Generator) -> Float:
    """Half from the role's families, half one's own; standardised within a learner."""
    families = len(shelf.families)
    role = np.stack([expected[:, shelf.family_of_skill == f].sum(axis=1) for f in range(families)], axis=1)
    role = role / np.maximum(role.sum(axis=1, keepdims=True), 1e-6) * families
    raw = 0.6 * role + rng.gumbel(0, 0.8, role.shape)
    return np.asarray((raw - raw.mean(axis=1, keepdims=True)) / raw.std(axis=1, keepdims=True), np.float32)


def _levels(expected: Float, crowd: Crowd, rng: np.random.Generator) -> Float:
    """Skill levels at arrival: a part of what the role expects, more with years of service, and a few others."""
    years = np.clip(-crowd.joined / (365 * DAY), 0, 6)[:, None] / 6
    level = expected * rng.uniform(0, 0.6 + 0.4 * years, expected.shape)
    other = np.where(rng.random(expected.shape) < 0.08, rng.uniform(0.5, 2.5, expected.shape), 0)
    return np.clip(np.maximum(level, other), 0, 5).astype(np.float32)


def _pace(parameters: Parameters, crowd: Crowd, rng: np.random.Generator) -> Float:
    activity = parameters.activity
    raw = np.exp(rng.normal(0, activity.takes_sigma, len(crowd.rows)) - activity.takes_sigma**2 / 2)
    return np.where(crowd.cold, 0, raw * activity.takes_mean).astype(np.float32)


def _appeal_by_day(
    parameters: Parameters, shelf: Shelf, appeal: np.ndarray, rng: np.random.Generator
) -> tuple[Float, tuple[dict[str, Any], ...]]:
    days, m, shape = parameters.period.days, len(appeal), parameters.appeal
    time = np.linspace(-1, 1, days)[:, None]
    by_day = appeal + shape.drift * (rng.standard_normal(m) * time + rng.standard_normal(m) * np.sin(np.pi * time) * 0.5)
    bursts = []
    for _ in range(shape.bursts):
        begin, family = int(rng.integers(20, days - 20)), int(rng.integers(len(shelf.families)))
        items = rng.permutation(np.flatnonzero(shelf.family == family))[:4]
        by_day[begin : begin + shape.burst_days, items] += shape.burst_height
        bursts.append({"day": begin, "family": shelf.families[family], "items": [shelf.items[i].id for i in items]})
    return by_day.astype(np.float32), tuple(bursts)


def _transitions(shelf: Shelf, journeys: int, rng: np.random.Generator) -> Float:
    """Each item pulls what builds on it (1.0) and a few unrelated items (0.6..1.0)."""
    m = len(shelf.items)
    place = {item.id: i for i, item in enumerate(shelf.items)}
    pull = np.zeros((m, m), np.float32)
    for i in range(m):
        pull[i, rng.choice(m, journeys, replace=False)] = rng.uniform(0.6, 1.0, journeys)
    for i, item in enumerate(shelf.items):
        pull[[place[p] for p in item.prerequisites], i] = 1.0
    np.fill_diagonal(pull, 0)
    return pull


def as_json(truth: Truth, shelf: Shelf, crowd: Crowd, levels_at_end: Float, oracle: dict[str, float]) -> dict[str, Any]:
    """JSON-ready truth by external ids; levels of 0.05 and less are left out."""
    ids = [item.id for item in shelf.items]
    return {
        "families": list(shelf.families),
        "learners": {
            row.id: {
                "interest": _rounded(truth.interest[i]),
                "taste": _rounded(truth.taste[i]),
                "pace": round(float(truth.pace[i]), 2),
                "levels_at_start": _named(truth.levels_at_start[i], shelf),
                "levels_at_end": _named(levels_at_end[i], shelf),
            }
            for i, row in enumerate(crowd.rows)
        },
        "items": {
            name: {
                "appeal": round(float(truth.appeal[i]), 3),
                "appeal_at_end": round(float(truth.appeal_by_day[-1, i]), 3),
                "difficulty": round(float(truth.difficulty[i]), 3),
                "character": _rounded(truth.character[i]),
                "silent": bool(truth.silent[i]),
                "next": {ids[j]: round(float(truth.transitions[i, j]), 3) for j in np.flatnonzero(truth.transitions[i])},
            }
            for i, name in enumerate(ids)
        },
        "effect_of_recommending": {n: round(float(e), 3) for n, e in zip(crowd.audiences, truth.effect, strict=True)},
        "bursts": list(truth.bursts),
        "oracle": oracle,
    }


def _rounded(values: Float) -> list[float]:
    return [round(float(v), 3) for v in values]


def _named(levels: Float, shelf: Shelf) -> dict[str, float]:
    return {shelf.skills[s].id: round(float(levels[s]), 2) for s in np.flatnonzero(levels > 0.05)}
