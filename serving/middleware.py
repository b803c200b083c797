"""The front door, outside of everything: who asks, what they sent, and what every error looks like.

It owns what BentoML leaves open: media type, size and compression of a body, strict JSON, problem+json for every error,
also for those that BentoML answers in words of its own.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import nullcontext
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.admission import admitted, hold_back, require
from serving.body import MAX_BODY, is_large, plain_json, read_body
from serving.keys import Credential
from serving.problems import PROBLEM_JSON, RefusedError, first_error, invalid, problem
from serving.runtime import Runtime
from serving.scopes import KEYED_PATHS, OPEN_PATHS, scope_of
from serving.turns import SMALL

TENANT: ContextVar[str] = ContextVar("tenant")
"""The tenant of the request, from its credential."""
CREDENTIAL: ContextVar[Credential] = ContextVar("credential")
"""The credential of the request."""

_LOG = logging.getLogger("nextwise.http")
_UNKNOWN = "unknown"
_XAPI = re.compile(r"/+xapi/+(statements|about)/*")


class FrontDoor:
    """`app`: BentoML's application. `pages`: the Starlette application of everything that is no BentoML API.

    `apis`: the routes that BentoML serves and what their bodies must be; all other requests go to `pages` directly.
    `routes`: all paths there are, each with its methods, in the order of routing. Any other is counted as "unknown": a
    metric keeps every label it was ever given.
    `limits`: bytes of a body, on routes that read a large one on their own, as it was sent.
    A wrong body is refused here: BentoML would write a stack trace into the log for each.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        pages: ASGIApp,
        runtime: Callable[[], Runtime],
        apis: Mapping[str, type[BaseModel]],
        routes: Mapping[str, Set[str]],
        limits: Mapping[str, int],
    ) -> None:
        self._app, self._pages, self._runtime = app, pages, runtime
        self._apis, self._limits = apis, limits
        self._exact = {route: methods for route, methods in routes.items() if "{" not in route}
        self._patterns = [(_plain(route), compile_path(route)[0], methods) for route, methods in routes.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = _without_spare_slashes(scope)
        began, answer = perf_counter(), _Answer(send)
        try:
            await self._answer(scope, receive, answer)
        except RefusedError as refused:
            await self._refuse(refused, scope, receive, answer)
        except Exception:
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            await self._refuse(RefusedError(500, "an unexpected error; the server's log has it"), scope, receive, answer)
        metrics = self._runtime().metrics
        route = self._label(scope["method"], scope["path"])
        metrics.requests.labels(route, str(answer.status)).inc()
        metrics.latency.labels(route).observe(perf_counter() - began)

    def _label(self, method: str, path: str) -> str:
        """The route that a request comes to: the first that takes its method, else the first of its path."""
        if method in self._exact.get(path, ()):
            return path
        found = [(route, methods) for route, pattern, methods in self._patterns if pattern.match(path)]
        return next((route for route, methods in found if method in methods), found[0][0] if found else _UNKNOWN)

    def _allowed(self, path: str) -> Set[str]:
        """The methods that the routes of a path take."""
        return {method for _, pattern, methods in self._patterns if pattern.match(path) for method in methods}

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if not scope["path"].startswith(KEYED_PATHS) or scope["path"] in OPEN_PATHS:
            await self._pages(scope, receive, answer.send)
            return
        headers = Headers(scope=scope)
        credential = await self._admitted(headers.get("authorization"), scope["method"], scope["path"])
        TENANT.set(credential.tenant)
        CREDENTIAL.set(credential)
        expected = self._apis.get(scope["path"])
        body, turns = b"", self._runtime().turns
        if scope["method"] in ("POST", "PUT"):
            body = await read_body(headers, receive, self._limits.get(scope["path"], MAX_BODY))
            if scope["path"] not in self._limits:
                body = await self._json(headers, body)
                scope = {**scope, "headers": _plain_headers(scope["headers"], len(body))}
            if expected is not None:
                _validate(expected, body)
            receive = _replay(body, receive)
        with turns.first() if len(body) <= SMALL else nullcontext():
            await (self._pages if expected is None else self._app)(scope, receive, answer.send)
        await answer.finish()

    async def _json(self, headers: Headers, body: bytes) -> bytes:
        """The body, decompressed and known to be strict JSON; a large one is read beside the event loop."""
        if not is_large(headers, body):
            return plain_json(headers, body)
        return await self._runtime().apart(lambda: plain_json(headers, body))

    async def _admitted(self, authorization: str | None, method: str, path: str) -> Credential:
        runtime, route = self._runtime(), self._label(method, path)
        credential = await admitted(runtime.keys, authorization, runtime.metrics)
        hold_back(credential, runtime.rates, runtime.metrics)
        if route == _UNKNOWN:
            raise RefusedError(404, "there is nothing at this path; /docs lists what there is")
        require(credential, scope_of(method, route), runtime.metrics)
        if method not in (allowed := self._allowed(path)):
            words = f"{method} is not allowed here; use {' or '.join(sorted(allowed - {'HEAD'}))}"
            raise RefusedError(405, words, headers={"Allow": ", ".join(sorted(allowed))})
        return credential

    async def _refuse(self, refused: RefusedError, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if not answer.started:
            await refused.response()(scope, receive, answer.pass_on)


class _Answer:
    """Passes an answer on, except an error in other words than problem+json: that is held back and said again."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: list[bytes] | None = None
        self.started = False
        self.status = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            media = Headers(raw=message["headers"]).get("content-type", "")
            if self.status >= 400 and not media.startswith(PROBLEM_JSON):
                self._held = []
                return
        if self._held is None:
            await self.pass_on(message)
            return
        self._held.append(message.get("body", b""))
        if not message.get("more_body", False):
            await self.finish()

    async def pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
        await self._send(message)

    async def finish(self) -> None:
        """Say a held error as a problem."""
        if self._held is None:
            return
        body, self._held = b"".join(self._held), None
        field, detail = _in_words(self.status, body)
        response = problem(self.status, detail, field=field)
        await self.pass_on({"type": "http.response.start", "status": self.status, "headers": response.raw_headers})
        await self.pass_on({"type": "http.response.body", "body": response.body})


def _without_spare_slashes(scope: Scope) -> Scope:
    """An LMS joins its endpoint and `/statements` as it likes: `/xapi//statements`, `//xapi/statements/`."""
    spare = _XAPI.fullmatch(scope["path"])
    return scope if spare is None else {**scope, "path": f"/xapi/{spare[1]}"}


def _plain(route: str) -> str:
    """A route as people write it: `/v1/learners/{learner_id}/skills`."""
    return route.replace(":path}", "}")


def _validate(expected: type[BaseModel], body: bytes) -> None:
    try:
        expected.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from None


def _in_words(status: int, body: bytes) -> tuple[str | None, str]:
    """(field, detail) of an error that BentoML or Starlette answered."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        return None, body.decode("utf-8", "replace").strip() or "no further detail"
    if isinstance(said, dict) and isinstance(said.get("detail"), list) and said["detail"]:
        return first_error(said["detail"])
    said = said.get("error", said) if isinstance(said, dict) else said
    return None, said if isinstance(said, str) else json.dumps(said)


def _plain_headers(raw: Iterable[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    """The headers of a body that is no longer compressed or chunked."""
    gone = (b"content-encoding", b"content-length", b"transfer-encoding")
    return [*((key, value) for key, value in raw if key not in gone), (b"content-length", str(length).encode())]


def _replay(body: bytes, receive: Receive) -> Receive:
    """The read body as one message; after it whatever really comes (a disconnect)."""
    left = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return again
