"""The HTTP side of everything: the two ranking answers, and the Starlette application of all other routes."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from features.decisions import Decision
from serving import (
    assignment_report,
    catalogue,
    duties,
    health,
    logs,
    merges,
    metrics,
    openapi,
    reference,
    rights,
    skills,
    tokens,
    xapi,
)
from serving.audit import audit
from serving.cards.acts import act
from serving.check import check
from serving.etags import tagged
from serving.evidence import evidence
from serving.feedback import feedback
from serving.ingest import ingest
from serving.middleware import CREDENTIAL, TENANT, Api, FrontDoor
from serving.nudging.answer import nudge
from serving.nudging.choices import choose, nudges
from serving.payloads import MinimalAnswer, RankAnswer, RankRequest, RecommendationsAnswer, RecommendationsRequest
from serving.problems import RefusedError
from serving.progress.answer import progress
from serving.questions import asked as questions
from serving.rules.dry_run import dry_run
from serving.runtime import NotReadyError, Runtime, StoreDownError
from serving.settings import Settings
from serving.slates.offer import again, offered, require_secret
from serving.slates.replay import replay

Document = dict[str, Any]


async def recommend(runtime: Runtime, request: RecommendationsRequest) -> Response:
    """The answer of `/v1/recommendations`."""
    return await _answer(runtime, request, _form(runtime, request))


def _form(runtime: Runtime, request: RecommendationsRequest) -> Callable[[Decision], BaseModel]:
    """How the answer is made of the decision."""
    if request.offline:
        return lambda decision: offered(runtime.signer, decision)
    return MinimalAnswer.of if request.form == "minimal" else RecommendationsAnswer.of


async def rank(runtime: Runtime, request: RankRequest) -> Response:
    """The answer of `/v1/rank`."""
    return await _answer(runtime, request, RankAnswer.of)


APIS: Mapping[str, Api] = {
    "/v1/recommendations": Api(RecommendationsRequest, recommend),
    "/v1/rank": Api(RankRequest, rank),
}
"""The routes that are BentoML APIs, with what their bodies must be and what answers them."""


async def _answer(
    runtime: Runtime, request: RecommendationsRequest | RankRequest, answer: Callable[[Decision], BaseModel]
) -> Response:
    """The part of the decision that a host sees, or a problem; serialised once, with all that its form has of its own."""
    try:
        if isinstance(request, RecommendationsRequest) and request.offline:
            require_secret(runtime)
        return _json(answer(await runtime.decide(TENANT.get(), request)))
    except RefusedError as refused:
        return refused.response()
    except (NotReadyError, StoreDownError) as error:
        return RefusedError(503, str(error), headers={"Retry-After": "5"}).response()


class Pages:
    """The mounted application. Its lifespan is the runtime's: BentoML enters it when a worker starts."""

    def __init__(self, settings: Settings) -> None:
        self.runtime = Runtime(settings)
        self.api_document: Callable[[], Document] = lambda: {"paths": {}}
        self._document: Document | None = None
        self.app = Starlette(
            routes=[
                Route("/", self._index, methods=["GET"], include_in_schema=False),
                Route("/v1/events", self._events, methods=["POST"]),
                Route("/v1/evidence", self._evidence, methods=["POST"]),
                Route("/v1/feedback", self._feedback, methods=["POST"]),
                Route("/v1/nudge", self._nudge, methods=["POST"]),
                Route("/v1/decisions/{decision_id:path}/check", self._check, methods=["GET"]),
                Route("/v1/decisions/{decision_id:path}", self._decision, methods=["GET"]),
                Route("/v1/slates/replay", self._replay, methods=["POST"]),
                Route("/v1/slates/{decision_id:path}", self._slate, methods=["GET"]),
                Route("/v1/explain", self._explain, methods=["POST"]),
                Route("/preview/{learner_id:path}", self._preview, methods=["GET"]),
                Route("/v1/learners/{learner_id:path}/skills", self._skills, methods=["GET"]),
                Route("/v1/learners/{learner_id:path}/gaps", self._gaps, methods=["GET"]),
                Route("/v1/learners/{learner_id:path}/progress", self._progress, methods=["GET"]),
                Route("/v1/learners/{learner_id:path}/nudges", self._nudges, methods=["GET"]),
                Route("/v1/learners/{learner_id:path}/nudges", self._choose, methods=["PUT"]),
                Route("/v1/learners/{learner_id:path}/duties", self._duties, methods=["GET"]),
                Route("/v1/learners/{learner_id:path}/export", self._export, methods=["GET"]),
                Route("/v1/learners/{learner_id:path}/merge", self._merge, methods=["POST"]),
                Route("/v1/learners/{learner_id:path}/unmerge", self._unmerge, methods=["POST"]),
                Route("/v1/learners/{learner_id:path}", self._erase, methods=["DELETE"]),
                Route("/v1/assignments/{assignment_id:path}/report", self._reached, methods=["GET"]),
                Route("/v1/rules:dry-run", self._dry_run, methods=["POST"]),
                *catalogue.routes(lambda: self.runtime),
                Route("/v1/tokens", self._tokens, methods=["POST"]),
                Route("/v1/audit", self._audit, methods=["GET"]),
                Route("/v1/ingest/health", self._health, methods=["GET"]),
                Route("/xapi/about", self._about, methods=["GET"]),
                Route("/xapi/statements", self._get_statement, methods=["GET"]),
                Route("/xapi/statements", self._post_statements, methods=["POST"]),
                Route("/xapi/statements", self._put_statement, methods=["PUT"]),
                Route("/nudges/act", self._act, methods=["GET", "POST"]),
                Route("/livez", self._livez, methods=["GET"]),
                Route("/readyz", self._readyz, methods=["GET"]),
                Route("/metrics", self._metrics, methods=["GET"]),
                Route("/openapi.json", self._openapi, methods=["GET"]),
                Route("/docs", self._docs, methods=["GET"]),
            ],
            exception_handlers={RefusedError: _refused},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        logs.set_up(self.runtime.settings.log)
        await self.runtime.start()
        try:
            yield
        finally:
            await self.runtime.stop()

    @property
    def document(self) -> Document:
        """BentoML's OpenAPI document and ours as one."""
        if self._document is None:
            self._document = openapi.merged(self.api_document())
        return self._document

    async def _index(self, request: Request) -> Response:
        return RedirectResponse("/docs")

    async def _events(self, request: Request) -> Response:
        answer = await ingest(self.runtime, TENANT.get(), await request.json())
        return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")

    async def _evidence(self, request: Request) -> Response:
        answer = await evidence(self.runtime, TENANT.get(), await request.json())
        return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")

    async def _feedback(self, request: Request) -> Response:
        return _json(await feedback(self.runtime, CREDENTIAL.get(), await request.json()))

    async def _nudge(self, request: Request) -> Response:
        return _json(await nudge(self.runtime, TENANT.get(), await request.json()))

    async def _decision(self, request: Request) -> Response:
        found = await questions.decision(self.runtime, CREDENTIAL.get(), request.path_params["decision_id"])
        return tagged(request, found.model_dump_json())

    async def _replay(self, request: Request) -> Response:
        key = request.headers.get("idempotency-key")
        answer = await replay(self.runtime, TENANT.get(), await request.json(), key)
        return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")

    async def _slate(self, request: Request) -> Response:
        found = await again(self.runtime, CREDENTIAL.get(), request.path_params["decision_id"])
        return tagged(request, found.model_dump_json())

    async def _check(self, request: Request) -> Response:
        return _json(await check(self.runtime, CREDENTIAL.get(), request.path_params["decision_id"]))

    async def _explain(self, request: Request) -> Response:
        return _json(await questions.explain(self.runtime, CREDENTIAL.get(), await request.json()))

    async def _preview(self, request: Request) -> Response:
        learner_id = request.path_params["learner_id"]
        text = await questions.preview(self.runtime, CREDENTIAL.get(), learner_id, _asked(request))
        return HTMLResponse(text, headers=questions.HEADERS)

    async def _skills(self, request: Request) -> Response:
        found = await skills.skills(self.runtime, TENANT.get(), request.path_params["learner_id"], _asked(request))
        return _of_moment(request, found)

    async def _gaps(self, request: Request) -> Response:
        found = await skills.gaps(self.runtime, TENANT.get(), request.path_params["learner_id"], _asked(request))
        return _of_moment(request, found)

    async def _progress(self, request: Request) -> Response:
        return _json(await progress(self.runtime, TENANT.get(), request.path_params["learner_id"], _asked(request)))

    async def _nudges(self, request: Request) -> Response:
        return _json(await nudges(self.runtime, TENANT.get(), request.path_params["learner_id"]))

    async def _choose(self, request: Request) -> Response:
        asks, learner_id = CREDENTIAL.get(), request.path_params["learner_id"]
        return _json(await choose(self.runtime, asks.tenant, asks.key_id, learner_id, await request.json()))

    async def _duties(self, request: Request) -> Response:
        found = await duties.duties(self.runtime, TENANT.get(), request.path_params["learner_id"], _asked(request))
        return _until_changed(request, found)

    async def _reached(self, request: Request) -> Response:
        found = await assignment_report.report(self.runtime, TENANT.get(), request.path_params["assignment_id"])
        return _until_changed(request, found)

    async def _dry_run(self, request: Request) -> Response:
        return _json(await dry_run(self.runtime, TENANT.get(), await request.json()))

    async def _export(self, request: Request) -> Response:
        return JSONResponse(await rights.export(self.runtime, CREDENTIAL.get(), request.path_params["learner_id"]))

    async def _merge(self, request: Request) -> Response:
        return await self._joined(request, joined=True)

    async def _unmerge(self, request: Request) -> Response:
        return await self._joined(request, joined=False)

    async def _joined(self, request: Request, *, joined: bool) -> Response:
        learner_id, body = request.path_params["learner_id"], await request.json()
        return _json(await merges.merge(self.runtime, CREDENTIAL.get(), learner_id, body, joined=joined))

    async def _erase(self, request: Request) -> Response:
        await rights.erase(self.runtime, CREDENTIAL.get(), request.path_params["learner_id"])
        return Response(status_code=204)

    async def _tokens(self, request: Request) -> Response:
        return _json(await tokens.give(self.runtime, CREDENTIAL.get(), await request.json()), {"Cache-Control": "no-store"})

    async def _audit(self, request: Request) -> Response:
        return _json(await audit(self.runtime, TENANT.get(), _asked(request)))

    async def _health(self, request: Request) -> Response:
        return _json(await health.health(self.runtime, TENANT.get()))

    async def _about(self, request: Request) -> Response:
        return xapi.about()

    async def _get_statement(self, request: Request) -> Response:
        return await xapi.get(self.runtime, _sender(), request.headers, _asked(request))

    async def _post_statements(self, request: Request) -> Response:
        return await xapi.post(self.runtime, _sender(), request.headers, await request.json())

    async def _put_statement(self, request: Request) -> Response:
        return await xapi.put(self.runtime, _sender(), request.headers, _asked(request), await request.json())

    async def _act(self, request: Request) -> Response:
        return await act(self.runtime, request)

    async def _livez(self, request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _readyz(self, request: Request) -> Response:
        missing = await self.runtime.missing()
        if missing:
            raise RefusedError(503, "; ".join(missing), headers={"Retry-After": "5"})
        return PlainTextResponse("ready\n")

    async def _metrics(self, request: Request) -> Response:
        return Response(self.runtime.metrics.render(), media_type=metrics.CONTENT_TYPE)

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(self.document)

    async def _docs(self, request: Request) -> Response:
        return HTMLResponse(reference.page(self.document))


def attach(service: Any, pages: Pages) -> None:
    """Mount the pages on a BentoML service and put the front door before both."""
    service.mount_asgi_app(pages.app, path="/", name="pages")
    routes = {path: {"POST"} for path in APIS}
    for route in pages.app.routes:
        if isinstance(route, Route):
            routes.setdefault(route.path, set()).update(route.methods or ())
    service.add_asgi_middleware(
        FrontDoor,
        pages=pages.app,
        runtime=lambda: pages.runtime,
        apis=APIS,
        routes=routes,
        limits=catalogue.LIMITS,
    )
    pages.api_document = lambda: service.openapi_spec.asdict()


def _json(answer: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    return Response(answer.model_dump_json(), headers=headers, media_type="application/json")


def _of_moment(request: Request, answer: BaseModel) -> Response:
    """Of a moment in the past it has an ETag; what skills are now, they are no longer a second later, for they fade."""
    return tagged(request, answer.model_dump_json()) if "at" in request.query_params else _json(answer)


def _until_changed(request: Request, answer: BaseModel) -> Response:
    """With an ETag that holds while the answer says the same but for its moment."""
    return tagged(request, answer.model_dump_json(), same=answer.model_dump_json(exclude={"at"}))


def _sender() -> xapi.Sender:
    credential = CREDENTIAL.get()
    return xapi.Sender(credential.tenant, credential.key_id, compat=credential.compat)


def _asked(request: Request) -> dict[str, list[str]]:
    return {name: request.query_params.getlist(name) for name in request.query_params}


async def _refused(request: Request, error: Exception) -> Response:
    return cast(RefusedError, error).response()
