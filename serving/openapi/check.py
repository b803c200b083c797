"""The route that says what of a decision is withdrawn."""

from typing import Final

from serving.openapi.parts import ID, Document, json_of, problem, problems, ref, response, security
from serving.payloads import CheckAnswer

_CHECK: Final = (
    "Whether what was decided may still be sent or shown: asked right before. A learner may have opted out since, an item may "
    "be retired. While it answers 503 nobody can tell: send nothing."
)


def of_check() -> Document:
    operation = {
        "summary": _CHECK,
        "operationId": "check",
        "security": security("/v1/decisions/{decision_id}/check", "GET"),
        "parameters": [{"name": "decision_id", "in": "path", "required": True, "schema": ID}],
        "responses": {
            "200": response("What is withdrawn, and why", json_of(ref(CheckAnswer))),
            **problems("400", "401", "403", "429", "503"),
            "404": response("There is none of this id for whoever asks", problem()),
        },
    }
    return {"get": operation}
