"""Small trees walked all at once for a few rows, by numpy alone, to the very numbers that LightGBM gives.

No node waits for the one above it: every condition of every tree is asked, a row that goes right rules out the leaves to the
left, and the leftmost leaf that is left is the row's. After QuickScorer (Lucchese et al., "QuickScorer: a fast algorithm to
rank documents with additive ensembles of regression trees", SIGIR 2015).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from features.pieces import in_pieces
from training.models.tree_text import fields, numbers

MOST_LEAVES = 16
"""Of one tree: as many as two bytes mark."""
MOST_ROWS = 500
"""At once: 150 trees of 15 leaves ask as many rows 1.5 million times, a byte each. LightGBM is as fast with more."""
_BYTES = 2
_DEFAULT_LEFT, _MISSING = 2, 12  # bits of a decision type
_NONE, _NAN = 0, 8  # what counts as missing: nothing (NaN is then 0), or NaN; 4 is zero, which no table here has
_PLAIN, _HIGH, _ZERO = range(3)  # what NaN is read as: NaN, which no condition finds greater; infinite; 0


@dataclass(frozen=True, eq=False)
class Walk:
    """Over t trees of at most n + 1 leaves. feature: int64[n t], a row of the readings that are stacked over each other.

    threshold: float32[n t, 1]; ruled_out: uint8[2, n t, 1], the leaves left of a node, a bit each; value: float64[t 16] of the
    leaves, first: int64[t, 1] where those of a tree begin. reads: how NaN is read, reading by reading.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    ruled_out: NDArray[np.uint8]
    value: NDArray[np.float64]
    first: NDArray[np.int64]
    reads: tuple[int, ...]

    @classmethod
    def of(cls, text: str, width: int) -> "Walk | None":
        """Of a sound model's text; None for too large trees and those of another kind than LambdaRank grows from numbers."""
        head, *trees = text.split("\nTree=")
        each = [_Tree.of(fields(tree)) for tree in in_pieces(trees)]
        if "objective=lambdarank" not in head or "average_output" in head or any(one is None for one in each):
            return None  # another objective would be turned into something else at the end
        known = [one for one in each if one is not None]
        t, n = len(known), max((len(one.feature) for one in known), default=0)
        reads = tuple(sorted({_PLAIN}.union(*(one.read.tolist() for one in known))))
        feature, threshold = np.zeros((n, t), dtype=np.int64), np.full((n, t), np.inf, dtype=np.float32)
        ruled_out, value = np.zeros((n, t), dtype=np.uint16), np.zeros((t, MOST_LEAVES), dtype=np.float64)
        for at, one in enumerate(known):
            own = slice(len(one.feature)), at
            feature[own] = one.feature + width * np.searchsorted(reads, one.read)
            threshold[own], ruled_out[own] = one.threshold, one.ruled_out
            value[at, : len(one.value)] = one.value
        low_and_high = np.stack([ruled_out & 255, ruled_out >> 8]).astype(np.uint8).reshape(_BYTES, n * t, 1)
        first = np.arange(t, dtype=np.int64)[:, None] * MOST_LEAVES
        return cls(feature.ravel(), threshold.reshape(-1, 1), low_and_high, value.ravel(), first, reads)

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[k] of float32[k, width], finite or NaN: the sum of what each tree says, in their order."""
        rows = np.ascontiguousarray(features.T)
        if len(self.reads) > 1:
            rows = np.concatenate([_read(rows, as_) for as_ in self.reads])
        right = (rows.take(self.feature, axis=0) > self.threshold).view(np.uint8)
        np.negative(right, out=right)
        t, k = len(self.first), len(features)
        low, high = (np.bitwise_or.reduce((right & leaves).reshape(-1, t * k), axis=0) for leaves in self.ruled_out)
        leaf = _leftmost().take(low | high.astype(np.uint16) << 8).reshape(t, k)
        found: NDArray[np.float32] = self.value.take(leaf + self.first).sum(axis=0).astype(np.float32)
        return found


def _read(rows: NDArray[np.float32], as_: int) -> NDArray[np.float32]:
    if as_ == _PLAIN:
        return rows
    found: NDArray[np.float32] = np.where(np.isnan(rows), np.float32(np.inf if as_ == _HIGH else 0), rows)
    return found


@cache
def _leftmost() -> NDArray[np.uint8]:
    """uint8[65536]: the lowest bit that is not set."""
    every = np.arange(2**MOST_LEAVES, dtype=np.int64)
    free = ~every & (every + 1)
    found: NDArray[np.uint8] = (np.log2(np.maximum(free, 1)) % MOST_LEAVES).astype(np.uint8)
    return found


@dataclass(frozen=True, eq=False)
class _Tree:
    """One tree: for each node its feature, threshold, the leaves to its left (uint16, a bit each) and how it reads NaN."""

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    ruled_out: NDArray[np.uint16]
    read: NDArray[np.int64]
    value: NDArray[np.float64]

    @classmethod
    def of(cls, told: dict[str, str]) -> "_Tree | None":
        n = int(numbers(told, "num_leaves", 1)[0]) - 1
        if n >= MOST_LEAVES:
            return None
        value = numbers(told, "leaf_value", n + 1)
        if n == 0:
            none = np.zeros(0, dtype=np.int64)
            return cls(none, none.astype(np.float32), none.astype(np.uint16), none, value)
        feature, threshold, kind, left, right = (
            numbers(told, name, n) for name in ("split_feature", "threshold", "decision_type", "left_child", "right_child")
        )
        reads = _reads(kind.astype(np.int64))
        if reads is None:
            return None
        children = list(zip(left.astype(int).tolist(), right.astype(int).tolist(), strict=True))
        order = list(_leaves(children, 0))
        place = {leaf: at for at, leaf in enumerate(order)}
        ruled_out = [sum(1 << place[leaf] for leaf in _leaves(children, child)) for child, _ in children]
        return cls(feature.astype(np.int64), _below(threshold), np.array(ruled_out, dtype=np.uint16), reads, value[order])


def _reads(kind: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """int64[n] of the decision types; None where one is of another kind."""
    missing, left = kind & _MISSING, kind & _DEFAULT_LEFT > 0
    if np.any(kind & ~(_MISSING | _DEFAULT_LEFT)) or not np.isin(missing, (_NONE, _NAN)).all():
        return None
    return np.where(missing == _NONE, _ZERO, np.where(left, _PLAIN, _HIGH))


def _leaves(children: list[tuple[int, int]], node: int) -> Iterator[int]:
    """The leaves below a node, from left to right; a node of -1 - k is leaf k."""
    if node < 0:
        yield -1 - node
        return
    for child in children[node]:
        yield from _leaves(children, child)


def _below(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above: a float32 is greater than it just where it is greater than the threshold."""
    most = np.finfo(np.float32).max
    found = np.clip(threshold, -most, most).astype(np.float32)
    return np.where(found > threshold, np.nextafter(found, np.float32(-np.inf)), found)
