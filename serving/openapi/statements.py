"""The statements resource of xAPI."""

from typing import Final

from serving.openapi.parts import ERRORS, Document, json_of, problem, problems, response, security
from serving.xapi import HEADER, MAX_STATEMENTS, VERSIONS

_STATEMENTS: Final = (
    "Store a statement, or all of a batch of up to 1,000 or none. Stored means synced; the learner's next answer knows it."
)


def of_statements() -> Document:
    """The statements resource. A statement is described by its standard (IEEE 9274.1.1), not here."""
    statement: Document = {"type": "object", "required": ["actor", "verb", "object"], "additionalProperties": True}
    ids = {"type": "array", "items": {"type": "string", "format": "uuid"}}
    many = {"oneOf": [statement, {"type": "array", "items": statement, "maxItems": MAX_STATEMENTS}]}
    version = {"name": HEADER, "in": "header", "required": True, "schema": {"type": "string", "enum": list(VERSIONS)}}
    common: Document = {"security": security("/xapi/statements")}
    taken = response("A statement of this id is stored with other content; nothing of the request was", problem())
    missing = response("There is none", problem())
    answers = problems("400", "401", "403", "429", "503")
    return {
        "post": common
        | {
            "summary": _STATEMENTS,
            "operationId": "xapi_statements",
            "parameters": [version],
            "requestBody": {"required": True, "content": json_of(many)},
            "responses": {"200": response("The ids, in order", json_of(ids)), **problems(*ERRORS), "409": taken},
        },
        "put": common
        | {
            "summary": "Store one statement under the id that the query names; the same again is no news.",
            "operationId": "xapi_statement",
            "parameters": [version, _id_of("statementId", required=True)],
            "requestBody": {"required": True, "content": json_of(statement)},
            "responses": {"204": {"description": "It is stored"}, **problems(*ERRORS), "409": taken},
        },
        "get": common
        | {
            "summary": "One statement as it is stored, by its id, or by voidedStatementId where it was voided.",
            "operationId": "xapi_stored_statement",
            "parameters": [version, _id_of("statementId"), _id_of("voidedStatementId")],
            "responses": {"200": response("The statement", json_of(statement)), **answers, "404": missing},
        },
    }


def _id_of(name: str, *, required: bool = False) -> Document:
    return {"name": name, "in": "query", "required": required, "schema": {"type": "string", "format": "uuid"}}
