"""Every metric, defined once. docs/reference/metrics.md prints these words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ibis.expr.types import Table

from experiments.design import Direction
from experiments.metrics import choices, items, skills
from experiments.metrics.source import Source

Belongs = Literal["decision", "learner"]
Find = Callable[[Source, Table], Table]
"""(source, people) -> (learner, value, at): what happened to `people(learner, since, until)` with since <= at < until."""


@dataclass(frozen=True)
class Metric:
    """What is counted of a learner in the `window_days` from the first exposure on.

    `numerator` per `denominator`, in words. `belongs`: an outcome belongs to the decision whose id it carries, or to the
    learner whatever led to it (intention to treat). `direction`: which way is good. `whole_window`: a learner is known only
    when the window is over, and then always; of all others nothing found means zero so far. `needs`: what a host must send,
    for who finds nothing.
    """

    name: str
    numerator: str
    denominator: str
    window_days: int
    unit: str
    direction: Direction
    belongs: Belongs
    words: str
    needs: str
    find: Find
    whole_window: bool = False


_PER_LEARNER: Final = "exposed learner"
_ALL: Final = (
    Metric(
        "completion",
        "items completed or passed that a decision of the experiment led to, each once",
        _PER_LEARNER,
        28,
        "items",
        "up",
        "decision",
        "How much of what was recommended gets finished.",
        "`completed` or `passed` with the decision's id, or a `shown` of the item with it before",
        items.completed_by_decision,
    ),
    Metric(
        "any_completion",
        "items completed or passed, each once",
        _PER_LEARNER,
        28,
        "items",
        "up",
        "learner",
        "How much gets finished, wherever it was found: what `completion` gains may be lost elsewhere.",
        "`completed` or `passed`",
        items.completed,
    ),
    Metric(
        "assessed_skill",
        "skills with an assessment that was passed, each once",
        _PER_LEARNER,
        28,
        "skills",
        "up",
        "learner",
        "How many skills were tested and found to be there.",
        "`passed` or `endorsed`, of a skill or of an item that teaches one",
        skills.assessed,
    ),
    Metric(
        "applied_skill",
        "skills with evidence from work, each once",
        _PER_LEARNER,
        28,
        "skills",
        "up",
        "learner",
        "How many skills were used at work: what all of this is for.",
        "`applied` or `attested`, of a skill or of an item that teaches one",
        skills.applied,
    ),
    Metric(
        "gap_closed",
        "skills whose level came up to what the role expects, by tests or work, and was below before, each once",
        _PER_LEARNER,
        56,
        "skills",
        "up",
        "learner",
        "How many gaps to the role were closed; what is forgotten again is not counted.",
        "learners with a role that expects levels; `passed`, `endorsed`, `applied` or `attested` with a level",
        skills.closed,
    ),
    Metric(
        "return_7d",
        "learners who do something again from 24 hours after the exposure on",
        _PER_LEARNER,
        7,
        "share of learners",
        "up",
        "learner",
        "Who comes back within a week.",
        "any event of a learner's own doing, such as `started`",
        items.returned,
        whole_window=True,
    ),
    Metric(
        "time_to_first_useful",
        "days until the first completed item that a decision recommended or that later evidence of its skill used; "
        "14 where there is none",
        _PER_LEARNER,
        14,
        "days",
        "down",
        "decision",
        "How soon something useful was found.",
        "`completed` or `passed`; evidence of skills (`passed`, `endorsed`, `applied`, `attested`)",
        items.days_to_first_useful,
        whole_window=True,
    ),
    Metric(
        "dismissals",
        "dismissals of what a decision of the experiment showed",
        _PER_LEARNER,
        28,
        "dismissals",
        "down",
        "decision",
        "How often somebody says: not this.",
        "`dismissed` with the decision's id, or a `shown` of the item with it before",
        items.dismissed,
    ),
    Metric(
        "opt_outs",
        "learners who stop all nudges",
        _PER_LEARNER,
        28,
        "share of learners",
        "down",
        "learner",
        "Who has had enough.",
        "the choice `stop` at `/v1/nudge/choices`",
        choices.stopped,
    ),
    Metric(
        "decisions",
        "decisions of the experiment",
        _PER_LEARNER,
        28,
        "decisions",
        "up",
        "decision",
        "How often somebody was served: to divide others by.",
        "requests for recommendations or nudges",
        choices.decided,
    ),
)
METRICS: Final[Mapping[str, Metric]] = {one.name: one for one in _ALL}


class MetricError(ValueError):
    """A metric that nothing defines; the message says which there are."""


def metric(name: str) -> Metric:
    """The metric of a name. Raises MetricError."""
    if name not in METRICS:
        raise MetricError(f"metric {name!r} is not defined; there are {', '.join(METRICS)}")
    return METRICS[name]
