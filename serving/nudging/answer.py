"""`POST /v1/nudge`: reads what is known, decides, records. What speaks is decided again in the turn of the store's writer.

So of two requests that come at once the second one knows the first, and no budget is crossed, whichever worker or replica
they came to. What stays silent crosses nothing, and goes the way of all decisions: the log, and the spool while it is down.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from features.decisions import Decision, nudged_items
from features.nudges import Arm, Limit, NudgeChoice
from features.store import TenantSession
from serving.arms import Treatment
from serving.cards.cards import Place, card
from serving.logs import said
from serving.nudging.arms import LONG_REST, Known, Options, options
from serving.nudging.decide import Ask, decide, decision, silent
from serving.nudging.known import more_skills
from serving.nudging.payloads import NudgeAnswer, NudgeIn
from serving.pipeline import HISTORY_UNAVAILABLE
from serving.prepared import Prepared
from serving.problems import invalid, later
from serving.rules.language import Rule
from serving.rules.limits import window
from serving.runtime import NotReadyError, Runtime, StoreDownError
from serving.tracing import TRACE

_LOG = logging.getLogger("nextwise")


class Read(NamedTuple):
    """What a nudge is decided by."""

    known: Known
    choices: Sequence[NudgeChoice]
    said: Sequence[Decision]


async def nudge(runtime: Runtime, tenant: str, body: Any) -> NudgeAnswer:
    """The recorded decision, as a host sees it. Raises RefusedError: 400, 503 where nothing can record it."""
    try:
        given = NudgeIn.model_validate(body, strict=False)
    except ValidationError as error:
        raise invalid(error) from None
    try:
        stock = runtime.stock(tenant)
        made, known = await _decided(runtime, tenant, given, stock)
    except (NotReadyError, StoreDownError) as error:
        raise later(error) from error
    runtime.metrics.decided(made)
    if (trace := TRACE.get(None)) is not None:
        trace.decided(made, {}, {})
    answer = NudgeAnswer.of(made, stock, known.strangers)
    if given.format is None or answer.arm is Arm.NOTHING:
        return answer
    place = Place(runtime.signer, runtime.settings.public_url)
    return answer.with_card(card(given.format, made, stock, known.learner, place, known.strangers), place.note)


async def _decided(runtime: Runtime, tenant: str, given: NudgeIn, stock: Prepared) -> tuple[Decision, Known]:
    policy, now = runtime.policy, runtime.clock()
    rules = policy.rules_of(tenant)
    try:
        known_by = runtime.clock.known_by
        read = await runtime.beside(tenant, lambda session: read_known(session, given.learner_id, now, known_by, stock, rules))
        found = await runtime.worked_out(len(read.known.given), lambda: options(read.known))
        ask = Ask(str(uuid.uuid4()), tenant, given.channel, now, read.known.at)
        of = given.learner_id, read.known.learner
        treated = runtime.arms.treatment("nudge", tenant, *of, policy, stock)
        return await _recorded(runtime, treated, read, found, ask), read.known
    except StoreDownError as error:
        _LOG.warning("nothing is said to anybody whose history cannot be read, or budget kept (%s)", said(error))
    ask = Ask(str(uuid.uuid4()), tenant, given.channel, now, now)
    nothing = silent(given.channel, Limit.HISTORY_UNAVAILABLE)
    known = Known(stock, given.learner_id, now)
    made = decision(policy.nudges, known, ask, nothing, {}, {}, HISTORY_UNAVAILABLE)
    await runtime.record(made)
    return made, known


def read_known(
    session: TenantSession, learner_id: str, now: datetime, known_by: datetime, stock: Prepared, rules: Sequence[Rule]
) -> Read:
    """What is known of a learner now, what they chose about nudges, and what was said to them lately. `rules`: the policy's."""
    learner, names = session.learner(learner_id, at=known_by), session.names_of(learner_id, at=known_by)
    events = session.history(learner_id, known_by=known_by, names=names)
    assigned = session.assigned(learner, names, at=known_by)
    # Never before what it knows.
    at = max([now, *(event.recorded_at for event in events), *([assigned.known_at] if assigned.known_at else [])])
    said = session.nudges(learner_id, since=now - max(LONG_REST, timedelta(days=window(rules))))
    known = Known(
        stock,
        learner_id,
        at,
        learner,
        events,
        assigned.duties,
        assigned.leaves,
        session.grants(at=now) if stock.granted else (),
        items=assigned.items,
        rules=rules,
        nudged=nudged_items(said),
        more_skills=more_skills(session, stock, events),
    )
    return Read(known, session.nudge_choices(learner_id), said)


async def _recorded(runtime: Runtime, treated: Treatment, read: Read, found: Options, ask: Ask) -> Decision:
    def decided(choices: Sequence[NudgeChoice], said: Sequence[Decision]) -> Decision:
        return decide(treated.policy.nudges, read.known, found, ask, choices, said, treated.arms)

    made = decided(read.choices, read.said)
    if made.nudge is not None and made.nudge.spoke:
        who, since = read.known.learner_id, ask.now - LONG_REST
        return await runtime.write(ask.tenant, lambda session: session.nudge(who, decided, since=since))
    await runtime.record(made)
    return made
