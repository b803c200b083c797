"""Eligibility: which items a learner may be shown now. A filter and never a score; every removal names its rule.

When it is unsure whether an item may be shown (an unknown learner, duration or prerequisite), a rule leaves it out.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Learner
from features.grants import Grant
from serving.payloads import Filters
from serving.prepared import Mask, Prepared, primary_language
from serving.rules.holding import Held, filters, removes
from serving.standing import Standing, still_valid, twins, with_equivalents
from serving.wording import Wording, spoken

RULES_VERSION = "5"


@dataclass(frozen=True)
class Facts:
    """What the rules look at. `learner` is None when the catalogue does not know them. `grants`: those that hold now.
    `rules`: what the policy and the request say, as it holds now for this learner.
    """

    at: datetime
    request: Filters
    learner: Learner | None
    standing: Standing
    grants: tuple[Grant, ...] = ()
    rules: tuple[Held, ...] = ()

    @cached_property
    def audiences(self) -> tuple[str, ...]:
        return () if self.learner is None else self.learner.audiences

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The request's languages, else the learner's; empty: any."""
        asked = self.request.languages or (() if self.learner is None else self.learner.languages)
        return tuple(primary_language(tag) for tag in asked)

    @cached_property
    def wording(self) -> Wording:
        """In which language titles and reasons are said."""
        return spoken(self.languages)

    @cached_property
    def masks(self) -> dict[str, Mask | None]:
        """What each rule said of the items of one bundle, once it was asked."""
        return {}

    @property
    def ended(self) -> bool:
        """Whether the learner has left: their status says so, or no spell of theirs covers this moment."""
        if self.learner is None:
            return False
        spells = self.learner.spells
        here = any(spell.since <= self.at and (spell.until is None or self.at < spell.until) for spell in spells)
        return self.learner.status == "ended" or (bool(spells) and not here)


Rule = Callable[[Prepared, Facts], Mask | None]
"""bool[m], True where the rule removes the item; None where it removes nothing, as most do for most learners."""


def _not_in_catalogue(stock: Prepared, facts: Facts) -> Mask | None:
    return stock.unlisted


def _not_granted(stock: Prepared, facts: Facts) -> Mask | None:
    """Another tenant's item that it does not grant (any longer), whatever the bundle holds."""
    return stock.withheld(facts.grants) if stock.granted else None


def _learner_ended(stock: Prepared, facts: Facts) -> Mask | None:
    return np.ones(len(stock), dtype=bool) if facts.ended else None


def _not_available(stock: Prepared, facts: Facts) -> Mask | None:
    if not stock.timed:
        return None
    now = facts.at.timestamp()
    return (now < stock.since) | (now >= stock.until)


def _replaced(stock: Prepared, facts: Facts) -> Mask | None:
    """An older version, where the newer one may be shown to this learner now."""
    if not len(stock.replaced):
        return None
    usable = stock.listed.copy()
    for gone in (_not_available(stock, facts), _other_audience(stock, facts)):
        if gone is not None:
            usable &= ~gone
    removed = np.zeros(len(stock), dtype=bool)
    old, new = stock.replaced[:, 0], stock.replaced[:, 1]
    removed[old[usable[new]]] = True
    return removed


def _other_audience(stock: Prepared, facts: Facts) -> Mask | None:
    return None if stock.for_all else ~_any(stock.unrestricted, stock.audiences, facts.audiences)


def _other_language(stock: Prepared, facts: Facts) -> Mask | None:
    if not facts.languages:
        return None
    return ~_any(stock.any_language, stock.languages, facts.languages)


def _other_type(stock: Prepared, facts: Facts) -> Mask | None:
    if not facts.request.types:
        return None
    return ~_any(np.zeros(len(stock), dtype=bool), stock.types, facts.request.types)


def _too_long(stock: Prepared, facts: Facts) -> Mask | None:
    limit = facts.request.max_minutes
    if limit is None:
        return None
    return ~(stock.table.minutes <= limit)  # an unknown duration is NaN and compares False


def _excluded(stock: Prepared, facts: Facts) -> Mask | None:
    return _named(stock, facts.request.exclude)


def _finished(stock: Prepared, facts: Facts) -> Mask | None:
    return _named(stock, still_valid(facts.standing.finished, stock, facts.at, facts.audiences))


def _known(stock: Prepared, facts: Facts) -> Mask | None:
    return _named(stock, still_valid(facts.standing.known, stock, facts.at, facts.audiences))


def _in_progress(stock: Prepared, facts: Facts) -> Mask | None:
    return _named(stock, facts.standing.in_progress())


def _dismissed(stock: Prepared, facts: Facts) -> Mask | None:
    """What the learner sent away, for as long as they said, and whatever is the same thing by another name."""
    away = {item for item, until in facts.standing.dismissed.items() if facts.at < until}
    return _named(stock, twins(away, stock, facts.audiences) if away else ())


def _prerequisites(stock: Prepared, facts: Facts) -> Mask | None:
    """Something that must come first is neither finished nor known; an expired completion still counts here."""
    if not len(stock.requires):
        return None
    done = stock.mask(with_equivalents({*facts.standing.finished, *facts.standing.known}, stock, facts.audiences))
    item, needed = stock.requires[:, 0], stock.requires[:, 1]
    removed = np.zeros(len(stock), dtype=bool)
    removed[item[(needed < 0) | ~done[needed]]] = True
    return removed


RULES: Mapping[str, Rule] = {
    "not_in_catalogue": _not_in_catalogue,
    "not_granted": _not_granted,
    "learner_ended": _learner_ended,
    "not_available": _not_available,
    "other_audience": _other_audience,
    "replaced": _replaced,
    "other_language": _other_language,
    "other_type": _other_type,
    "too_long": _too_long,
    "excluded": _excluded,
    "finished": _finished,
    "known": _known,
    "in_progress": _in_progress,
    "dismissed": _dismissed,
    "prerequisites": _prerequisites,
}
"""Rule name -> rule. An item is listed under the first that removes it."""


def rules_of(facts: Facts) -> Mapping[str, Rule]:
    """All of them, and after them those of the policy and of the request that filter."""
    own = {held.name: partial(_by_rule, held) for held in filters(facts.rules)}
    return {**RULES, **own} if own else RULES


def _by_rule(held: Held, stock: Prepared, facts: Facts) -> Mask | None:
    return removes(held.rule, stock)


def eligible(
    stock: Prepared, facts: Facts, candidates: NDArray[np.int32], *, waived: Collection[str] = ()
) -> tuple[NDArray[np.int32], dict[str, tuple[str, ...]]]:
    """The candidates that no rule removes but the `waived` ones (int32, order kept), and the ids that each rule removed."""
    left, removed = candidates, {}
    for name, rule in rules_of(facts).items():
        if name in waived:
            continue
        if name not in facts.masks:
            facts.masks[name] = rule(stock, facts)
        mask = facts.masks[name]
        if mask is None:
            continue
        gone = mask.take(left)
        if gone.any():
            removed[name] = stock.ids_of(left[gone])
            left = left[~gone]
    return left, removed


def _named(stock: Prepared, names: Collection[str]) -> Mask | None:
    """The items of these ids or aliases, where there are any."""
    return stock.mask(names) if names else None


def _any(base: Mask, masks: Mapping[str, Mask], names: Sequence[str]) -> Mask:
    found = base.copy()
    for name in names:
        if name in masks:
            found |= masks[name]
    return found
