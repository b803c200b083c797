"""The route of nudges."""

from typing import Final

from serving.nudging.payloads import NudgeAnswer, NudgeIn
from serving.openapi.parts import ERRORS, Document, json_of, post_of, problems, ref, response

_NUDGE: Final = (
    "Whether to say something to a learner now, and what. Within the limits that nothing crosses (hours, days of work, leave, "
    "budget, what the learner chose); the decision is recorded, silence too."
)


def of_nudge() -> Document:
    answers = {"200": response("What to say, or nothing and why", json_of(ref(NudgeAnswer))), **problems(*ERRORS)}
    return post_of("/v1/nudge", "nudge", _NUDGE, ref(NudgeIn), answers)
