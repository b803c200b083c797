"""One OpenAPI document of all routes: BentoML's own for its APIs, ours for what is mounted, problem+json for every error."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from features.catalogue import KINDS
from serving.catalogue import MAX_BYTES, NOT_RETIRED, PLURALS
from serving.payloads import (
    MAX_EVENTS,
    AuditAnswer,
    AuditQuery,
    CatalogueAnswer,
    DutiesAnswer,
    DutiesQuery,
    EventIn,
    EventResult,
    EventsAnswer,
    EvidenceIn,
    FeedbackIn,
    GapsAnswer,
    GapsQuery,
    HealthAnswer,
    LearnerExport,
    MergeAnswer,
    MergeIn,
    Problem,
    RankAnswer,
    RankRequest,
    RecommendationsAnswer,
    RecommendationsRequest,
    SkillsAnswer,
    SkillsQuery,
    SyncQuery,
    TokenAnswer,
    TokenRequest,
)
from serving.rows import MAX_ROWS
from serving.scopes import scope_of, token_scope_of
from serving.xapi import HEADER, MAX_STATEMENTS, VERSIONS

Document = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_ID: Final = {"type": "string", "maxLength": 256}
_ERRORS: Final = {
    "400": "What was sent is wrong; `field` names it",
    "401": "No key or token, or one that opens nothing",
    "403": "The key lacks the scope that this route needs, or the token is another learner's",
    "413": "More than 1,000,000 bytes",
    "415": "Not JSON, or a coding other than gzip",
    "429": "Too many requests with this key, or too many wrong keys; come again after `Retry-After` seconds",
    "503": "Not ready; try again after `Retry-After` seconds",
}
_APIS: Final[Mapping[str, tuple[type[BaseModel], type[BaseModel]]]] = {
    "/v1/recommendations": (RecommendationsRequest, RecommendationsAnswer),
    "/v1/rank": (RankRequest, RankAnswer),
}
_LEARNER: Final = {"name": "learner_id", "in": "path", "required": True, "schema": _ID}
_ABOUT: Final = (
    "Decides what a learner should learn next, with reasons. Send `Authorization: Bearer KEY`, or HTTP Basic with the key as "
    "password, with every request under /v1 and /xapi; the key says which organisation it is. Errors are problem details "
    "(RFC 9457)."
)

_SKILLS: Final = (
    "A learner's skills: level, confidence, half-life, and the events that say so. `at` a past moment: as known then."
)
_GAPS: Final = "What a learner's role expects and their events do not show, with the items that close it best."
_DUTIES: Final = "What is assigned to a learner or their audiences, until when it is due, and what of it is done."
_HEALTH: Final = "What came in, what of it was understood, repaired or refused, and which ids the catalogue does not know."
_TOKENS: Final = (
    "A short-lived token for one learner's browser or phone: rankings, skills, gaps and feedback of theirs, and nothing else."
)
_AUDIT: Final = (
    "Who did what to the tenant's keys, catalogue and people: rows that hold pseudonyms, each with the hash of the last."
)
_STATEMENTS: Final = (
    "Store a statement, or all of a batch of up to 1,000 or none. Stored means synced; the learner's next answer knows it."
)
_EXPORT: Final = "All that is stored of a learner: their rows in all versions, events, statements, decisions."
_ERASE: Final = (
    "Erase a learner under every name they have. What happened until then and is sent again is suppressed; what happens later "
    "starts an empty learner."
)
_MERGE: Final = (
    "Say that two ids are one person, whose row is that of `into`: every later answer reads both histories as one. No event is "
    "rewritten, earlier decisions are replayed as they were."
)
_UNMERGE: Final = "Take a merge back: each id has again what was said of it, before and meanwhile."
_UNKNOWN: Final = "Never heard of: neither in the catalogue nor in an event"


def merged(bento: Document) -> Document:
    """The complete document. `bento`: what BentoML says of its own APIs."""
    paths = {path: {"post": _api(path, bento["paths"][path]["post"])} for path in sorted(_APIS)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nextwise", "version": _version(), "description": _ABOUT},
        "paths": {**paths, **_mounted()},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer", "description": "A learner token of `/v1/tokens`"},
            },
        },
    }


def _version() -> str:
    try:
        return version("nextwise")
    except PackageNotFoundError:  # a Bento carries the folders, not the distribution
        return "0"


def _schemas() -> Document:
    """Requests as they are validated, answers as they are serialised."""
    asked = [
        (model, "validation")
        for model in (
            RecommendationsRequest,
            RankRequest,
            EventIn,
            EvidenceIn,
            FeedbackIn,
            TokenRequest,
            MergeIn,
            *KINDS.values(),
        )
    ]
    answers = (
        RecommendationsAnswer,
        RankAnswer,
        EventsAnswer,
        SkillsAnswer,
        GapsAnswer,
        DutiesAnswer,
        HealthAnswer,
        CatalogueAnswer,
        LearnerExport,
        AuditAnswer,
        TokenAnswer,
        MergeAnswer,
        Problem,
    )
    given = [(model, "serialization") for model in answers]
    _, found = models_json_schema([*asked, *given], ref_template=_REF)  # type: ignore[list-item]
    return dict(found["$defs"])


def _api(path: str, said: Document) -> Document:
    request, answer = _APIS[path]
    return {
        "summary": said["description"],
        "operationId": said["x-bentoml-name"],
        "security": _security(path),
        "requestBody": {"required": True, "content": _json(_ref(request))},
        "responses": {"200": _response("The decision, which is recorded", _json(_ref(answer))), **_problems(*_ERRORS)},
    }


def _mounted() -> Document:
    events = {
        "summary": "Record one event, or a batch of up to 1,000. Accepted means synced; the learner's next answer knows it.",
        "operationId": "events",
        "security": _security("/v1/events"),
        "requestBody": {"required": True, "content": _json(_one_or_many(EventIn))},
        "responses": {
            "200": _response("One result per event", _json(_ref(EventsAnswer))),
            **_problems(*_ERRORS),
            "409": _response("An event of this id is stored with other content", _problem()),
        },
    }
    evidence = events | {
        "summary": "Record that a skill was used: one piece of evidence, or up to 1,000, each with a result.",
        "operationId": "evidence",
        "security": _security("/v1/evidence"),
        "requestBody": {"required": True, "content": _json(_one_or_many(EvidenceIn))},
    }
    feedback = {
        "summary": "What a learner says of an item: not relevant, already known, later, saved. The next ranking knows it.",
        "operationId": "feedback",
        "security": _security("/v1/feedback"),
        "requestBody": {"required": True, "content": _json(_ref(FeedbackIn))},
        "responses": {
            "200": _response("What became of it", _json(_ref(EventResult))),
            **_problems(*_ERRORS),
            "409": _response("An event of this id is stored with other content", _problem()),
        },
    }
    ingest = _get("ingest_health", _HEALTH, "application/json")["get"] | {"security": _security("/v1/ingest/health")}
    ingest["responses"] = {
        "200": _response("How it stands", _json(_ref(HealthAnswer))),
        **_problems("401", "403", "429", "503"),
    }
    tokens = {
        "summary": _TOKENS,
        "operationId": "tokens",
        "security": _security("/v1/tokens"),
        "requestBody": {"required": True, "content": _json(_ref(TokenRequest))},
        "responses": {
            "200": _response("The token", _json(_ref(TokenAnswer))),
            **_problems(*_ERRORS),
            "409": _response("This service gives no tokens: it has no secret to sign them with", _problem()),
        },
    }
    audit = _get("audit", _AUDIT, "application/json")["get"] | {"security": _security("/v1/audit", "GET")}
    audit["parameters"] = _parameters(AuditQuery)
    audit["responses"] = {
        "200": _response("A page of rows", _json(_ref(AuditAnswer))),
        **_problems("400", "401", "403", "429", "503"),
    }
    ready = {**_get("readyz", "Ready to answer: a bundle is loaded and the store is writable", "text/plain"), **{}}
    ready["get"]["responses"] |= _problems("503")
    return {
        "/v1/events": {"post": events},
        "/v1/evidence": {"post": evidence},
        "/v1/feedback": {"post": feedback},
        **_catalogue(),
        "/v1/tokens": {"post": tokens},
        "/v1/audit": {"get": audit},
        "/v1/ingest/health": {"get": ingest},
        "/xapi/about": _get("xapi_about", "The versions of xAPI that are spoken", "application/json"),
        "/xapi/statements": _statements(),
        "/v1/learners/{learner_id}/skills": _of_learner("skills", _SKILLS, SkillsQuery, SkillsAnswer),
        "/v1/learners/{learner_id}/gaps": _of_learner("gaps", _GAPS, GapsQuery, GapsAnswer),
        "/v1/learners/{learner_id}/duties": _of_learner("duties", _DUTIES, DutiesQuery, DutiesAnswer),
        "/v1/learners/{learner_id}/export": {"get": _export()},
        "/v1/learners/{learner_id}/merge": {"post": _joined("merge", _MERGE)},
        "/v1/learners/{learner_id}/unmerge": {"post": _joined("unmerge", _UNMERGE)},
        "/livez": _get("livez", "The process is alive", "text/plain"),
        "/readyz": ready,
        "/metrics": _get("metrics", "Prometheus metrics", "text/plain"),
        "/openapi.json": _get("openapi", "This document", "application/json"),
        "/docs": _get("docs", "This document, to read", "text/html"),
    }


def _catalogue() -> Document:
    """The routes of the catalogue's kinds: the same for all, but that learners are not retired by name."""
    paths: Document = {}
    for plural, kind in PLURALS.items():
        row, name = _ref(KINDS[kind]), f"{kind}_id"
        parameters = [{"name": name, "in": "path", "required": True, "schema": _ID}]
        named: Document = {"security": _security(f"/v1/{plural}/{{{name}}}"), "parameters": parameters}
        missing = _response(f"There is no such {kind}", _problem())
        paths[f"/v1/{plural}"] = {
            "put": {
                "security": _security(f"/v1/{plural}"),
                "summary": f"Store {plural}, all or none: new ones, and new versions of those that changed. With "
                f"`snapshot=true` the body is all {plural} there are, in any number; the others are retired.",
                "operationId": f"put_{plural}",
                "parameters": _parameters(SyncQuery),
                "requestBody": {
                    "required": True,
                    "content": _json({"oneOf": [row, {"type": "array", "items": row, "maxItems": MAX_ROWS}]}),
                },
                "responses": {
                    "200": _response("What became of the rows, and which names lead nowhere", _json(_ref(CatalogueAnswer))),
                    **_problems(*_ERRORS),
                    "409": _response(
                        "The snapshot retires too much, an item is granted, a name is another learner's, or a clock went back",
                        _problem(),
                    ),
                    "413": _response(f"More than {MAX_BYTES:,} bytes", _problem()),
                },
            }
        }
        paths[f"/v1/{plural}/{{{name}}}"] = {
            "get": named
            | {
                "summary": f"The {kind} as it stands now.",
                "operationId": f"get_{kind}",
                "responses": {
                    "200": _response(f"The {kind}", _json(row)),
                    **_problems("400", "401", "403", "429", "503"),
                    "404": missing,
                },
            }
        }
        if kind not in NOT_RETIRED:
            paths[f"/v1/{plural}/{{{name}}}"]["delete"] = named | {
                "summary": f"Retire one {kind}: it stands no more, and did until now. A PUT brings it back.",
                "operationId": f"retire_{kind}",
                "responses": {
                    "204": {"description": "It is retired"},
                    **_problems("400", "401", "403", "429", "503"),
                    "404": missing,
                    "409": _response("A clock went back; nothing was changed", _problem()),
                },
            }
    paths["/v1/learners/{learner_id}"]["delete"] = _erase()
    return paths


def _statements() -> Document:
    """The statements resource. A statement is described by its standard (IEEE 9274.1.1), not here."""
    statement: Document = {"type": "object", "required": ["actor", "verb", "object"], "additionalProperties": True}
    ids = {"type": "array", "items": {"type": "string", "format": "uuid"}}
    many = {"oneOf": [statement, {"type": "array", "items": statement, "maxItems": MAX_STATEMENTS}]}
    version = {"name": HEADER, "in": "header", "required": True, "schema": {"type": "string", "enum": list(VERSIONS)}}
    common: Document = {"security": _security("/xapi/statements")}
    taken = _response("A statement of this id is stored with other content; nothing of the request was", _problem())
    missing = _response("There is none", _problem())
    answers = _problems("400", "401", "403", "429", "503")
    return {
        "post": common
        | {
            "summary": _STATEMENTS,
            "operationId": "xapi_statements",
            "parameters": [version],
            "requestBody": {"required": True, "content": _json(many)},
            "responses": {"200": _response("The ids, in order", _json(ids)), **_problems(*_ERRORS), "409": taken},
        },
        "put": common
        | {
            "summary": "Store one statement under the id that the query names; the same again is no news.",
            "operationId": "xapi_statement",
            "parameters": [version, _id_of("statementId", required=True)],
            "requestBody": {"required": True, "content": _json(statement)},
            "responses": {"204": {"description": "It is stored"}, **_problems(*_ERRORS), "409": taken},
        },
        "get": common
        | {
            "summary": "One statement as it is stored, by its id, or by voidedStatementId where it was voided.",
            "operationId": "xapi_stored_statement",
            "parameters": [version, _id_of("statementId"), _id_of("voidedStatementId")],
            "responses": {"200": _response("The statement", _json(statement)), **answers, "404": missing},
        },
    }


def _id_of(name: str, *, required: bool = False) -> Document:
    return {"name": name, "in": "query", "required": required, "schema": {"type": "string", "format": "uuid"}}


def _of_learner(name: str, summary: str, query: type[BaseModel], answer: type[BaseModel]) -> Document:
    operation = {
        "summary": summary,
        "operationId": name,
        "security": _security(f"/v1/learners/{{learner_id}}/{name}", "GET"),
        "parameters": [_LEARNER, *_parameters(query)],
        "responses": {
            "200": _response("The answer, worked out from the events", _json(_ref(answer))),
            **_problems("400", "401", "403", "429", "503"),
            "404": _response(_UNKNOWN, _problem()),
        },
    }
    return {"get": operation}


def _export() -> Document:
    return {
        "summary": _EXPORT,
        "operationId": "export_learner",
        "security": _security("/v1/learners/{learner_id}/export"),
        "parameters": [_LEARNER],
        "responses": {
            "200": _response("The document", _json(_ref(LearnerExport))),
            **_problems("400", "401", "403", "429", "503"),
            "404": _response("Nothing is stored of them", _problem()),
        },
    }


def _joined(name: str, summary: str) -> Document:
    answers = {
        "200": _response("What became of it", _json(_ref(MergeAnswer))),
        **_problems(*_ERRORS),
        "409": _response("It contradicts what stands; `field` and `detail` say what. Nothing was stored", _problem()),
    }
    never = {"404": _response("They were never merged", _problem())} if name == "unmerge" else {}
    return {
        "summary": summary,
        "operationId": f"{name}_learner",
        "security": _security(f"/v1/learners/{{learner_id}}/{name}"),
        "parameters": [_LEARNER],
        "requestBody": {"required": True, "content": _json(_ref(MergeIn))},
        "responses": answers | never,
    }


def _erase() -> Document:
    return {
        "summary": _ERASE,
        "operationId": "erase_learner",
        "security": _security("/v1/learners/{learner_id}", "DELETE"),
        "parameters": [_LEARNER],
        "responses": {
            "204": {"description": "Nothing of them is stored, whether or not something was"},
            **_problems("400", "401", "403", "429", "503"),
        },
    }


def _one_or_many(row: type[BaseModel]) -> Document:
    return {"oneOf": [_ref(row), {"type": "array", "items": _ref(row), "minItems": 1, "maxItems": MAX_EVENTS}]}


def _security(route: str, method: str = "POST") -> list[Document]:
    """Either way to send a key, with the scope that it needs (OpenAPI 3.1 lets a scheme of any kind name one), or a token."""
    scope, of_token = scope_of(method, route), token_scope_of(method, route)
    token = [] if of_token is None else [{"token": [of_token.value]}]
    return [{"key": [scope.value]}, {"basic": [scope.value]}, *token]


def _parameters(query: type[BaseModel]) -> list[Document]:
    """The fields of a query as OpenAPI has them."""
    fields = query.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "description": schema.pop("description", ""), "schema": schema}
        for name, schema in sorted(fields.items())
    ]


def _get(name: str, summary: str, media: str) -> Document:
    schema = {"type": "object"} if media == "application/json" else {"type": "string"}
    answer = _response(summary, {media: {"schema": schema}})
    return {"get": {"summary": summary, "operationId": name, "responses": {"200": answer}}}


def _problems(*statuses: str) -> Document:
    return {status: _response(_ERRORS[status], _problem()) for status in statuses}


def _problem() -> Document:
    return {"application/problem+json": {"schema": _ref(Problem)}}


def _response(description: str, content: Document) -> Document:
    return {"description": description, "content": content}


def _json(schema: Document) -> Document:
    return {"application/json": {"schema": schema}}


def _ref(model: type[BaseModel]) -> Document:
    return {"$ref": _REF.format(model=model.__name__)}
