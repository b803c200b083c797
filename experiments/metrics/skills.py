"""Outcomes about skills: shown by a test, shown at work, brought up to what the role expects."""

from typing import Final

import ibis
from ibis.expr.types import Table

from experiments.metrics.members import belonged
from experiments.metrics.source import Source
from experiments.metrics.within import first, within
from features.events import SKILL_PREFIX, Evidence, Verb

ASSESSED: Final = tuple(sorted(verb.value for verb in Verb if verb.evidence is Evidence.ASSESSED))
APPLIED: Final = tuple(sorted(verb.value for verb in Verb if verb.evidence is Evidence.APPLIED))
_RATED: Final = (Verb.ENDORSED.value, Verb.ATTESTED.value)


def evidence(source: Source) -> Table:
    """(learner, skill, verb, at, level): what shows a skill by a test or at work, as events say it and items teach it.

    What was revoked later, and what says `success: false`, shows nothing. `level`: as the skill profile has it, without
    forgetting; null where none is stated.
    """
    events = source.events
    telling = events.filter(events.verb.isin([*ASSESSED, *APPLIED]), events.success.fill_null(True))
    gone = events.filter(events.verb == Verb.REVOKED).group_by("learner", "item").agg(revoked_at=events["at"].max())
    kept = telling.left_join(gone, ["learner", "item"])
    kept = kept.filter(kept.revoked_at.isnull() | (kept["at"] > kept.revoked_at))
    of_skill = kept.filter(kept.item.startswith(SKILL_PREFIX)).mutate(
        skill=kept.item.substr(len(SKILL_PREFIX)), level=_stated(kept)
    )
    of_item = kept.join(source.taught.select("item", "skill", taught="level"), "item").mutate(
        level=lambda t: ibis.ifelse(t.verb == Verb.PASSED, t.taught * t.score.fill_null(1.0), t.taught)
    )
    names = ("learner", "skill", "verb", "at", "level")
    return of_skill.select(*names).union(of_item.select(*names))


def assessed(source: Source, people: Table) -> Table:
    """1 at the first passed assessment of each skill."""
    return _skills(source, people, ASSESSED)


def applied(source: Source, people: Table) -> Table:
    """1 at the first evidence from work of each skill."""
    return _skills(source, people, APPLIED)


def closed(source: Source, people: Table) -> Table:
    """1 when a skill first comes up to what the role at the exposure expects, where it was below until then."""
    wanted = belonged(source, people, "role_id").join(source.expected.select("role_id", "skill", wanted="level"), "role_id")
    found = evidence(source).join(wanted, ["learner", "skill"])
    enough = found.filter(found.level >= found.wanted, found["at"] < found.until)
    reached = enough.group_by("learner", "skill", "since").agg(at=enough["at"].min())
    return first(reached.filter(reached["at"] >= reached.since), "learner", "skill")


def _skills(source: Source, people: Table, verbs: tuple[str, ...]) -> Table:
    shown = evidence(source)
    return first(within(shown.filter(shown.verb.isin(verbs)), people), "learner", "skill")


def _stated(events: Table) -> ibis.Value:
    """The level that an event about a skill states, or as a share of 5 where it is a rating; a test's score scales it."""
    said = events.context.cast("json")["level"].float.clip(lower=0.0, upper=5.0)
    rated = ibis.ifelse(events.verb.isin(_RATED), 5.0 * events.score, ibis.null("float64"))
    scaled = ibis.ifelse(events.verb == Verb.PASSED, said * events.score.fill_null(1.0), said)
    return ibis.coalesce(scaled, rated)
