"""`GET /v1/decisions/{decision_id}/check`: whether what was decided may still be sent or shown, asked right before.

Between a decision and the moment it reaches somebody they may opt out, leave or be done; an item may be retired.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from features.catalogue import Item, Learner
from features.decisions import Decision
from features.events import Event
from features.grants import Grant
from features.nudges import NudgeChoice
from features.store import TenantSession
from features.xapi.parts import resolved
from serving.cards.asked import offered
from serving.eligibility import Facts, eligible
from serving.keys import Credential
from serving.nudging.answer import read_known
from serving.nudging.arms import Known, options
from serving.nudging.decide import WORDS
from serving.nudging.limits import Situation, limit
from serving.nudging.settings import NudgeSettings
from serving.owed import WAIVED
from serving.payloads import CheckAnswer, CheckedItem, Filters
from serving.prepared import Prepared
from serving.problems import later
from serving.questions.asked import decision as recorded
from serving.runtime import NotReadyError, Runtime, StoreDownError
from serving.standing import standing

KEEPS: Final = timedelta(days=1)
"""How long after it was decided a nudge may be sent, where nothing withdraws it."""
_OF_REQUEST: Final = frozenset(
    {"replaced", "other_language", "other_type", "too_long", "excluded", "in_progress", "prerequisites"}
)
"""Rules that choose between items; none of them makes a shown one wrong."""


class _Found(NamedTuple):
    known: Known
    choices: Sequence[NudgeChoice]
    offered: dict[str, Item | None]


async def check(runtime: Runtime, asks: Credential, decision_id: str) -> CheckAnswer:
    """The answer. Raises RefusedError: 400, 404 as for the decision itself, 503 while nobody can tell: then nothing is sent."""
    said = await recorded(runtime, asks, decision_id)
    now = runtime.clock()
    try:
        stock = runtime.stock(asks.tenant)
        found = await runtime.beside(asks.tenant, lambda session: _read(runtime, session, stock, said, now))
    except (NotReadyError, StoreDownError) as error:
        raise later(error) from error
    of = _of_nudge if said.kind == "nudge" else _of_ranking
    return await runtime.worked_out(len(found.known.given), lambda: of(runtime.policy.nudges, said, found, now))


def _read(runtime: Runtime, session: TenantSession, stock: Prepared, said: Decision, now: datetime) -> _Found:
    known, choices, _ = read_known(session, said.learner_id, now, runtime.clock.known_by, stock)
    return _Found(known, choices, {name: offered(runtime, session, name, now) for name in _items(said)})


def _items(said: Decision) -> list[str]:
    about = None if said.nudge is None else said.nudge.item_id
    return [*(item.item_id for item in said.slate), *([] if about is None else [about])]


def _of_nudge(settings: NudgeSettings, said: Decision, found: _Found, now: datetime) -> CheckAnswer:
    items = [CheckedItem(item_id=name, withdrawn=_gone(item)) for name, item in found.offered.items()]
    return _answer(said, now, _why_not(settings, said, found, now), items)


def _why_not(settings: NudgeSettings, said: Decision, found: _Found, now: datetime) -> tuple[str, str] | None:
    nudge, known = said.nudge, found.known
    if nudge is None or not nudge.spoke:
        return "silent", "It says nothing"
    # The budget is left out: this nudge was within it, and counts in it.
    withheld = limit(settings, Situation(said.tenant, said.learner_id, now, known.learner, found.choices))
    if withheld is not None:
        return withheld.value, WORDS[withheld]
    if nudge.arm in settings.killed_arms:
        return "killed", "Nudges of this kind are switched off"
    if now >= said.decided_at + KEEPS:
        return "expired", "It was decided more than a day ago; ask for another"
    if any(item is None for item in found.offered.values()):
        return "not_available", "What it is about is no longer offered"
    if not any(one.said(nudge) for one in options(known).get(nudge.arm, ())):
        return "settled", "What it is about is no longer so"
    return None


def _of_ranking(settings: NudgeSettings, said: Decision, found: _Found, now: datetime) -> CheckAnswer:
    stock, learner, grants = found.known.stock, found.known.learner, found.known.grants
    facts = _facts(stock, said.learner_id, learner, found.known.given, grants, now)
    items = []
    for one in said.slate:
        index = stock.index.get(one.item_id)
        waived = _OF_REQUEST | (WAIVED if one.due is not None else frozenset())
        barred = {} if index is None else eligible(stock, facts, np.array([index], dtype=np.int32), waived=waived)[1]
        items.append(CheckedItem(item_id=one.item_id, withdrawn=_gone(found.offered[one.item_id]) or next(iter(barred), None)))
    left = any(one.withdrawn is None for one in items)
    why = None if left else ("nothing_left", "None of its items may be shown any longer")
    return _answer(said, now, why, items)


def _facts(
    stock: Prepared, learner_id: str, learner: Learner | None, given: Sequence[Event], grants: tuple[Grant, ...], at: datetime
) -> Facts:
    done = standing(resolved(given, stock.names.__contains__), stock)
    return Facts(at, Filters(learner_id=learner_id), learner, done, grants)


def _gone(item: Item | None) -> str | None:
    return "not_available" if item is None else None


def _answer(said: Decision, at: datetime, why: tuple[str, str] | None, items: Sequence[CheckedItem]) -> CheckAnswer:
    withdrawn, reason = why or (None, None)
    return CheckAnswer(
        decision_id=said.decision_id,
        learner_id=said.learner_id,
        kind=said.kind,
        at=at,
        withdrawn=withdrawn,
        reason=reason,
        items=tuple(items),
    )
