"""Whether the arms hold as many units as they were given."""

from collections.abc import Mapping
from typing import Final

from scipy import stats

WARNS_BELOW: Final = 0.001
"""A p-value below this withholds a result: chance hardly ever does that, a fault in the plumbing does."""


def sample_ratio(counts: Mapping[str, int], allocation: Mapping[str, float]) -> float:
    """The p-value of the counts under the allocation: chi-square, with degrees of freedom from live arms only.

    An arm is live where its share is above 0. Raises ValueError for fewer than two live arms or where nobody was assigned.
    """
    live = {arm: share for arm, share in allocation.items() if share > 0}
    found = [counts.get(arm, 0) for arm in live]
    if len(live) < 2 or sum(found) == 0:
        raise ValueError("a sample ratio needs two arms with a share above 0, and units in them")
    expected = [share / sum(live.values()) * sum(found) for share in live.values()]
    return float(stats.chisquare(found, expected).pvalue)
