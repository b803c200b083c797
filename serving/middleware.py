"""The front door, outside of everything: who asks, what they sent, and what every error looks like.

It owns what BentoML leaves open: media type, size and compression of a body, strict JSON, problem+json for every error,
also for those that BentoML answers in words of its own.
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.account import method_of, tell
from serving.admission import admitted, hold_back, only_theirs, require
from serving.answer import Answer
from serving.body import MAX_BODY, is_large, plain_json, read_body
from serving.keys import Credential
from serving.packing import Packed, accepted
from serving.problems import RefusedError, invalid
from serving.routes import UNKNOWN, Found, Routes
from serving.runtime import Runtime
from serving.scopes import FOR_OPERATORS, FOR_PEOPLE, KEYED_PATHS, OPEN_PATHS, PAGES
from serving.tracing import TRACE
from serving.turns import SMALL

TENANT: ContextVar[str] = ContextVar("tenant")
"""The tenant of the request, from its credential."""
CREDENTIAL: ContextVar[Credential] = ContextVar("credential")
"""The credential of the request."""

MOST_AT_ONCE: Final = 512
"""Requests that one worker has in hand: two seconds of rankings. What comes beyond them would only wait, and take memory."""
_LOG = logging.getLogger("nextwise.http")
TIME_OUT: Final = 504
"""What is answered where nothing was answered in time."""
PATIENCE_S: Final = 9.5
"""Seconds until a request is given up that is not being answered: a little before BentoML gives it up in words of its own."""
_XAPI = re.compile(r"/+xapi/+(statements|about)/*")


class Api(NamedTuple):
    """What a body must be, and what answers it."""

    body: type[BaseModel]
    answer: Callable[[Runtime, Any], Awaitable[Response]]


class FrontDoor:
    """`app`: BentoML's application. `pages`: the Starlette application of everything that is no BentoML API.

    `apis`: the routes that BentoML declares, with what their bodies must be and what answers them; all other requests go to
    `pages`. A body that was read and validated here is answered from here: BentoML would read and validate it once more.
    `routes`: all paths there are, each with its methods, in the order of routing.
    `limits`: bytes of a body, on routes that read a large one on their own, as it was sent.
    A wrong body is refused here: BentoML would write a stack trace into the log for each.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        pages: ASGIApp,
        runtime: Callable[[], Runtime],
        apis: Mapping[str, Api],
        routes: Mapping[str, Set[str]],
        limits: Mapping[str, int],
    ) -> None:
        self._app, self._pages, self._runtime = app, pages, runtime
        self._apis, self._limits, self._routes = apis, limits, Routes(routes)
        self._in_hand = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = _without_spare_slashes(scope)
        began, headers = perf_counter(), Headers(scope=scope)
        found = self._routes.find(scope["method"], scope["path"])
        origins = self._runtime().origins.headers(found.route, headers.get("origin"))
        passed = Packed(send).send if accepted(headers) else send
        answer = Answer(passed, origins, page=found.route in FOR_PEOPLE)
        metrics, method = self._runtime().metrics, method_of(scope["method"])
        trace = self._runtime().tracing.begin(method, found.route, headers.get("traceparent"))
        TRACE.set(trace)
        try:
            with self._in_hand_now(found), metrics.in_progress.track_inprogress():
                await self._in_time(scope, receive, answer, headers, found)
        except RefusedError as refused:
            await self._refuse(refused, scope, receive, answer)
        except asyncio.CancelledError:  # BentoML's time-out, where ours came too late: it answers in our place
            answer.status = answer.status if answer.started else TIME_OUT
            raise
        except Exception:
            _LOG.exception("%s %s failed, trace %s", method, found.route, trace.trace_id)
            await self._refuse(RefusedError(500, "an unexpected error; the server's log has it"), scope, receive, answer)
        finally:
            tell(metrics, trace, method, found.route, answer.status, perf_counter() - began)

    async def _in_time(self, scope: Scope, receive: Receive, answer: Answer, headers: Headers, found: Found) -> None:
        """Answer; what is begun to be sent is sent to its end. RefusedError (504) where that does not begin in time."""
        try:
            async with asyncio.timeout(PATIENCE_S) as patience:
                answer.at_start = lambda: patience.reschedule(None)
                await self._answer(scope, receive, answer, headers, found)
        except TimeoutError:
            if not patience.expired():
                raise
            words = f"there was no answer within {PATIENCE_S:g} s; send the same again"
            raise RefusedError(TIME_OUT, words, headers={"Retry-After": "2"}) from None
        finally:
            answer.at_start = None

    @contextmanager
    def _in_hand_now(self, found: Found) -> Iterator[None]:
        """While a request is worked at. RefusedError (503) where too many are; whoever looks after the service gets in."""
        if found.route in FOR_OPERATORS:
            yield
            return
        if self._in_hand >= MOST_AT_ONCE:
            self._runtime().metrics.refused.labels("at_once").inc()
            raise RefusedError(503, "too many requests at once; come again", headers={"Retry-After": "1"})
        self._in_hand += 1
        try:
            yield
        finally:
            self._in_hand -= 1

    async def _answer(self, scope: Scope, receive: Receive, answer: Answer, headers: Headers, found: Found) -> None:
        if not scope["path"].startswith(KEYED_PATHS) or scope["path"] in OPEN_PATHS:
            await self._pages(scope, receive, answer.send)
            return
        asked = self._runtime().origins.preflight(found.route, scope["method"], headers)
        if asked is not None:
            await asked(scope, receive, answer.pass_on)
            return
        credential = await self._admitted(headers.get("authorization"), scope, found)
        TRACE.get().told.update(tenant=credential.tenant, key=credential.key_id)
        TENANT.set(credential.tenant)
        CREDENTIAL.set(credential)
        api = self._apis.get(scope["path"])
        answering: ASGIApp = self._pages
        body, turns = b"", self._runtime().turns
        if scope["method"] in ("POST", "PUT"):
            body = await read_body(headers, receive, self._limits.get(scope["path"], MAX_BODY))
            if scope["path"] not in self._limits:
                body = await self._json(headers, body)
                scope = {**scope, "headers": _plain_headers(scope["headers"], len(body))}
            if credential.claim is not None and "learner_id" not in found.parameters:  # else the path said whose it is
                only_theirs(credential.claim, _learner_in(body), self._runtime().metrics)
            if api is not None:
                answering = self._answering(api, _validated(api.body, body))
            receive = _replay(body, receive)
        with turns.first() if len(body) <= SMALL else nullcontext():
            await answering(scope, receive, answer.send)
        await answer.finish()

    def _answering(self, api: Api, request: Any) -> ASGIApp:
        async def answering(scope: Scope, receive: Receive, send: Send) -> None:
            response = await api.answer(self._runtime(), request)
            await response(scope, receive, send)

        return answering

    async def _json(self, headers: Headers, body: bytes) -> bytes:
        """The body, decompressed and known to be strict JSON; a large one is read beside the event loop."""
        if not is_large(headers, body):
            return plain_json(headers, body)
        return await self._runtime().apart(lambda: plain_json(headers, body))

    async def _admitted(self, authorization: str | None, scope: Scope, found: Found) -> Credential:
        runtime, method, (sender, _) = self._runtime(), scope["method"], scope.get("client") or ("", 0)
        page = scope["path"].startswith(PAGES)
        credential = await admitted(runtime.keys, authorization, sender, runtime.metrics, page=page)
        hold_back(credential, runtime.rates, runtime.token_rates, runtime.metrics)
        if found.route == UNKNOWN:
            raise RefusedError(404, "there is nothing at this path; /docs lists what there is")
        require(credential, method, found, runtime.metrics)
        if method not in (allowed := self._routes.methods(scope["path"])):
            words = f"{method} is not allowed here; use {' or '.join(sorted(allowed - {'HEAD'}))}"
            raise RefusedError(405, words, headers={"Allow": ", ".join(sorted(allowed))})
        return credential

    async def _refuse(self, refused: RefusedError, scope: Scope, receive: Receive, answer: Answer) -> None:
        if not answer.started:
            await refused.response()(scope, receive, answer.pass_on)


def _without_spare_slashes(scope: Scope) -> Scope:
    """An LMS joins its endpoint and `/statements` as it likes: `/xapi//statements`, `//xapi/statements/`."""
    spare = _XAPI.fullmatch(scope["path"])
    return scope if spare is None else {**scope, "path": f"/xapi/{spare[1]}"}


def _learner_in(body: bytes) -> Any:
    """Whom a body speaks of; None where it says so nowhere."""
    said = json.loads(body)
    return said.get("learner_id") if isinstance(said, dict) else None


def _validated(expected: type[BaseModel], body: bytes) -> BaseModel:
    try:
        return expected.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from None


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
