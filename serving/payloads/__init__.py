"""What goes in and out over HTTP, a module a kind: pydantic models with a limit on every size. Unknown fields are refused."""

from serving.payloads.audit import AuditAnswer, AuditEntry, AuditQuery
from serving.payloads.catalogue import CatalogueAnswer, SyncQuery, UnknownName
from serving.payloads.check import CheckAnswer, CheckedItem
from serving.payloads.duties import AssignmentReport, DutiesAnswer, DutiesQuery, LearnerDuty, Reached
from serving.payloads.events import MAX_EVENTS, EventIn, EventResult, EventsAnswer, FeedbackIn
from serving.payloads.evidence import EvidenceIn
from serving.payloads.health import EvidenceCoverage, HealthAnswer, Noted, Unresolved
from serving.payloads.parts import OfLearner, Problem, Query
from serving.payloads.people import LearnerExport, LearnerVersion, MergeAnswer, MergeIn
from serving.payloads.rankings import (
    MAX_CANDIDATES,
    Filters,
    MinimalAnswer,
    MinimalItem,
    MinimalRow,
    RankAnswer,
    RankRequest,
    RecommendationsAnswer,
    RecommendationsRequest,
    Request,
    RowIn,
)
from serving.payloads.skills import MAX_WHY, Gap, GapItem, GapsAnswer, GapsQuery, LearnerSkill, SkillsAnswer, SkillsQuery, Why
from serving.payloads.tokens import TokenAnswer, TokenRequest

__all__ = [
    "MAX_CANDIDATES",
    "MAX_EVENTS",
    "MAX_WHY",
    "AssignmentReport",
    "AuditAnswer",
    "AuditEntry",
    "AuditQuery",
    "CatalogueAnswer",
    "CheckAnswer",
    "CheckedItem",
    "DutiesAnswer",
    "DutiesQuery",
    "EventIn",
    "EventResult",
    "EventsAnswer",
    "EvidenceCoverage",
    "EvidenceIn",
    "FeedbackIn",
    "Filters",
    "Gap",
    "GapItem",
    "GapsAnswer",
    "GapsQuery",
    "HealthAnswer",
    "LearnerDuty",
    "LearnerExport",
    "LearnerSkill",
    "LearnerVersion",
    "MergeAnswer",
    "MergeIn",
    "MinimalAnswer",
    "MinimalItem",
    "MinimalRow",
    "Noted",
    "OfLearner",
    "Problem",
    "Query",
    "RankAnswer",
    "RankRequest",
    "Reached",
    "RecommendationsAnswer",
    "RecommendationsRequest",
    "Request",
    "RowIn",
    "SkillsAnswer",
    "SkillsQuery",
    "SyncQuery",
    "TokenAnswer",
    "TokenRequest",
    "UnknownName",
    "Unresolved",
    "Why",
]
