"""The same buckets for many units at once: hash version 2 over arrays, for whoever assigns a whole experiment again."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.assignment.hashing import fnv32a
from experiments.design import BUCKETS

_PRIME: Final = np.uint32(0x01000193)
_OFFSET: Final = np.uint32(0x811C9DC5)
_TENS: Final = 10 ** np.arange(9, -1, -1, dtype=np.uint32)


def letters(units: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The UTF-8 bytes of units, uint8 [longest, n], and how many each has, [n]."""
    encoded = [unit.encode() for unit in units]
    sizes = np.array([len(one) for one in encoded], dtype=np.int64)
    table = np.zeros((len(encoded), int(sizes.max(initial=0))), dtype=np.uint8)
    table[np.arange(table.shape[1]) < sizes[:, None]] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    return np.ascontiguousarray(table.T), sizes


def places(seed: str, table: NDArray[np.uint8], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bucket of each unit as a whole number: `round(bucket(seed, unit) * 10_000)`. Units as `letters` has them."""
    state = np.full(len(sizes), fnv32a(seed), dtype=np.uint32)
    for place, row in enumerate(table):
        state = np.where(place < sizes, (state ^ row) * _PRIME, state)
    return (_of_numbers(state) % np.uint32(BUCKETS)).astype(np.int64)


def _of_numbers(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """FNV-1a of each number written out in decimal digits."""
    digits = values // _TENS[:, None] % np.uint32(10) + np.uint32(ord("0"))
    state = np.full(len(values), _OFFSET, dtype=np.uint32)
    for power, row in zip(_TENS, digits, strict=True):
        state = np.where((values >= power) | (power == 1), (state ^ row) * _PRIME, state)
    return state
