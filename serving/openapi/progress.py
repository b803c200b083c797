"""The route of a learner's progress."""

from typing import Final

from serving.openapi.learners import of_learner
from serving.openapi.parts import Document
from serving.progress.payloads import ProgressAnswer, ProgressQuery

_PROGRESS: Final = (
    "A learner's points, streak and quests, each with the events behind it. Points vest when what was learned is applied; "
    "opens, completions and minutes earn nothing."
)


def of_progress() -> Document:
    return of_learner("progress", _PROGRESS, ProgressQuery, ProgressAnswer)
