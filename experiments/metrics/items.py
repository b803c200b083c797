"""Outcomes about items: completed, dismissed, returned to, useful."""

from typing import Final

import ibis
from ibis.expr.types import Table

from experiments.metrics.attribution import led
from experiments.metrics.skills import evidence
from experiments.metrics.source import Source
from experiments.metrics.within import at_the_end, each, first, within
from features.events import INTERACTION_VERBS, Verb

COMPLETED: Final = (Verb.COMPLETED.value, Verb.PASSED.value)
OWN: Final = tuple(sorted({*INTERACTION_VERBS, Verb.SAVED, Verb.DISMISSED, Verb.KNOWN, Verb.RATED, Verb.SHARED, Verb.ANSWERED}))
"""What a learner does, not what is done for them; `shown` is what a host does."""


def _completions(source: Source) -> Table:
    events = source.events
    return events.filter(events.verb.isin(COMPLETED), ~events.item.startswith("skill:"))


def completed(source: Source, people: Table) -> Table:
    """1 at the first completion of each item."""
    return first(within(_completions(source), people), "learner", "item")


def completed_by_decision(source: Source, people: Table) -> Table:
    """1 at the first completion of each item that a decision led to."""
    return first(led(source, within(_completions(source), people)), "learner", "item")


def dismissed(source: Source, people: Table) -> Table:
    """1 for each dismissal that belongs to a decision."""
    events = source.events
    return each(led(source, within(events.filter(events.verb == Verb.DISMISSED), people)))


def returned(source: Source, people: Table) -> Table:
    """1 or 0 when the window ends: anything of one's own doing from 24 hours on."""
    events = source.events
    seen = within(events.filter(events.verb.isin([str(verb) for verb in OWN])), people)
    later = seen.filter(seen["at"] >= seen.since + ibis.interval(days=1))
    back = later.select("learner", value=ibis.literal(1.0)).distinct()
    return at_the_end(people.mutate(otherwise=ibis.literal(0.0)), back)


def days_to_first_useful(source: Source, people: Table) -> Table:
    """Days to the first useful completion, or the whole window, when that ends."""
    seen = within(_completions(source), people)
    useful = _recommended(source, seen).union(_used(source, seen))
    found = useful.group_by("learner").agg(value=_days(useful["at"], useful.since).min())
    days = people.mutate(otherwise=_days(people.until, people.since))
    return at_the_end(days, found)


def _days(later: ibis.Value, earlier: ibis.Value) -> ibis.Value:
    return later.delta(earlier, unit="microsecond") / 86_400e6


def _recommended(source: Source, seen: Table) -> Table:
    """Completions whose item a decision had in its slate before, or that carry its id."""
    made = source.decisions.select("learner", "item_ids", decided=source.decisions["at"], by=source.decisions.decision_id)
    both = seen.join(made, "learner")
    listed = both.item_ids.contains(ibis.literal('"') + both.item + '"')
    own = both.filter(both.decided >= both.since, both.decided <= both["at"], listed | (both.by == both.decision_id))
    return own.select("learner", "since", at=own["at"])


def _used(source: Source, seen: Table) -> Table:
    """Completions of what teaches a skill that was shown, within the window, by a test or at work afterwards."""
    taught = source.taught.select("item", "skill")
    shown = evidence(source).select("learner", "skill", shown_at=ibis._["at"])
    both = seen.join(taught, "item").join(shown, ["learner", "skill"])
    used = both.filter(both.shown_at > both["at"], both.shown_at < both.until)
    return used.select("learner", "since", at=used["at"])
