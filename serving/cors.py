"""Pages of other origins: which may call the routes that a learner token opens, and how a browser is told (CORS).

Starlette's own middleware answers for every route and in plain text; here only the routes of tokens take part, and a refusal is
a problem like any other. Credentials of the browser (cookies) are never allowed: a token is sent by the page.
"""

from collections.abc import Set
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

from serving.answer import RawHeaders
from serving.problems import RefusedError
from serving.scopes import token_methods

_MAX_AGE_S: Final = 600


class Origins:
    """The origins that may call, exact: scheme, host and port."""

    def __init__(self, allowed: Set[str]) -> None:
        self._allowed = allowed

    def headers(self, path_route: str, origin: str | None) -> RawHeaders:
        """What is added to an answer of a route."""
        if not self._allowed or not token_methods(path_route):
            return []
        vary = [(b"vary", b"Origin")]
        if origin is None or origin not in self._allowed:
            return vary
        return [
            *vary,
            (b"access-control-allow-origin", origin.encode()),
            (b"access-control-expose-headers", b"ETag, Retry-After"),
        ]

    def preflight(self, route: str, method: str, headers: Headers) -> Response | None:
        """The answer to a browser that asks before it calls; None where it does not, or nobody may. It carries no key.

        Raises RefusedError: 403 for an origin that is not allowed.
        """
        asked, origin = headers.get("access-control-request-method"), headers.get("origin")
        methods = token_methods(route)
        if method != "OPTIONS" or asked is None or origin is None or not methods or not self._allowed:
            return None
        if origin not in self._allowed:
            raise RefusedError(
                403, "pages of this origin may not call; NEXTWISE_CORS_ORIGINS lists those that may", field="origin"
            )
        said = {
            "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
            "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match",
            "Access-Control-Max-Age": str(_MAX_AGE_S),
        }
        return Response(status_code=204, headers=said)
