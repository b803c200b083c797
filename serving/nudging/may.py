"""Whether a nudge may be about an item: the rules that rankings obey, but for those that its arm has no use for. Pure."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from features.nudges import Arm
from serving.eligibility import eligible
from serving.nudging.known import Known
from serving.owed import WAIVED, bar

_DONE: Final = frozenset({"finished", "known", "in_progress", "prerequisites"})
_WAIVED: Final[Mapping[Arm, frozenset[str]]] = {
    Arm.DEADLINE: WAIVED,
    Arm.APPLY: _DONE | {"replaced", "other_language"},  # it was finished as it is
    Arm.REFRESH: _DONE,
    Arm.QUEST: frozenset({"in_progress"}),
}
"""What does not matter to an arm: a duty is owed all the same, who uses or refreshes something has done it before, and a quest
goes on with what was begun."""


def barred(known: Known, arm: Arm, item_id: str, *, owed: bool = False) -> str | None:
    """The rule that keeps a nudge of this arm from being about an item; None where none does.

    `owed`: it is mandatory or urgent, so that no rule of the policy keeps it away.
    """
    rule = _rule(known, arm, item_id, owed=owed)
    if rule is not None:
        known.removed.setdefault(rule, set()).add(item_id)
    return rule


def _rule(known: Known, arm: Arm, item_id: str, *, owed: bool) -> str | None:
    item = known.item(item_id)
    if item is None:
        return "unknown_item"
    waived = waived_by(known, arm, owed=owed)
    index = known.stock.index.get(item_id)
    if index is None:
        return bar(item, known.facts, waived=waived)
    _, removed = eligible(known.stock, known.facts, np.array([index], dtype=np.int32), waived=waived)
    return next(iter(removed), None)


def waived_by(known: Known, arm: Arm, *, owed: bool) -> frozenset[str]:
    """The rules that an arm does not ask."""
    own = {held.name for held in known.facts.rules} if owed else set()
    return _WAIVED.get(arm, frozenset()) | own


def limited(known: Known, item_id: str) -> str | None:
    """The limit of the policy that has no room for an item, by name."""
    index = known.stock.index.get(item_id)
    if known.limits is None or index is None or known.limits.rule[index] < 0:
        return None
    return known.limits.names[int(known.limits.rule[index])]
