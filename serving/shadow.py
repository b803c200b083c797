"""Shadow scoring: a challenger ranks a share of the requests as well, beside the answer, and is shown to nobody.

What it would have shown is compared with what was: the counters say how often the first item differs, and how many of the
shown items it shows too. It takes what time is left: while one is scored, others are skipped and counted.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, NamedTuple

from features.decisions import Decision
from serving.metrics import Metrics

SAME_FIRST: Final = "same_first"
OTHER_FIRST: Final = "other_first"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
_DRAWS: Final = 1 << 32
_LOG = logging.getLogger("nextwise.shadow")


class Agreement(NamedTuple):
    """`overlap`: share of the items shown that the other shows too. `same_first`: whether the same is on top."""

    overlap: float
    same_first: bool


def compare(shown: Decision, other: Decision) -> Agreement:
    """What the slates of two decisions on one request have in common."""
    ours, theirs = ([item.item_id for item in one.slate] for one in (shown, other))
    overlap = len(set(ours).intersection(theirs)) / len(ours) if ours else float(not theirs)
    return Agreement(overlap, ours[:1] == theirs[:1])


def drawn(decision: Decision, share: float) -> bool:
    """Whether this decision is one of the share: by its seed, so that anybody can say later which ones were."""
    return decision.randomisation.seed % _DRAWS < share * _DRAWS


class Shadow:
    """Of one worker. `executor`: has a thread of its own, for only one is scored at a time."""

    def __init__(self, share: float, metrics: Metrics, executor: Executor) -> None:
        self._share, self._metrics, self._executor = share, metrics, executor
        self._busy = False

    def consider(self, shown: Decision, rank: Callable[[], Decision]) -> None:
        """Score one that was shown in full, if it is drawn. `rank`: the challenger's decision on the same request."""
        if shown.fallback is not None or not drawn(shown, self._share):
            return
        if self._busy:
            self._metrics.shadows.labels(SKIPPED).inc()
            return
        self._busy = True
        self._executor.submit(self._score, shown, rank)

    def _score(self, shown: Decision, rank: Callable[[], Decision]) -> None:
        try:
            found = compare(shown, rank())
        except Exception:
            _LOG.exception("the challenger cannot rank what the champion ranked")
            self._metrics.shadows.labels(FAILED).inc()
        else:
            self._metrics.shadows.labels(SAME_FIRST if found.same_first else OTHER_FIRST).inc()
            self._metrics.overlap.observe(found.overlap)
        finally:
            self._busy = False
