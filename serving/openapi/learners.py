"""The routes of one learner: what is known of them, and their rights."""

from typing import Final

from pydantic import BaseModel

from serving.openapi.parts import (
    ERRORS,
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
from serving.payloads import (
    LearnerExport,
    MergeAnswer,
    MergeIn,
)

SKILLS: Final = (
    "A learner's skills: level, confidence, half-life, and the events that say so. `at` a past moment: as known then."
)
GAPS: Final = "What a learner's role expects and their events do not show, with the items that close it best."
DUTIES: Final = "What is assigned to a learner or their audiences, until when it is due, and what of it is done."
_EXPORT: Final = "All that is stored of a learner: their rows in all versions, events, statements, decisions, choices."
_ERASE: Final = (
    "Erase a learner under every name they have. What happened until then and is sent again is suppressed; what happens later "
    "starts an empty learner."
)
MERGE: Final = (
    "Say that two ids are one person, whose row is that of `into`: every later answer reads both histories as one. No event is "
    "rewritten, earlier decisions are replayed as they were."
)
UNMERGE: Final = "Take a merge back: each id has again what was said of it, before and meanwhile."
_UNKNOWN: Final = "Never heard of: neither in the catalogue nor in an event"


def of_learner(name: str, summary: str, query: type[BaseModel], answer: type[BaseModel]) -> Document:
    operation = {
        "summary": summary,
        "operationId": name,
        "security": security(f"/v1/learners/{{learner_id}}/{name}", "GET"),
        "parameters": [LEARNER, *parameters_of(query)],
        "responses": {
            "200": response("The answer, worked out from the events", json_of(ref(answer))),
            **problems("400", "401", "403", "429", "503"),
            "404": response(_UNKNOWN, problem()),
        },
    }
    return {"get": operation}


def export() -> Document:
    return {
        "summary": _EXPORT,
        "operationId": "export_learner",
        "security": security("/v1/learners/{learner_id}/export"),
        "parameters": [LEARNER],
        "responses": {
            "200": response("The document", json_of(ref(LearnerExport))),
            **problems("400", "401", "403", "429", "503"),
            "404": response("Nothing is stored of them", problem()),
        },
    }


def joined(name: str, summary: str) -> Document:
    answers = {
        "200": response("What became of it", json_of(ref(MergeAnswer))),
        **problems(*ERRORS),
        "409": response("It contradicts what stands; `field` and `detail` say what. Nothing was stored", problem()),
    }
    never = {"404": response("They were never merged", problem())} if name == "unmerge" else {}
    route = f"/v1/learners/{{learner_id}}/{name}"
    return post_of(route, f"{name}_learner", summary, ref(MergeIn), answers | never, parameters=[LEARNER])


def erase() -> Document:
    return {
        "summary": _ERASE,
        "operationId": "erase_learner",
        "security": security("/v1/learners/{learner_id}", "DELETE"),
        "parameters": [LEARNER],
        "responses": {
            "204": {"description": "Nothing of them is stored, whether or not something was"},
            **problems("400", "401", "403", "429", "503"),
        },
    }
