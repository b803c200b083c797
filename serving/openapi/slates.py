"""The routes of offline slates."""

from typing import Final

from serving.openapi.parts import ERRORS, ID, Document, json_of, post_of, problem, problems, ref, response, security
from serving.slates.payloads import MAX_KEY, OfflineAnswer, OfflineMinimalAnswer, ReplayAnswer, ReplayIn

_AGAIN: Final = (
    "An offline slate as it was given, for its seven days: no new decision. With an ETag; what the caller has already is "
    "answered with 304."
)
_REPLAY: Final = (
    "What was done with an offline slate while there was no service, up to 1,000 rows, each with a result. It must have been "
    "done while the slate held; it may be sent at any time, and again."
)
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names the rows that have no `event_id`, by their number: the same request sent again is harmless.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
}
_NO_SECRET: Final = "This service signs no slates: it has no secret to sign them with"


def of_slates() -> Document:
    again = {
        "summary": _AGAIN,
        "operationId": "slate",
        "security": security("/v1/slates/{decision_id}", "GET"),
        "parameters": [{"name": "decision_id", "in": "path", "required": True, "schema": ID}],
        "responses": {
            "200": response("The slate", json_of({"anyOf": [ref(OfflineAnswer), ref(OfflineMinimalAnswer)]})),
            **problems("400", "401", "403", "429", "503"),
            "404": response("There is no offline slate of this id for whoever asks", problem()),
            "409": response(_NO_SECRET, problem()),
            "410": response("It has ended", problem()),
        },
    }
    replayed = {
        "200": response("One result per row", json_of(ref(ReplayAnswer))),
        **problems(*ERRORS),
        "403": response("The key lacks the scope, or the slate was not given to this tenant and learner", problem()),
        "409": response(_NO_SECRET, problem()),
    }
    replay = post_of("/v1/slates/replay", "replay_slate", _REPLAY, ref(ReplayIn), replayed, parameters=[_KEY])
    return {"/v1/slates/{decision_id}": {"get": again}, "/v1/slates/replay": replay}
