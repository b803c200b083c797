"""A rehearsal: the past without its newest take-ups, and those as questions, so that a ranker learns from answers unseen.

A table that knows everything up to an instant is cut in time: what came in the last sixth is asked, each time after all
that its learner had taken up by then. A table of order alone (no `until`, or a take-up without a
time) is asked for the last item of each learner, of few learners for the last three. So the questions are of the kind that
will be asked.
"""

import numpy as np

from features.interactions import Interactions
from training.splits import Task, latest, leave_last

_SHARE = 1 / 6
_ENOUGH = 5_000
_STEPS = 3


def rehearse(interactions: Interactions, rng: np.random.Generator, most: int) -> tuple[Interactions, Task]:
    """What to fit on, and at most `most` questions drawn from what came after it."""
    by_time = not np.isnat(interactions.until) and not np.isnat(interactions.at).any()
    past, task = latest(interactions, _SHARE) if by_time else _by_order(interactions)
    if len(task) <= most:
        return past, task
    rows = np.sort(rng.choice(len(task), size=most, replace=False))
    return past, task.take(rows)


def _by_order(interactions: Interactions) -> tuple[Interactions, Task]:
    steps = 1 if np.count_nonzero(interactions.lengths > 1) >= _ENOUGH else _STEPS
    return leave_last(interactions, steps)
