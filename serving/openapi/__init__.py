"""One OpenAPI document of all routes: BentoML's own for its APIs, ours for what is mounted, problem+json for every error."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from features.catalogue import KINDS
from features.decisions import Decision
from serving.nudging.payloads import NudgeAnswer, NudgeChoiceIn, NudgeIn, NudgesAnswer
from serving.openapi.access import of_access
from serving.openapi.actions import of_actions
from serving.openapi.check import of_check
from serving.openapi.intake import of_intake
from serving.openapi.learners import DUTIES, GAPS, MERGE, SKILLS, UNMERGE, export, joined, of_learner
from serving.openapi.nudge import of_choices, of_nudge
from serving.openapi.parts import (
    ERRORS,
    REF,
    Document,
    get_of,
    json_of,
    problem,
    problems,
    ref,
    response,
    security,
)
from serving.openapi.progress import of_progress
from serving.openapi.questions import of_questions
from serving.openapi.reports import of_assignment
from serving.openapi.rows import of_rows
from serving.openapi.rules import of_dry_run
from serving.openapi.slates import of_slates
from serving.openapi.statements import of_statements
from serving.payloads import (
    AssignmentReport,
    AuditAnswer,
    CatalogueAnswer,
    CheckAnswer,
    DutiesAnswer,
    DutiesQuery,
    EventIn,
    EventsAnswer,
    EvidenceIn,
    FeedbackIn,
    GapsAnswer,
    GapsQuery,
    HealthAnswer,
    LearnerExport,
    MergeAnswer,
    MergeIn,
    MinimalAnswer,
    Problem,
    RankAnswer,
    RankRequest,
    RecommendationsAnswer,
    RecommendationsRequest,
    SkillsAnswer,
    SkillsQuery,
    TokenAnswer,
    TokenRequest,
)
from serving.progress.payloads import ProgressAnswer
from serving.questions.payloads import ExplainAnswer, ExplainRequest
from serving.rules.payloads import DryRunAnswer, DryRunRequest
from serving.slates.payloads import OfflineAnswer, OfflineMinimalAnswer, ReplayAnswer, ReplayIn

_APIS: Final[Mapping[str, tuple[type[BaseModel], type[BaseModel]]]] = {
    "/v1/recommendations": (RecommendationsRequest, RecommendationsAnswer),
    "/v1/rank": (RankRequest, RankAnswer),
}
_FORMS: Final = (RecommendationsAnswer, MinimalAnswer, OfflineAnswer, OfflineMinimalAnswer)
_ABOUT: Final = (
    "Decides what a learner should learn next, with reasons. Send `Authorization: Bearer KEY`, or HTTP Basic with the key as "
    "password, with every request under /v1, /xapi and /preview; the key says which organisation it is. Errors are problem "
    "details (RFC 9457)."
)


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
            NudgeIn,
            NudgeChoiceIn,
            TokenRequest,
            MergeIn,
            ExplainRequest,
            ReplayIn,
            DryRunRequest,
            *KINDS.values(),
        )
    ]
    answers = (
        RecommendationsAnswer,
        MinimalAnswer,
        RankAnswer,
        EventsAnswer,
        SkillsAnswer,
        GapsAnswer,
        DutiesAnswer,
        ProgressAnswer,
        AssignmentReport,
        HealthAnswer,
        CatalogueAnswer,
        CheckAnswer,
        LearnerExport,
        AuditAnswer,
        NudgeAnswer,
        NudgesAnswer,
        TokenAnswer,
        MergeAnswer,
        Decision,
        ExplainAnswer,
        OfflineAnswer,
        OfflineMinimalAnswer,
        ReplayAnswer,
        DryRunAnswer,
        Problem,
    )
    given = [(model, "serialization") for model in answers]
    _, found = models_json_schema([*asked, *given], ref_template=REF)  # type: ignore[list-item]
    return dict(found["$defs"])


def _api(path: str, said: Document) -> Document:
    request, answer = _APIS[path]
    body = ref(answer) if answer is RankAnswer else {"anyOf": [ref(one) for one in _FORMS]}
    return {
        "summary": said["description"],
        "operationId": said["x-bentoml-name"],
        "security": security(path),
        "requestBody": {"required": True, "content": json_of(ref(request))},
        "responses": {
            "200": response("The decision, which is recorded", json_of(body)),
            **problems(*ERRORS),
            **({} if answer is RankAnswer else {"409": response("An offline slate, and no secret to sign it with", problem())}),
        },
    }


def _mounted() -> Document:
    ready = get_of("readyz", "Ready to answer: a bundle is loaded and the store is writable", "text/plain")
    ready["get"]["responses"] |= problems("503")
    return {
        **of_intake(),
        "/v1/nudge": of_nudge(),
        **of_questions(),
        "/v1/decisions/{decision_id}/check": of_check(),
        **of_rows(),
        **of_slates(),
        "/v1/assignments/{assignment_id}/report": of_assignment(),
        "/v1/rules:dry-run": of_dry_run(),
        **of_access(),
        "/xapi/about": get_of("xapi_about", "The versions of xAPI that are spoken", "application/json"),
        "/xapi/statements": of_statements(),
        "/v1/learners/{learner_id}/skills": of_learner("skills", SKILLS, SkillsQuery, SkillsAnswer),
        "/v1/learners/{learner_id}/gaps": of_learner("gaps", GAPS, GapsQuery, GapsAnswer),
        "/v1/learners/{learner_id}/progress": of_progress(),
        "/v1/learners/{learner_id}/nudges": of_choices(),
        "/v1/learners/{learner_id}/duties": of_learner("duties", DUTIES, DutiesQuery, DutiesAnswer),
        "/v1/learners/{learner_id}/export": {"get": export()},
        "/v1/learners/{learner_id}/merge": joined("merge", MERGE),
        "/v1/learners/{learner_id}/unmerge": joined("unmerge", UNMERGE),
        "/nudges/act": of_actions(),
        "/livez": get_of("livez", "The process is alive", "text/plain"),
        "/readyz": ready,
        "/metrics": get_of("metrics", "Prometheus metrics", "text/plain"),
        "/openapi.json": get_of("openapi", "This document", "application/json"),
        "/docs": get_of("docs", "This document, to read", "text/html"),
    }
