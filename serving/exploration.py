"""Exploration: one coin per slot, and the exact probability of what it placed.

The propensity of an item at a slot, given the slots above: `(1 - e) [item = greedy] + e q(item)`, q uniform over the
support, which is the best S by score of what the slot may hold. Which item is greedy, and what a slot may hold, follows from
the slots above too (`serving.diversity`), so the probability is exact whatever reorders a slate.
"""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Slot:
    """One filled slot: the candidate, its probability there, and whether the coin placed it."""

    candidate: int
    propensity: float
    explored: bool


def seed_of(decision_id: str) -> int:
    """A seed of 63 bits from a decision's id, so that the same decision draws the same slate again."""
    return int.from_bytes(hashlib.sha256(decision_id.encode()).digest()[:8], "big") >> 1


class Candidates(Protocol):
    """What is left of a row, and which of it comes first. `open` is asked before `first`, and both once a slot."""

    def open(self, support: int) -> Sequence[int]:
        """The best by score that the next slot may hold, at most `support`; empty when none is left."""
        ...

    def first(self) -> int:
        """The candidate that the next slot holds unless the coin decides."""
        ...

    def place(self, candidate: int) -> None:
        """Take one out, into the slot."""
        ...


class ByScore:
    """Candidates that stay in the order of their scores."""

    def __init__(self, ordered: Iterable[int]) -> None:
        self._left = list(ordered)

    def open(self, support: int) -> Sequence[int]:
        return self._left[:support]

    def first(self) -> int:
        return self._left[0]

    def place(self, candidate: int) -> None:
        self._left.remove(candidate)


def fill(candidates: Candidates, slots: int, *, epsilon: float, support: int, rng: random.Random) -> list[Slot]:
    """Fill up to `slots` slots, each candidate at most once.

    Only `rng.random()` is drawn, whose sequence Python keeps over versions: two numbers a slot, whatever the coin says.
    """
    filled: list[Slot] = []
    while len(filled) < slots and (held := candidates.open(support)):
        filled.append(_draw(held, candidates.first(), epsilon, rng))
        candidates.place(filled[-1].candidate)
    return filled


def _draw(held: Sequence[int], greedy: int, epsilon: float, rng: random.Random) -> Slot:
    """`greedy` need not be among those of the support: the coin alone then never places it."""
    explored, choice = rng.random() < epsilon, held[int(rng.random() * len(held))]
    candidate = choice if explored else greedy
    propensity = (1 - epsilon) * (candidate == greedy) + epsilon * (candidate in held) / len(held)
    return Slot(candidate, min(propensity, 1.0), explored)
