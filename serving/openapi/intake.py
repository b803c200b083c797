"""The routes by which facts come in: events, evidence, feedback, and how the intake stands."""

from typing import Final

from pydantic import BaseModel

from serving.openapi.parts import ERRORS, Document, get_of, json_of, post_of, problem, problems, ref, response, security
from serving.payloads import MAX_EVENTS, EventIn, EventResult, EventsAnswer, EvidenceIn, FeedbackIn, HealthAnswer

_EVENTS: Final = "Record one event, or a batch of up to 1,000. Accepted means synced; the learner's next answer knows it."
_EVIDENCE: Final = "Record that a skill was used: one piece of evidence, or up to 1,000, each with a result."
_FEEDBACK: Final = "What a learner says of an item: not relevant, already known, later, saved. The next ranking knows it."
_HEALTH: Final = "What came in, what of it was understood, repaired or refused, and which ids the catalogue does not know."


def of_intake() -> Document:
    results = {"200": response("One result per event", json_of(ref(EventsAnswer)))}
    said = {"200": response("What became of it", json_of(ref(EventResult)))}
    conflict = {"409": response("An event of this id is stored with other content", problem())}
    each = {**problems(*ERRORS), **conflict}
    health = get_of("ingest_health", _HEALTH, "application/json")["get"] | {"security": security("/v1/ingest/health")}
    health["responses"] = {
        "200": response("How it stands", json_of(ref(HealthAnswer))),
        **problems("401", "403", "429", "503"),
    }
    return {
        "/v1/events": post_of("/v1/events", "events", _EVENTS, _one_or_many(EventIn), {**results, **each}),
        "/v1/evidence": post_of("/v1/evidence", "evidence", _EVIDENCE, _one_or_many(EvidenceIn), {**results, **each}),
        "/v1/feedback": post_of("/v1/feedback", "feedback", _FEEDBACK, ref(FeedbackIn), {**said, **each}),
        "/v1/ingest/health": {"get": health},
    }


def _one_or_many(row: type[BaseModel]) -> Document:
    return {"oneOf": [ref(row), {"type": "array", "items": ref(row), "minItems": 1, "maxItems": MAX_EVENTS}]}
