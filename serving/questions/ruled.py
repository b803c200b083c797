"""A sentence for a rule of the policy or of the request that keeps an item out: what it says, and what would have to change."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from serving.questions.words import Words
from serving.rules.holding import OF_POLICY, OF_REQUEST, Held
from serving.rules.language import ExcludeRule, LimitRule, Match, OnlyRule

_NAMED: Final = 3
"""Names of a rule that a sentence repeats."""


def words_of_rule(held: Held) -> Words:
    """Why, and what would have to be otherwise. Boosts and pins keep nothing out."""
    rule, whose = held.rule, f"{'The request' if held.of_request else 'Your organisation'}'s rule {held.rule.id}"
    if isinstance(rule, ExcludeRule):
        return Words(f"{whose} leaves out what is {_about(rule.match)}.", _ends(rule.until))
    if isinstance(rule, OnlyRule):
        return Words(f"{whose} allows only what is {_about(rule.match)}.", _ends(rule.until))
    assert isinstance(rule, LimitRule)
    about = "" if rule.match.everything else f" {'that is' if rule.most == 1 else 'that are'} {_about(rule.match)}"
    each = "" if rule.per is None else f" of one {rule.per}"
    days = "at once" if rule.days is None else f"within {rule.days} days"
    items = "item" if rule.most == 1 else "items"
    why = f"{whose} allows {rule.most} {items}{each}{about} {days}, and what was shown fills that."
    return Words(why, "Its `most` would have to be higher.")


def words_of_record(rule: str) -> Words | None:
    """Where only the record is left, which has the rule's name; None for what is no such rule."""
    for prefix, whose in ((OF_POLICY, "Your organisation"), (OF_REQUEST, "The request")):
        if rule.startswith(prefix):
            return Words(f"{whose}'s rule {rule.removeprefix(prefix)} keeps it out.", _ends(None))
    return None


def _ends(until: datetime | None) -> str:
    if until is None:
        return "The rule would have to end, or be about something else."
    return f"The rule ends on {until.day} {until:%B %Y}."


def _about(match: Match) -> str:
    said = [
        f"one of {_any(match.items)}" if match.items else "",
        f"of type {_any(one.replace('_', ' ') for one in match.types)}" if match.types else "",
        f"by {_any(match.providers)}" if match.providers else "",
        f"about {_any(match.skills)}" if match.skills else "",
        f"in {_any(match.languages)}" if match.languages else "",
        "for certain audiences" if match.audiences else "",
        *(f"of {name} {_any(values)}" for name, values in match.attributes.items()),
    ]
    return " and ".join(one for one in said if one)


def _any(names: Iterable[str]) -> str:
    every = list(names)
    told = [*every[:_NAMED], *([f"{len(every) - _NAMED} more"] if len(every) > _NAMED else [])]
    return " or ".join(told)
