"""The routes about who may do what, and who did: learner tokens, and the audit log."""

from typing import Final

from serving.openapi.parts import (
    ERRORS,
    Document,
    get_of,
    json_of,
    parameters_of,
    post_of,
    problem,
    problems,
    ref,
    response,
    security,
)
from serving.payloads import AuditAnswer, AuditQuery, TokenAnswer, TokenRequest

_TOKENS: Final = (
    "A short-lived token for one learner's browser or phone: rankings, skills, gaps and feedback of theirs, and nothing else."
)
_AUDIT: Final = (
    "Who did what to the tenant's keys, catalogue and people: rows that hold pseudonyms, each with the hash of the last."
)
_NO_SECRET: Final = "This service gives no tokens: it has no secret to sign them with"


def of_access() -> Document:
    audit = get_of("audit", _AUDIT, "application/json")["get"] | {"security": security("/v1/audit", "GET")}
    audit["parameters"] = parameters_of(AuditQuery)
    audit["responses"] = {
        "200": response("A page of rows", json_of(ref(AuditAnswer))),
        **problems("400", "401", "403", "429", "503"),
    }
    tokens = {
        "200": response("The token", json_of(ref(TokenAnswer))),
        **problems(*ERRORS),
        "409": response(_NO_SECRET, problem()),
    }
    return {"/v1/tokens": post_of("/v1/tokens", "tokens", _TOKENS, ref(TokenRequest), tokens), "/v1/audit": {"get": audit}}
