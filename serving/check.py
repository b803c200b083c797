"""`GET /v1/decisions/{decision_id}/check`: whether what was decided may still be sent or shown, asked right before.

Between a decision and the moment it reaches somebody they may opt out, leave or be done; an item may be retired.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from features.catalogue import Item
from features.decisions import Decision
from features.nudges import Nudge, NudgeChoice
from features.store import TenantSession
from serving.cards.asked import offered
from serving.eligibility import Facts, eligible
from serving.keys import Credential
from serving.nudging.answer import read_known
from serving.nudging.arms import Known, options
from serving.nudging.decide import WORDS
from serving.nudging.limits import Situation, limit
from serving.nudging.may import barred, waived_by
from serving.nudging.settings import NudgeSettings
from serving.owed import WAIVED, bar
from serving.payloads import CheckAnswer, CheckedItem
from serving.prepared import Prepared
from serving.problems import later
from serving.questions.asked import decision as recorded
from serving.rules.holding import OF_POLICY
from serving.runtime import NotReadyError, Runtime, StoreDownError

KEEPS: Final = timedelta(days=1)
"""How long after it was decided a nudge may be sent, where nothing withdraws it."""
_OF_REQUEST: Final = frozenset(
    {"replaced", "other_language", "other_type", "too_long", "excluded", "in_progress", "prerequisites"}
)
"""Rules that choose between items; none of them makes a shown one wrong."""


_NAMED: Final = (OF_POLICY, "other_audience", "not_granted")
RULED: Final = "A rule keeps it from the learner now"


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
    rules = runtime.policy.rules_of(said.tenant)
    known, choices, _ = read_known(session, said.learner_id, now, runtime.clock.known_by, stock, rules)
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
    item = found.offered.get(nudge.item_id) if nudge.item_id is not None else None
    if (rule := _kept_back(known, nudge, item)) is not None:
        return rule, RULED
    if not any(one.said(nudge) for one in options(known).get(nudge.arm, ())):
        return "settled", "What it is about is no longer so"
    return None


def _kept_back(known: Known, nudge: Nudge, offered: Item | None) -> str | None:
    """The rule of the policy, or for whom the item is, that keeps what a nudge is about from the learner now."""
    if offered is None or known.item(offered.id) is None:
        return None
    owed = any(
        one.assignment.id == nudge.assignment_id and (one.assignment.mandatory or one.assignment.urgent) for one in known.duties
    )
    rule = barred(known, nudge.arm, offered.id, owed=owed)
    rule = rule or bar(offered, known.facts, waived=waived_by(known, nudge.arm, owed=owed))
    return rule if rule is not None and rule.startswith(_NAMED) else None


def _of_ranking(settings: NudgeSettings, said: Decision, found: _Found, now: datetime) -> CheckAnswer:
    facts = replace(found.known.facts, at=now)
    items = []
    for one in said.slate:
        item = found.offered[one.item_id]
        waived = _OF_REQUEST | (WAIVED | {held.name for held in facts.rules} if one.due is not None else frozenset())
        withdrawn = _gone(item) or (None if item is None else _rule(found.known.stock, item, facts, waived))
        items.append(CheckedItem(item_id=one.item_id, withdrawn=withdrawn))
    left = any(one.withdrawn is None for one in items)
    why = None if left else ("nothing_left", "None of its items may be shown any longer")
    return _answer(said, now, why, items)


def _rule(stock: Prepared, item: Item, facts: Facts, waived: frozenset[str]) -> str | None:
    """The rule that keeps an item from the learner now: as the bundle has it, and as the catalogue has it by now."""
    index = stock.index.get(item.id)
    chosen = np.array([] if index is None else [index], dtype=np.int32)
    return next(iter(eligible(stock, facts, chosen, waived=waived)[1]), None) or bar(item, facts, waived=waived)


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
