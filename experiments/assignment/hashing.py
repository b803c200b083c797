"""Which arm of an experiment a unit belongs to: a pure function of seed, unit and allocation, without state.

Hash version 2 as published by GrowthBook's SDKs: `fnv32a(str(fnv32a(seed + value))) % 10000 / 10000`. Hashing twice is what
keeps parallel experiments independent; the older single hash correlates them.
"""

from collections.abc import Mapping
from functools import lru_cache

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193
_BUCKETS = 10_000


def fnv32a(text: str, value: int = _FNV_OFFSET) -> int:
    """32-bit FNV-1a of the UTF-8 bytes (Fowler, Noll, Vo). `value`: the hash of what comes before the text."""
    for byte in text.encode():
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return value


def bucket(seed: str, unit: str) -> float:
    """A number in [0, 1) with four digits, uniform over units and independent between seeds."""
    return fnv32a(str(fnv32a(unit, _of_seed(seed)))) % _BUCKETS / _BUCKETS


_of_seed = lru_cache(maxsize=1_000)(fnv32a)


def assign(seed: str, unit: str, allocation: Mapping[str, float]) -> str | None:
    """The arm of `unit`, or None when it lies outside all of them.

    `allocation` maps arm to share; arms take consecutive half-open ranges [start, start + share) in the order given. Shares
    may sum to less than 1 (the rest is outside the experiment). Raises ValueError for a negative share or a sum above 1.
    """
    widths = {arm: round(share * _BUCKETS) for arm, share in allocation.items()}
    if any(width < 0 for width in widths.values()) or sum(widths.values()) > _BUCKETS:
        raise ValueError(f"shares must be >= 0 and sum to at most 1, got {dict(allocation)}")
    where, start = round(bucket(seed, unit) * _BUCKETS), 0  # whole buckets: .1 + .2 has no exact edge in floats
    for arm, width in widths.items():
        if start <= where < start + width:
            return arm
        start += width
    return None
