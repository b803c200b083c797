"""The route of nudges."""

from typing import Final

from serving.nudging.payloads import NudgeAnswer, NudgeIn
from serving.openapi.parts import ERRORS, Document, json_of, problems, ref, response, security

_NUDGE: Final = (
    "Whether to say something to a learner now, and what. Within the limits that nothing crosses (hours, days of work, leave, "
    "budget, what the learner chose); the decision is recorded, silence too."
)


def of_nudge() -> Document:
    operation = {
        "summary": _NUDGE,
        "operationId": "nudge",
        "security": security("/v1/nudge"),
        "requestBody": {"required": True, "content": json_of(ref(NudgeIn))},
        "responses": {"200": response("What to say, or nothing and why", json_of(ref(NudgeAnswer))), **problems(*ERRORS)},
    }
    return {"post": operation}
