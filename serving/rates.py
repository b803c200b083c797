"""How many requests a key may send: a bucket of tokens for each, filled at a steady rate."""

from collections.abc import Callable
from time import monotonic
from typing import Final

_REMEMBERED: Final = 10_000


class Rates:
    """`per_s` tokens a second and `per_s * burst_s` at most, for each name. 0: no limit. Counted by this worker alone."""

    def __init__(self, per_s: float, *, burst_s: float = 2.0, timer: Callable[[], float] = monotonic) -> None:
        self._per_s, self._most, self._timer = per_s, max(per_s * burst_s, 1.0), timer
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """0 where a token was left and is taken now; else the seconds until the next one."""
        if self._per_s == 0:
            return 0.0
        now = self._timer()
        left, since = self._left.pop(name, (self._most, now))
        left = min(left + (now - since) * self._per_s, self._most)
        taken = left >= 1
        self._left[name] = (left - 1 if taken else left, now)
        if len(self._left) > _REMEMBERED:  # the one that asked longest ago: its bucket is full again, or nearly
            del self._left[next(iter(self._left))]
        return 0.0 if taken else (1 - left) / self._per_s

    def put_back(self, name: str) -> None:
        """Gives back a token that was taken."""
        if name in self._left:
            left, since = self._left[name]
            self._left[name] = (min(left + 1, self._most), since)
