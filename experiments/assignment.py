"""Which arm of an experiment a unit belongs to: a pure function of seed, unit and allocation, without state.

Hash version 2 as published by GrowthBook's SDKs: `fnv32a(str(fnv32a(seed + value))) % 10000 / 10000`. Hashing twice is what
keeps parallel experiments independent; the older single hash correlates them.
"""

from collections.abc import Mapping

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


def fnv32a(text: str) -> int:
    """32-bit FNV-1a of the UTF-8 bytes (Fowler, Noll, Vo)."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return value


def bucket(seed: str, unit: str) -> float:
    """A number in [0, 1) with four digits, uniform over units and independent between seeds."""
    return fnv32a(str(fnv32a(seed + unit))) % 10_000 / 10_000


def assign(seed: str, unit: str, allocation: Mapping[str, float]) -> str | None:
    """The arm of `unit`, or None when it lies outside all of them.

    `allocation` maps arm to share; arms take consecutive half-open ranges [start, start + share) in the order given. Shares
    may sum to less than 1 (the rest is outside the experiment). Raises ValueError for a negative share or a sum above 1.
    """
    if any(share < 0 for share in allocation.values()) or sum(allocation.values()) > 1 + 1e-9:
        raise ValueError(f"shares must be >= 0 and sum to at most 1, got {dict(allocation)}")
    where, start = bucket(seed, unit), 0.0
    for arm, share in allocation.items():
        if start <= where < start + share:
            return arm
        start += share
    return None
