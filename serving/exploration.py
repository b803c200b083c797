"""Exploration: one coin per slot, and the exact probability of what it placed.

The propensity of an item at a slot, given the slots above: `(1 - e) [item = greedy] + e q(item)`, q uniform over the
support, which is the best S of what is left in the row.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """One filled slot: the candidate, its probability there, and whether the coin placed it."""

    candidate: int
    propensity: float
    explored: bool


def seed_of(decision_id: str) -> int:
    """A seed of 63 bits from a decision's id, so that the same decision draws the same slate again."""
    return int.from_bytes(hashlib.sha256(decision_id.encode()).digest()[:8], "big") >> 1


def fill(ordered: Sequence[int], slots: int, *, epsilon: float, support: int, rng: random.Random) -> list[Slot]:
    """Fill up to `slots` slots from candidates given best first; each candidate at most once.

    Only `rng.random()` is drawn, whose sequence Python keeps over versions: two numbers a slot, whatever the coin says.
    """
    left = list(ordered)
    return [_draw(left, epsilon, support, rng) for _ in range(min(slots, len(left)))]


def _draw(left: list[int], epsilon: float, support: int, rng: random.Random) -> Slot:
    pool = min(support, len(left))
    explored, choice = rng.random() < epsilon, int(rng.random() * pool)
    position = choice if explored else 0
    propensity = (1 - epsilon) * (position == 0) + epsilon / pool
    return Slot(left.pop(position), min(propensity, 1.0), explored)
