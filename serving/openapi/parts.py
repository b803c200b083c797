"""What the descriptions of routes are made of: references, answers, problems, who may ask."""

from typing import Any, Final

from pydantic import BaseModel

from serving.payloads import Problem
from serving.scopes import scope_of, token_scope_of

Document = dict[str, Any]

REF: Final = "#/components/schemas/{model}"
ID: Final = {"type": "string", "maxLength": 256}
ERRORS: Final = {
    "400": "What was sent is wrong; `field` names it",
    "401": "No key or token, or one that opens nothing",
    "403": "The key lacks the scope that this route needs, or the token is another learner's",
    "413": "More than 1,000,000 bytes",
    "415": "Not JSON, or a coding other than gzip",
    "429": "Too many requests with this key, or too many wrong keys; come again after `Retry-After` seconds",
    "503": "Not ready; try again after `Retry-After` seconds",
}
LEARNER: Final = {"name": "learner_id", "in": "path", "required": True, "schema": ID}


def security(route: str, method: str = "POST") -> list[Document]:
    """Either way to send a key, with the scope that it needs (OpenAPI 3.1 lets a scheme of any kind name one), or a token."""
    scope, of_token = scope_of(method, route), token_scope_of(method, route)
    token = [] if of_token is None else [{"token": [of_token.value]}]
    return [{"key": [scope.value]}, {"basic": [scope.value]}, *token]


def parameters_of(query: type[BaseModel]) -> list[Document]:
    """The fields of a query as OpenAPI has them."""
    fields = query.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "description": schema.pop("description", ""), "schema": schema}
        for name, schema in sorted(fields.items())
    ]


def get_of(name: str, summary: str, media: str) -> Document:
    schema = {"type": "object"} if media == "application/json" else {"type": "string"}
    answer = response(summary, {media: {"schema": schema}})
    return {"get": {"summary": summary, "operationId": name, "responses": {"200": answer}}}


def post_of(route: str, name: str, summary: str, body: Document, responses: Document, **more: Any) -> Document:
    """A route that takes JSON. `more`: what else is said of it, such as its parameters."""
    said = {"summary": summary, "operationId": name, "security": security(route), **more}
    return {"post": {**said, "requestBody": {"required": True, "content": json_of(body)}, "responses": responses}}


def problems(*statuses: str) -> Document:
    return {status: response(ERRORS[status], problem()) for status in statuses}


def problem() -> Document:
    return {"application/problem+json": {"schema": ref(Problem)}}


def response(description: str, content: Document) -> Document:
    return {"description": description, "content": content}


def json_of(schema: Document) -> Document:
    return {"application/json": {"schema": schema}}


def ref(model: type[BaseModel]) -> Document:
    return {"$ref": REF.format(model=model.__name__)}
