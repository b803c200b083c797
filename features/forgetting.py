"""Forgetting: how fast each kind of evidence fades, and how retrieval slows it down.

What was shown fades as `0.5 ** (age / half-life)`. A retrieval (a passed check, a right answer, use at work) lengthens the
half-life, more after a longer gap: `x (1 + min(gap, 90 days) / 90 days)`, all together at most x 4. The exponential form and a
half-life that grows with successful practice are half-life regression's (Settles & Meeder, ACL 2016); that spaced retrieval
lasts longer than massed is Cepeda et al., Psychological Science 19 (2008). The rule is a plain one, not fitted to anybody:
each factor can be checked by hand. A failure starts the lengthening over, as in Leitner's boxes (1972).

The logarithm of a factor is concave in its gap and 0 without one. So a retrieval between two others never makes the product
smaller, and simultaneous ones lengthen nothing, whatever their order.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from features.events import Evidence, Verb

DAY: Final = 86_400.0
GAP_DAYS: Final = 90.0
"""A retrieval after this gap, or a longer one, doubles the half-life."""
NEVER: Final = -float("inf")
MOST: Final = 4.0
"""All retrievals of a skill together lengthen a half-life by no more than this factor."""


class Kind(NamedTuple):
    """What one piece of evidence is worth when it is fresh (`confidence`) and how fast it fades before any retrieval."""

    evidence: Evidence
    confidence: float
    half_life_days: float
    retrieval: bool


KINDS: Final[Mapping[Verb, Kind]] = {
    Verb.KNOWN: Kind(Evidence.DECLARED, 0.2, 365, retrieval=False),
    Verb.COMPLETED: Kind(Evidence.COMPLETED, 0.4, 365, retrieval=False),
    Verb.ANSWERED: Kind(Evidence.ASSESSED, 0.3, 540, retrieval=True),  # right ones only; one question is a small assessment
    Verb.PASSED: Kind(Evidence.ASSESSED, 0.7, 540, retrieval=True),
    Verb.ENDORSED: Kind(Evidence.ASSESSED, 0.7, 540, retrieval=False),  # somebody else's word: nothing was retrieved
    Verb.APPLIED: Kind(Evidence.APPLIED, 0.85, 730, retrieval=True),
    Verb.ATTESTED: Kind(Evidence.APPLIED, 0.85, 730, retrieval=True),
}
"""Verb -> what it shows of a skill; any other verb shows nothing. What is used fades more slowly than what was only read."""


def lengthening(gap_s: float) -> float:
    """The factor (1 to 2) by which a retrieval `gap_s` seconds after the last evidence lengthens the half-life."""
    return 1.0 + min(gap_s / DAY, GAP_DAYS) / GAP_DAYS


class Chain(NamedTuple):
    """The retrievals of one skill since its last failure: distinct times, ascending, in seconds since 1970.

    `after[k]`: the factor that retrievals k + 1, k + 2 ... give together. `failed_at`: `NEVER` without a failure.
    """

    times: tuple[float, ...]
    after: tuple[float, ...]
    failed_at: float

    @classmethod
    def of(cls, retrievals: Iterable[float], failed_at: float) -> "Chain":
        """From times in any order, repeated ones included."""
        times = tuple(sorted({at for at in retrievals if at > failed_at}))
        after = [1.0] * len(times)
        for k in range(len(times) - 2, -1, -1):
            after[k] = min(MOST, after[k + 1] * lengthening(times[k + 1] - times[k]))
        return cls(times, tuple(after), failed_at)

    def factor(self, since: float) -> float:
        """By how much the retrievals after `since` lengthen the half-life of what was shown then (1 to `MOST`)."""
        k = bisect_right(self.times, since)
        if k == len(self.times):
            return 1.0
        return min(MOST, lengthening(self.times[k] - max(since, self.failed_at)) * self.after[k])
