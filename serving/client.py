"""A typed client for hosts in Python: one method a call, answers as the models of `serving.payloads`.

    with Client("https://nextwise.example", key) as nextwise:
        nextwise.record([EventIn(event_id="1", learner_id="ana", verb=Verb.COMPLETED, object_id="excel", occurred_at=now)])
        answer = nextwise.recommendations(RecommendationsRequest(learner_id="ana", limit=5))

Every call is safe to send again, so one that meets a service that is not ready, or a connection that breaks, is sent again:
what has an id of its own (an event, a statement, a feedback) is never stored twice.
"""

import gzip
import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from features.catalogue import CatalogueRow, Learner
from features.decisions import Decision
from serving.nudging.payloads import NudgeAnswer, NudgeChoiceIn, NudgeIn, NudgesAnswer
from serving.payloads import (
    MAX_EVENTS,
    AssignmentReport,
    CatalogueAnswer,
    CheckAnswer,
    DutiesAnswer,
    DutiesQuery,
    EventIn,
    EventResult,
    EventsAnswer,
    EvidenceIn,
    FeedbackIn,
    GapsAnswer,
    GapsQuery,
    HealthAnswer,
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
    SyncQuery,
    TokenAnswer,
    TokenRequest,
)
from serving.progress.payloads import ProgressAnswer, ProgressQuery
from serving.questions.payloads import ExplainAnswer, ExplainRequest
from serving.rules.payloads import DryRunAnswer, DryRunRequest
from serving.slates.payloads import OfflineAnswer, ReplayAnswer, ReplayIn

VERSION_HEADER: Final = "X-Experience-API-Version"
_PACKED_FROM: Final = 4_096
_LONGEST_WAIT_S: Final = 30.0
_AGAIN: Final = frozenset({429, 502, 503, 504})
A = TypeVar("A", bound=BaseModel)


class ProblemError(Exception):
    """The service refused. `problem.status`, `problem.detail`, and `problem.field` where one field is wrong."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status}: {problem.detail}")
        self.problem = problem


class Kept(NamedTuple):
    """An offline slate as it is kept, and the ETag to ask with again."""

    answer: OfflineAnswer
    etag: str | None = None


class Client:
    """One connection pool to one service with one key. Thread-safe, as `httpx.Client` is.

    `timeout_s`: seconds for one attempt. `attempts`: how often a call is tried in all. `http`: a client of your own, for
    proxies, certificates or tests; its `base_url` is used then.
    """

    def __init__(
        self, url: str, key: str, *, timeout_s: float = 10.0, attempts: int = 4, http: httpx.Client | None = None
    ) -> None:
        if attempts < 1:
            raise ValueError("attempts: at least one")
        self._http = http or httpx.Client(base_url=url.rstrip("/"), timeout=timeout_s)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._attempts = attempts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def recommendations(self, request: RecommendationsRequest) -> RecommendationsAnswer:
        """What to learn next, chosen from the whole catalogue. Errors of this and all calls: ProblemError; httpx.TransportError
        where no connection is to be had."""
        return self._ask("POST", "/v1/recommendations", RecommendationsAnswer, _body(request))

    def minimal(self, request: RecommendationsRequest) -> MinimalAnswer:
        """The same with ids, titles and positions only, for low bandwidth."""
        return self._ask("POST", "/v1/recommendations", MinimalAnswer, _body(request.model_copy(update={"form": "minimal"})))

    def offline(self, request: RecommendationsRequest) -> Kept:
        """The same, signed to be shown without the service until `answer.offline.expires_at`."""
        asked = request.model_copy(update={"offline": True, "form": "full"})
        return Kept(self._ask("POST", "/v1/recommendations", OfflineAnswer, _body(asked)))

    def slate(self, kept: Kept) -> Kept:
        """The slate again, without a new decision; `kept` itself where that is still it. ProblemError 410 after its end."""
        held = {} if kept.etag is None else {"If-None-Match": kept.etag}
        found = self._send("GET", f"/v1/slates/{quote(kept.answer.decision_id, safe='')}", headers=held)
        if found.status_code == 304:
            return kept
        return Kept(OfflineAnswer.model_validate_json(found.content), found.headers.get("etag"))

    def replay(self, done: ReplayIn, *, key: str | None = None) -> ReplayAnswer:
        """Store what was done with a slate; ProblemError 403 where it was not given to this tenant and learner.

        `key`: names the rows that have no `event_id`; the same rows with the same key are stored once.
        """
        headers = {} if key is None else {"Idempotency-Key": key}
        found = self._send("POST", "/v1/slates/replay", _body(done), headers=headers)
        return ReplayAnswer.model_validate_json(found.content)

    def rank(self, request: RankRequest) -> RankAnswer:
        """Your own candidates in order, and the rule that removed each of the others."""
        return self._ask("POST", "/v1/rank", RankAnswer, _body(request))

    def explain(self, request: ExplainRequest) -> ExplainAnswer:
        """Why these items, or why not: of a decision, or of what would be shown now."""
        return self._ask("POST", "/v1/explain", ExplainAnswer, _body(request))

    def decision(self, decision_id: str) -> Decision:
        """A recorded decision. ProblemError 404 where there is none."""
        return self._ask("GET", f"/v1/decisions/{quote(decision_id, safe='')}", Decision)

    def check(self, decision_id: str) -> CheckAnswer:
        """Whether a nudge may still be sent, and which items of a ranking shown: right before. ProblemError 404 where there is
        none, 503 while nobody can tell: then neither send nor show it."""
        return self._ask("GET", f"/v1/decisions/{quote(decision_id, safe='')}/check", CheckAnswer)

    def record(self, events: Iterable[EventIn]) -> EventsAnswer:
        """Store events, a thousand a call; one result each, in order. A wrong one does not keep the others out."""
        return self._rows("/v1/events", events)

    def evidence(self, given: Iterable[EvidenceIn]) -> EventsAnswer:
        """Store that skills were used at work, as `record` stores events."""
        return self._rows("/v1/evidence", given)

    def feedback(self, given: FeedbackIn) -> EventResult:
        """What a learner says of an item."""
        given = given if given.event_id is not None else given.model_copy(update={"event_id": str(uuid.uuid4())})
        return self._ask("POST", "/v1/feedback", EventResult, _body(given))

    def nudge(self, wanted: NudgeIn) -> NudgeAnswer:
        """Whether to say something to a learner now, and what. Sent again after a broken connection it may count twice in
        their budget, and never more than the budget is said."""
        return self._ask("POST", "/v1/nudge", NudgeAnswer, _body(wanted))

    def nudges(self, learner_id: str) -> NudgesAnswer:
        """Whether a learner wants nudges."""
        return self._ask("GET", f"/v1/learners/{quote(learner_id, safe='')}/nudges", NudgesAnswer)

    def choose_nudges(self, learner_id: str, given: NudgeChoiceIn) -> NudgesAnswer:
        """Store that a learner snoozes, stops or resumes nudges; what holds then. Sent again it changes nothing."""
        return self._ask("PUT", f"/v1/learners/{quote(learner_id, safe='')}/nudges", NudgesAnswer, _body(given))

    def token(self, wanted: TokenRequest) -> TokenAnswer:
        """A token for one learner's browser or phone; give it to their page only."""
        return self._ask("POST", "/v1/tokens", TokenAnswer, _body(wanted))

    def put(self, kind: type[CatalogueRow], rows: Sequence[CatalogueRow]) -> CatalogueAnswer:
        """Store catalogue rows of one kind, at most a thousand, all or none: `put(Item, items)`."""
        return self._ask("PUT", _path(kind), CatalogueAnswer, [_body(row) for row in rows])

    def sync(self, kind: type[CatalogueRow], rows: Iterable[CatalogueRow], query: SyncQuery | None = None) -> CatalogueAnswer:
        """Make these rows all there are of a kind; the others are retired. ProblemError 409 where that would be too many."""
        asked = (query or SyncQuery()).model_copy(update={"snapshot": True})
        return self._ask("PUT", _path(kind), CatalogueAnswer, [_body(row) for row in rows], query=asked)

    def retire(self, kind: type[CatalogueRow], row_id: str) -> None:
        """End one row. ProblemError 404 where there is none; ValueError for a learner: who leaves is put with the status
        `ended`, and what erases a person is called `erase`."""
        if kind is Learner:
            raise ValueError("a learner is not retired: put them with the status `ended`, or erase them")
        self._send("DELETE", f"{_path(kind)}/{quote(row_id, safe='')}")

    def statements(self, statements: Sequence[Mapping[str, Any]], *, version: str = "1.0.3") -> list[str]:
        """Store xAPI statements, all or none; their ids, which those without one are given here."""
        named = [{"id": str(uuid.uuid4()), **statement} for statement in statements]
        ids: list[str] = self._send("POST", "/xapi/statements", named, headers={VERSION_HEADER: version}).json()
        return ids

    def skills(self, learner_id: str, query: SkillsQuery | None = None) -> SkillsAnswer:
        """A learner's skills and the events behind them."""
        return self._ask("GET", f"/v1/learners/{quote(learner_id, safe='')}/skills", SkillsAnswer, query=query)

    def gaps(self, learner_id: str, query: GapsQuery | None = None) -> GapsAnswer:
        """What a learner's role expects beyond their skills, and what closes it."""
        return self._ask("GET", f"/v1/learners/{quote(learner_id, safe='')}/gaps", GapsAnswer, query=query)

    def progress(self, learner_id: str, query: ProgressQuery | None = None) -> ProgressAnswer:
        """A learner's points, streak and quests, each with the events behind it."""
        return self._ask("GET", f"/v1/learners/{quote(learner_id, safe='')}/progress", ProgressAnswer, query=query)

    def duties(self, learner_id: str, query: DutiesQuery | None = None) -> DutiesAnswer:
        """What a learner has to do, and until when."""
        return self._ask("GET", f"/v1/learners/{quote(learner_id, safe='')}/duties", DutiesAnswer, query=query)

    def assignment_report(self, assignment_id: str) -> AssignmentReport:
        """Whom an assignment reached. ProblemError 404 where it does not stand."""
        return self._ask("GET", f"/v1/assignments/{quote(assignment_id, safe='')}/report", AssignmentReport)

    def dry_run(self, given: DryRunRequest) -> DryRunAnswer:
        """What rules would have changed in a sample of the newest rankings. ProblemError 429 while another one is under way."""
        return self._ask("POST", "/v1/rules:dry-run", DryRunAnswer, _body(given))

    def merge(self, learner_id: str, given: MergeIn) -> MergeAnswer:
        """Say that two ids are one person. ProblemError 409 where that contradicts what stands."""
        return self._ask("POST", f"/v1/learners/{quote(learner_id, safe='')}/merge", MergeAnswer, _body(given))

    def unmerge(self, learner_id: str, given: MergeIn) -> MergeAnswer:
        """Take a merge back. ProblemError 404 where there never was one."""
        return self._ask("POST", f"/v1/learners/{quote(learner_id, safe='')}/unmerge", MergeAnswer, _body(given))

    def export(self, learner_id: str) -> dict[str, Any]:
        """All that is stored of a learner, under any of their names. Needs the scope `admin`."""
        found: dict[str, Any] = self._send("GET", f"/v1/learners/{quote(learner_id, safe='')}/export").json()
        return found

    def erase(self, learner_id: str) -> None:
        """Erase a learner with all that is stored of them, also where that is nothing. Needs the scope `admin`."""
        self._send("DELETE", f"/v1/learners/{quote(learner_id, safe='')}")

    def health(self) -> HealthAnswer:
        """How the intake stands: what was understood, repaired, refused, and what the catalogue does not know."""
        return self._ask("GET", "/v1/ingest/health", HealthAnswer)

    def _rows(self, path: str, rows: Iterable[BaseModel]) -> EventsAnswer:
        accepted, results, rest = 0, list[EventResult](), iter(rows)
        while batch := list(islice(rest, MAX_EVENTS)):
            answer = self._ask("POST", path, EventsAnswer, [_body(row) for row in batch])
            results += [result.model_copy(update={"index": len(results) + result.index}) for result in answer.results]
            accepted += answer.accepted
        return EventsAnswer(accepted=accepted, results=tuple(results))

    def _ask(self, method: str, path: str, answer: type[A], body: Any = None, *, query: BaseModel | None = None) -> A:
        params = {} if query is None else query.model_dump(mode="json", exclude_defaults=True)
        return answer.model_validate_json(self._send(method, path, body, params=params).content)

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        content, coding = _packed(body)
        sent = {**self._headers, **coding, **(headers or {})}
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            try:
                answer = self._http.request(method, path, content=content, params=dict(params or {}), headers=sent)
            except httpx.TransportError:
                if last:
                    raise
                time.sleep(_pause(attempt, None))
                continue
            if answer.status_code < 400:
                return answer
            if last or answer.status_code not in _AGAIN:
                raise ProblemError(_problem(answer))
            time.sleep(_pause(attempt, answer.headers.get("retry-after")))
        raise AssertionError("the last attempt returns or raises")


def _path(kind: type[CatalogueRow]) -> str:
    return f"/v1/{kind.__name__.lower()}s"


def _body(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_defaults=True)


def _packed(body: Any) -> tuple[bytes | None, dict[str, str]]:
    """The body as bytes, gzipped where that pays."""
    if body is None:
        return None, {}
    raw = json.dumps(body, ensure_ascii=False).encode()
    return (raw, {}) if len(raw) < _PACKED_FROM else (gzip.compress(raw, compresslevel=5), {"Content-Encoding": "gzip"})


def _pause(attempt: int, said: str | None) -> float:
    """Seconds: what the service asks for, else a quarter of a second that doubles."""
    asked = float(said) if said is not None and said.isdigit() else 0.25 * 2 ** (attempt - 1)
    return min(asked, _LONGEST_WAIT_S)


def _problem(answer: httpx.Response) -> Problem:
    """What the service said; a proxy in between may say something else."""
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        return Problem(title=answer.reason_phrase, status=answer.status_code, detail=answer.text[:200])
