"""To which decision an outcome belongs: the one whose id it carries, else one that a `shown` of the item named before."""

from typing import Final

import ibis
from ibis.expr.types import Table

from experiments.metrics.source import Source
from features.events import MAX_CLOCK_SKEW, Verb

_SKEW: Final = ibis.interval(seconds=int(MAX_CLOCK_SKEW.total_seconds()))


def led(source: Source, seen: Table) -> Table:
    """Of `seen(learner, item, decision_id, at, since, until, seq)` the rows that belong to a decision of the same learner.

    A decision counts from the first exposure on, and an outcome after it (5 minutes are left to clocks that differ).
    """
    made = source.decisions.select("learner", "decision_id", decided=source.decisions["at"])
    carried = seen.join(made, ["learner", "decision_id"])
    own = carried.filter(carried.decided >= carried.since, carried.decided <= carried["at"] + _SKEW).select(*seen.columns)
    events = source.events
    shown = events.filter(events.verb == Verb.SHOWN, events.decision_id.notnull())
    named = shown.join(made, ["learner", "decision_id"]).select("learner", "item", "decided", shown_at=shown["at"])
    bare = seen.filter(seen.decision_id.isnull()).join(named, ["learner", "item"])
    after = bare.filter(bare.decided >= bare.since, bare.shown_at <= bare["at"]).select(*seen.columns)
    return own.union(after).distinct(on="seq", keep="first")
