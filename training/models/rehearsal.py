"""A rehearsal: the past without its newest take-ups, and those as questions, so that a ranker learns from answers unseen.

A table that knows everything up to an instant is cut in time: what came in the last sixth is asked, each time after all
that its learner had taken up by then. A table of order alone (no `until`, or a take-up without a
time) is asked for the last item of each learner, of few learners for the last three. So the questions are of the kind that
will be asked. Where they are few, the past is rehearsed in its turn: an earlier lesson is a lesson too.
"""

from collections.abc import Iterator

import numpy as np

from features.interactions import Interactions
from training.splits import Task, latest, leave_last

_SHARE = 1 / 6
_ENOUGH = 5_000
_STEPS = 3


def rehearse(
    interactions: Interactions, rng: np.random.Generator, most: int, times: int = 1
) -> Iterator[tuple[Interactions, Task]]:
    """What to fit on, and questions drawn from what came after it; the newest first, the earlier ones without what came later.

    At most `times` of them, none after half of `most` questions, and at most `most` in all.
    """
    asked = 0
    for _ in range(times):
        interactions, task = _once(interactions, rng, most - asked)
        if not len(task):
            return
        yield interactions, task
        asked += len(task)
        if 2 * asked >= most:
            return


def _once(interactions: Interactions, rng: np.random.Generator, most: int) -> tuple[Interactions, Task]:
    by_time = not np.isnat(interactions.until) and not np.isnat(interactions.at).any()
    past, task = latest(interactions, _SHARE) if by_time else _by_order(interactions)
    if len(task) <= most:
        return past, task
    rows = np.sort(rng.choice(len(task), size=most, replace=False))
    return past, task.take(rows)


def _by_order(interactions: Interactions) -> tuple[Interactions, Task]:
    steps = 1 if np.count_nonzero(interactions.lengths > 1) >= _ENOUGH else _STEPS
    return leave_last(interactions, steps)
