"""The answers of `GET /v1/decisions/{decision_id}`, `POST /v1/explain` and `GET /preview/{learner_id}`.

None of them decides anything for the learner: no coin is tossed, and nothing is recorded as shown.
"""

import json
import logging
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from features.decisions import Decision
from features.grants import Grant
from features.progress.applied import People
from features.store import TenantSession
from serving.keys import Credential
from serving.nudging.answer import Read, read_known
from serving.nudging.considered import considered
from serving.payloads import RankRequest, RecommendationsRequest
from serving.pipeline import MODEL_FAILED, Ranked, ranked
from serving.prepared import Prepared
from serving.problems import RefusedError, invalid, later
from serving.progress.answer import progress_of
from serving.progress.vouching import people_of
from serving.questions.near import near_misses
from serving.questions.page import Preview, page
from serving.questions.payloads import ExplainAnswer, ExplainRequest, PreviewQuery
from serving.questions.why import Answered, Reach
from serving.replay import recorded_request, replayed
from serving.runtime import Known, NotReadyError, Runtime, StoreDownError
from serving.skills import Asked, check_id, gaps_of, never_heard_of, read_query, skills_of

NOT_DECIDED: Final = "not-decided"
"""The id of what is considered and not decided."""
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of the page: it holds what is known of a person, and needs nothing from anywhere."""
_LOG = logging.getLogger("nextwise.questions")


async def decision(runtime: Runtime, asks: Credential, decision_id: str) -> Decision:
    """A recorded decision. A token reads those of its learner, without what was removed of a catalogue that is not all theirs.

    Raises RefusedError: 400, 404 for another tenant's or learner's as for one that never was, 503 also while it may wait to be
    stored.
    """
    check_id(decision_id, "decision_id")
    found = await _recorded(runtime, asks, decision_id)
    if asks.claim is None and found is not None:
        return found
    if found is None or asks.claim is None or found.learner_id != asks.claim.learner_id:
        raise _no_decision(runtime, decision_id)
    asked = isinstance(recorded_request(found), RankRequest) if found.kind == "ranking" else False
    return found if asked else found.model_copy(update={"removed": {}})


async def explain(runtime: Runtime, asks: Credential, body: Any) -> ExplainAnswer:
    """Why, and why not, for each item asked about. Raises RefusedError: 400, 404 for a decision that is not there, 503."""
    try:
        given = ExplainRequest.model_validate_json(json.dumps(body))
    except ValidationError as error:
        raise invalid(error) from None
    if given.decision_id is not None:
        answered = await _past(runtime, asks, given.learner_id, given.decision_id)
    else:
        answered = (await _considered(runtime, asks, given.ranking)).answered
    said = answered.decision
    return ExplainAnswer(
        learner_id=given.learner_id,
        decision_id=given.decision_id,
        at=said.decided_at,
        bundle=said.bundle,
        fallback=said.fallback,
        source="record" if answered.ranked is None else "replay",
        items=answered.explained(given.items),
    )


async def preview(runtime: Runtime, asks: Credential, learner_id: str, asked: Asked) -> str:
    """The page of a learner, as HTML. Raises RefusedError: 400, 404 for somebody never heard of, 503."""
    check_id(learner_id)
    said = {name: [one.strip() for one in values] for name, values in asked.items()}
    why = read_query(PreviewQuery, {name: values for name, values in said.items() if values != [""]}).why  # an empty field
    found, answered = await _considered(runtime, asks, RecommendationsRequest(learner_id=learner_id, surface="preview"))
    at = answered.decision.decided_at
    if found.learner is None and not found.history:
        raise never_heard_of(learner_id, at)
    policy, now = runtime.policy, runtime.clock()
    rules = policy.rules_of(asks.tenant)

    def more(session: TenantSession) -> tuple[Read, People]:
        read = read_known(session, learner_id, now, runtime.clock.known_by, answered.stock, rules)
        return read, people_of(session, read.known)

    try:
        read, people = await runtime.beside(asks.tenant, more)
    except StoreDownError as error:
        raise later(error) from error
    treated = runtime.arms.treatment("nudge", asks.tenant, learner_id, read.known.learner, policy, answered.stock)
    of_learner = (answered.stock, learner_id, found.learner, found.history, at)

    def made() -> str:
        return page(
            Preview(
                learner_id=learner_id,
                learner=found.learner,
                stock=answered.stock,
                decision=answered.decision,
                why=answered.explained([why])[0] if why else None,
                near=answered.explained(near_misses(answered)),
                skills=skills_of(*of_learner),
                gaps=gaps_of(*of_learner, grants=found.grants, rules=rules),
                nudge=considered(treated.policy.nudges, asks.tenant, read, now),
                progress=progress_of(read.known, people, policy.progress, policy.nudges),
            )
        )

    return await runtime.worked_out(len(found.history), made)


class _Considered(NamedTuple):
    known: Known
    answered: Answered


async def _considered(runtime: Runtime, asks: Credential, request: RecommendationsRequest) -> _Considered:
    """What would be decided now, without a coin; neither recorded nor counted."""
    now, duties = runtime.clock(), isinstance(request, RecommendationsRequest)
    try:
        stock = runtime.stock(asks.tenant)
        found = await runtime.known(
            asks.tenant, request.learner_id, runtime.clock.known_by, stock, duties=duties, rules=request.rules
        )
    except (NotReadyError, StoreDownError) as error:
        raise later(error) from error
    known_at = found.assigned.known_at or now
    at = max(now, known_at, *(event.recorded_at for event in found.history))
    treated = runtime.treatment("ranking", asks.tenant, request.learner_id, found, stock)
    policy, made_by = treated.policy.model_copy(update={"epsilon": 0.0}), treated.stock

    def by(fallback: str | None) -> Ranked:
        return ranked(
            made_by,
            request,
            found.learner,
            found.history,
            at=at,
            decision_id=NOT_DECIDED,
            policy=policy,
            arms=treated.arms,
            fallback=fallback,
            grants=found.grants,
            assigned=found.assigned,
            nudges=found.nudges,
        )

    def done() -> Ranked:
        try:
            return by(treated.fallback)
        except Exception:
            _LOG.exception("ranking by the model failed; popularity is explained")
            return by(MODEL_FAILED)

    result = await runtime.worked_out(len(found.history), done)
    reach = _reach(asks, made_by, found.grants, personal=found.learner is None or found.learner.personalisation)
    return _Considered(found, Answered(made_by, result.decision, result, reach, now=True))


async def _past(runtime: Runtime, asks: Credential, learner_id: str, decision_id: str) -> Answered:
    """A decision and what its stages found, where it can be made again as it was; else its record alone."""
    said = await _recorded(runtime, asks, decision_id)
    if said is None or not await _same_person(runtime, asks, learner_id, said.learner_id):
        raise _no_decision(runtime, decision_id)
    if said.kind != "ranking":
        words = f"decision_id: {decision_id} is a {said.kind}; only rankings are explained, GET /v1/decisions has all of it"
        raise RefusedError(400, words, field="decision_id")

    def answered(session: TenantSession) -> Answered:
        stock, learner = made_by or serving, session.learner(learner_id)
        reach = _reach(asks, stock, session.grants(), personal=learner is None or learner.personalisation)
        return Answered(stock, said, None if made_by is None else _again(runtime, session, made_by, said), reach)

    try:
        serving, made_by = runtime.stock(asks.tenant), runtime.bundles.named(asks.tenant, said.bundle)
        return await runtime.beside(asks.tenant, answered)
    except (NotReadyError, StoreDownError) as error:
        raise later(error) from error


async def _same_person(runtime: Runtime, asks: Credential, one: str, other: str) -> bool:
    """Whether two names are one learner's. To a token an alias is somebody else."""
    if one == other or asks.claim is not None:
        return one == other
    try:
        return await runtime.beside(asks.tenant, lambda session: one in session.names_of(other))
    except StoreDownError as error:
        raise later(error) from error


async def _recorded(runtime: Runtime, asks: Credential, decision_id: str) -> Decision | None:
    try:
        return await runtime.beside(asks.tenant, lambda session: session.decision(decision_id))
    except StoreDownError as error:
        raise later(error) from error


def _again(runtime: Runtime, session: TenantSession, stock: Prepared, said: Decision) -> Ranked | None:
    """The stages of a decision; None where its policy or what it read is gone, or they lead somewhere else today."""
    try:
        again = replayed(session, stock, runtime.arms.policy_of(said, runtime.policy), said)
    except ValueError:
        return None
    same = [item.item_id for item in again.decision.slate] == [item.item_id for item in said.slate]
    return again if same and again.decision.removed == said.removed else None


def _reach(asks: Credential, stock: Prepared, grants: tuple[Grant, ...], *, personal: bool) -> Reach:
    hidden = stock.ids_of(stock.withheld(grants).nonzero()[0]) if stock.granted else ()
    return Reach(frozenset(hidden), history=personal, audiences=asks.claim is None)


def _no_decision(runtime: Runtime, decision_id: str) -> RefusedError:
    """The same for one that never was and one that is not for whoever asks."""
    if runtime.spooling:
        words = "; decisions wait to be stored, and it may be one of them: ask again"
        return RefusedError(503, f"no decision {decision_id!r} is stored yet{words}", headers={"Retry-After": "5"})
    return RefusedError(404, f"there is no decision {decision_id!r}", field="decision_id")
