"""ETags: what a caller has already is not sent again. Rankings have none: each of them is a new decision."""

import hashlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_KEEP: Final = "private, no-cache"
"""Keep it for this caller, and ask each time whether it still holds."""


def tagged(request: Request, body: str, *, same: str | None = None) -> Response:
    """The JSON `body` with its ETag, or 304 where the request has it already.

    `same`: the part of the body that makes two of them alike, where it also says when it was made; the ETag is a weak one then.
    """
    weak, said = ("", body) if same is None else ("W/", same)
    tag = f'{weak}"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": _KEEP}
    if _held(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _held(said: list[str], tag: str) -> bool:
    """Whether one of the ETags is this one; a weak one and a strong one are alike, as RFC 9110 has it for GET."""
    given = {one.strip().removeprefix("W/") for line in said for one in line.split(",")}
    return "*" in given or tag.removeprefix("W/") in given
