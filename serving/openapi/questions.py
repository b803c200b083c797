"""The routes that answer questions about a ranking, and the page of a learner."""

from typing import Final

from features.decisions import Decision
from serving.openapi.parts import (
    ERRORS,
    ID,
    LEARNER,
    Document,
    json_of,
    parameters_of,
    post_of,
    problem,
    problems,
    ref,
    response,
    security,
)
from serving.questions.payloads import ExplainAnswer, ExplainRequest, PreviewQuery

_DECISION: Final = (
    "A recorded decision: what was shown and why, what was removed, and what it was made with. A token reads those of its "
    "learner, whose `removed` is empty but for `/v1/rank`."
)
_EXPLAIN: Final = (
    "Why an item was shown, or why not, for up to 20 items: of a decision, or of what would be shown now. It is no decision: "
    "no coin is tossed, nothing is recorded."
)
_PREVIEW: Final = (
    "A page for a person: what a learner would be shown now and why, why another item is not among it, skills, gaps, "
    "progress, what a nudge would say now. A browser asks for user and password: "
    "the password is a key or a token. Nothing is recorded as shown."
)


def of_questions() -> Document:
    decision = {
        "summary": _DECISION,
        "operationId": "decision",
        "security": security("/v1/decisions/{decision_id}", "GET"),
        "parameters": [{"name": "decision_id", "in": "path", "required": True, "schema": ID}],
        "responses": {
            "200": response("The record", json_of(ref(Decision))),
            **problems("400", "401", "403", "429", "503"),
            "404": response("There is none of this id for whoever asks", problem()),
        },
    }
    explained = {
        "200": response("One answer per item", json_of(ref(ExplainAnswer))),
        **problems(*ERRORS),
        "404": response("There is no decision of this id and learner for whoever asks", problem()),
    }
    preview = {
        "summary": _PREVIEW,
        "operationId": "preview",
        "security": security("/preview/{learner_id}", "GET"),
        "parameters": [LEARNER, *parameters_of(PreviewQuery)],
        "responses": {
            "200": response("The page", {"text/html": {"schema": {"type": "string"}}}),
            **problems("400", "401", "403", "429", "503"),
            "404": response("Never heard of: neither in the catalogue nor in an event", problem()),
        },
    }
    return {
        "/v1/decisions/{decision_id}": {"get": decision},
        "/v1/explain": post_of("/v1/explain", "explain", _EXPLAIN, ref(ExplainRequest), explained),
        "/preview/{learner_id}": {"get": preview},
    }
