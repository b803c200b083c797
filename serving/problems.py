"""Errors as RFC 9457 problem details: what is wrong, in which field, in words."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from serving.payloads import Problem

PROBLEM_JSON = "application/problem+json"
_NAMED = re.compile(r"([a-z_][a-z0-9_.]*): ")


class RefusedError(Exception):
    """A request that is answered with a problem. `status`: the HTTP status, `field`: what is wrong in the request."""

    def __init__(self, status: int, detail: str, *, field: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field, self.headers = status, detail, field, headers or {}

    def response(self) -> Response:
        """The HTTP answer."""
        return problem(self.status, self.detail, field=self.field, headers=self.headers)


def later(error: Exception, also: str = "") -> RefusedError:
    """The 503 for a store that does not answer, in its words: the same request may be sent again."""
    return RefusedError(503, f"{error}{also}", headers={"Retry-After": "2"})


def problem(status: int, detail: str, *, field: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """A problem+json response."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, field=field)
    return Response(body.model_dump_json(exclude_none=True), status, dict(headers or {}), PROBLEM_JSON)


def invalid(error: ValidationError) -> RefusedError:
    """The 400 of a body that does not validate; names the first wrong field and counts the others."""
    field, detail = first_error(error.errors(include_url=False, include_context=False, include_input=False))
    return RefusedError(400, detail, field=field or "body")


def first_error(errors: list[Any]) -> tuple[str | None, str]:
    """(field, words) of pydantic's error list; a field inside a list reads `candidates.3`.

    What is wrong with a body as a whole begins its words with the field to change: `until: only later has one`.
    """
    field = ".".join(str(part) for part in errors[0].get("loc", ())) or None
    no_object = errors[0].get("type") == "model_type"  # whose words would name a class of ours
    detail = "Input should be an object" if no_object else errors[0].get("msg", "invalid").removeprefix("Value error, ")
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    named = None if field else _NAMED.match(detail)
    return (named[1], f"{detail}{more}") if named else (field, f"{field or 'body'}: {detail}{more}")
