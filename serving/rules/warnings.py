"""What may be wrong with a rule that was tried: a sentence each, with the rule's id, the field, and what to do."""

from collections.abc import Iterator

from serving.prepared import Prepared
from serving.rules.language import PinRule, Rule
from serving.rules.matching import missing
from serving.rules.payloads import RuleTried


def warnings_of(stock: Prepared, rule: Rule, tried: RuleTried, decisions: int) -> tuple[str, ...]:
    """`decisions`: how many the sample has."""
    return tuple(f"rule {rule.id!r}, {words}" for words in _words(stock, rule, tried, decisions))


def _words(stock: Prepared, rule: Rule, tried: RuleTried, decisions: int) -> Iterator[str]:
    if tried.holds == "ended":
        yield "until: it has ended; set a later time, or leave the rule out"
    unknown = [f"items: {name}" for name in rule.items if name not in stock.index] if isinstance(rule, PinRule) else []
    for field in unknown or ([] if isinstance(rule, PinRule) else missing(stock, rule.match)):
        yield f"{field}: no item of the bundle that serves has it; check how it is written"
    if not tried.matches and not isinstance(rule, PinRule):
        yield "match: no item of the bundle that serves matches; name fewer fields, or other names"
    if not decisions:
        return
    if not tried.held:
        yield f"audiences: none of the learners of the {decisions} decisions is part of them; check how they are written"
    elif not tried.acted:
        yield f"kind: it does nothing in the {decisions} decisions of the sample; it may not be needed"
    if tried.emptied:
        yield f"match: with it {tried.emptied} of {decisions} slates are empty; make it narrower, or name audiences"
