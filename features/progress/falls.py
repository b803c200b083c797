"""When a skill falls below what is wanted, by the evidence up to each moment: for all moments of one skill, from arrays.

It says what `features.skills.explain` of the same evidence and `fades_below` say, without going through the events anew.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.forgetting import DAY, GAP_DAYS, KINDS, MOST, NEVER, lengthening
from features.skills import Contribution

KEPT: Final = 0.75
"""The share of the highest level shown that is worth keeping where no role expects one."""
_LATEST: Final = datetime.max.replace(tzinfo=UTC).timestamp()
_NEAR_S: Final = 1.0
"""What arrays say is last by less than this is compared to the microsecond."""


class Falls:
    """One skill. `evidence`: what shows it, n pieces in order of time, each with the level it shows. `failed`: when it was
    failed, in order. `expected`: by the role; None: a part of the highest level shown so far is wanted.
    """

    def __init__(self, evidence: Sequence[Contribution], failed: Sequence[datetime], expected: float | None) -> None:
        kinds = [KINDS[one.event.verb] for one in evidence]
        self._evidence = evidence
        self._at = np.array([one.event.occurred_at.timestamp() for one in evidence])
        self._shown = np.array([one.shown for one in evidence])
        self._half = np.array([kind.half_life_days * DAY for kind in kinds])
        self._retrieval = np.array([kind.retrieval for kind in kinds], dtype=bool)
        self._times = np.unique(self._at[self._retrieval])
        self._failed = [one.timestamp() for one in failed]
        best = np.maximum.accumulate(self._shown)
        self._wanted = np.full(len(evidence), float(expected)) if expected else KEPT * best

    def after(self, pieces: int) -> datetime | None:
        """When it falls by the first `pieces` (1 or more) of the evidence; None where it never does, has never been there, or
        where only what an import marked `backfill` brought carries it.
        """
        wanted = float(self._wanted[pieces - 1])
        lasting = np.flatnonzero(self._shown[:pieces] >= wanted) if wanted > 0 else np.array([], dtype=np.int64)
        if not len(lasting):
            return None
        factors = self._factors(pieces)
        falls = self._at[lasting] + self._half[lasting] * factors[lasting] * np.log2(self._shown[lasting] / wanted)
        last = float(falls.max())
        if last >= _LATEST:
            return None
        near = lasting[falls >= last - _NEAR_S].tolist()
        ends = {one: self._exact(one, float(factors[one]), wanted) for one in near}
        end = max(ends.values())
        return end if any(ends[one] == end and not self._evidence[one].event.backfill for one in near) else None

    def _exact(self, one: int, factor: float, wanted: float) -> datetime:
        half_life = timedelta(seconds=float(self._half[one]) * factor)
        return self._evidence[one].event.occurred_at + half_life * log2(float(self._shown[one]) / wanted)

    def _factors(self, pieces: int) -> NDArray[np.float64]:
        """float64[pieces]: by how much retrievals lengthen each half-life (`features.forgetting.Chain`)."""
        now = float(self._at[pieces - 1])
        count = bisect_right(self._failed, now)
        failed_at = self._failed[count - 1] if count else NEVER
        known = self._times[: np.searchsorted(self._times, now, side="right")]
        times = known[np.searchsorted(known, failed_at, side="right") :]
        if not len(known) or self._at[0] >= known[-1] or not len(times):
            return np.ones(pieces)
        at = self._at[:pieces]
        following = np.searchsorted(times, at, side="right")
        still = following < len(times)
        place = np.minimum(following, len(times) - 1)
        gaps = np.minimum((times[place] - np.maximum(at, failed_at)) / DAY, GAP_DAYS)
        found = np.where(still, np.minimum(MOST, (1.0 + gaps / GAP_DAYS) * _after(times)[place]), 1.0)
        found[self._retrieval[:pieces]] = found[0]  # a retrieval proves all that was shown before it
        return found


def _after(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[k]: the factor that the retrievals after each one give together. From the end on, until it is the most."""
    found = np.full(len(times), MOST)
    found[-1] = 1.0
    for k in range(len(times) - 2, -1, -1):
        found[k] = min(MOST, float(found[k + 1]) * lengthening(float(times[k + 1] - times[k])))
        if found[k] == MOST:
            break
    return found
