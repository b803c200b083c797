"""The route of nudges."""

from typing import Final

from serving.nudging.payloads import NudgeAnswer, NudgeChoiceIn, NudgeIn, NudgesAnswer
from serving.openapi.parts import ERRORS, LEARNER, Document, json_of, post_of, problems, ref, response, security

_NUDGE: Final = (
    "Whether to say something to a learner now, and what. Within the limits that nothing crosses (hours, days of work, leave, "
    "budget, what the learner chose); the decision is recorded, silence too."
)

_NUDGES: Final = "Whether a learner wants nudges: on, snoozed until a moment, or stopped."
_CHOOSE: Final = (
    "What a learner chooses about nudges on a page of settings: snooze, stop, or resume. The next nudge knows it; to choose "
    "again what holds already changes nothing."
)
_CHOICES: Final = "/v1/learners/{learner_id}/nudges"


def of_choices() -> Document:
    answers = {"200": response("What holds now", json_of(ref(NudgesAnswer)))}
    look = {
        "summary": _NUDGES,
        "operationId": "nudges",
        "security": security(_CHOICES, "GET"),
        "parameters": [LEARNER],
        "responses": {**answers, **problems("400", "401", "403", "429", "503")},
    }
    choose = {
        "summary": _CHOOSE,
        "operationId": "choose_nudges",
        "security": security(_CHOICES, "PUT"),
        "parameters": [LEARNER],
        "requestBody": {"required": True, "content": json_of(ref(NudgeChoiceIn))},
        "responses": {**answers, **problems(*ERRORS)},
    }
    return {"get": look, "put": choose}


def of_nudge() -> Document:
    answers = {"200": response("What to say, or nothing and why", json_of(ref(NudgeAnswer))), **problems(*ERRORS)}
    return post_of("/v1/nudge", "nudge", _NUDGE, ref(NudgeIn), answers)
