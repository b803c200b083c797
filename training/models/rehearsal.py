"""A rehearsal: a table without some of its take-ups, and those as questions, so that a ranker learns from answers unseen.

A table that knows everything up to an instant is cut in time: what came in the last sixth is asked, each time after all
that its learner had taken up by then. A table of order alone (no `until`, or a take-up without a time) is asked for the last
item of each learner; of few learners for all that they took up, a third of them at a time, after the other two thirds. So
the questions are of the kind that will be asked. Where they are few, there is another rehearsal: the past in its turn, or
the next third.
"""

from collections.abc import Iterator

import numpy as np

from features.interactions import Interactions
from training.splits import Task, hold_out, latest, leave_last

_SHARE = 1 / 6
_MANY = 5_000
_GROUPS = 3
_NEWEST = 20
"""Questions of one learner, so that long histories are not most of the lesson."""


def rehearse(
    interactions: Interactions, rng: np.random.Generator, most: int, times: int = 1
) -> Iterator[tuple[Interactions, Task]]:
    """What to fit on, and questions drawn from what is not in it. Of the past's past later take-ups are in neither.

    At most `times` of them, none after half of `most` questions, and at most `most` in all.
    """
    by_time = not np.isnat(interactions.until) and not np.isnat(interactions.at).any()
    many = np.count_nonzero(interactions.lengths > 1) >= _MANY
    each = _backwards(interactions, by_time, times) if by_time or many else _in_groups(interactions, rng, times)
    asked = 0
    for past, task in each:
        if len(task) > most - asked:
            task = task.take(np.sort(rng.choice(len(task), size=most - asked, replace=False)))
        if not len(task):
            return
        yield past, task
        asked += len(task)
        if 2 * asked >= most:
            return


def _backwards(interactions: Interactions, by_time: bool, times: int) -> Iterator[tuple[Interactions, Task]]:
    """The newest take-ups, then those before them."""
    for _ in range(times):
        interactions, task = latest(interactions, _SHARE) if by_time else leave_last(interactions, 1)
        yield interactions, task


def _in_groups(interactions: Interactions, rng: np.random.Generator, times: int) -> Iterator[tuple[Interactions, Task]]:
    """Learners by groups, each after the fit on the others."""
    group = rng.permutation(len(interactions)) % _GROUPS
    for held in range(min(times, _GROUPS)):
        yield hold_out(interactions, group == held, _NEWEST)
