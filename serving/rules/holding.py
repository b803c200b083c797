"""Which rules hold for a learner at a moment, under which name each stands in decisions, and what they take away."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from features.catalogue import Item, Learner
from serving.prepared import Mask, Prepared
from serving.rules.language import BoostRule, ExcludeRule, OnlyRule, PinRule, Rule
from serving.rules.matching import covers, matched

OF_POLICY: Final = "rule:"
OF_REQUEST: Final = "request_rule:"
"""Before a rule's id, its name in decisions: one of the policy, and one that came with the request."""


class Held(NamedTuple):
    """A rule that holds, and its name in the decision."""

    name: str
    rule: Rule

    @property
    def of_request(self) -> bool:
        return self.name.startswith(OF_REQUEST)


def holding(policy: Sequence[Rule], request: Sequence[Rule], learner: Learner | None, at: datetime) -> tuple[Held, ...]:
    """The rules of the policy and of the request that hold, in their order.

    Of a learner whom nobody knows it is unsure to which audience they belong: what takes items away holds for them all the
    same, what brings some forward does not.
    """
    if not policy and not request:
        return ()
    named = (*((OF_POLICY, rule) for rule in policy), *((OF_REQUEST, rule) for rule in request))
    return tuple(Held(f"{prefix}{rule.id}", rule) for prefix, rule in named if _holds(rule, learner, at))


def _holds(rule: Rule, learner: Learner | None, at: datetime) -> bool:
    if (rule.since is not None and at < rule.since) or (rule.until is not None and at >= rule.until):
        return False
    if not rule.audiences:
        return True
    if learner is None:
        return not isinstance(rule, BoostRule | PinRule)
    return not set(rule.audiences).isdisjoint(learner.audiences)


def filters(rules: Iterable[Held]) -> list[Held]:
    """Those that take items away whatever else is shown."""
    return [held for held in rules if isinstance(held.rule, ExcludeRule | OnlyRule)]


def removes(rule: Rule, stock: Prepared) -> Mask:
    """bool[m]: what a filter takes away."""
    assert isinstance(rule, ExcludeRule | OnlyRule)
    found = matched(stock, rule.match)
    return found if isinstance(rule, ExcludeRule) else ~found


def bars(rule: Rule, item: Item) -> bool:
    """Whether a filter takes an item away that no bundle knows."""
    assert isinstance(rule, ExcludeRule | OnlyRule)
    return covers(rule.match, item) == isinstance(rule, ExcludeRule)
