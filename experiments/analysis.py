"""The whole reading of an experiment: health first, then each metric, then the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from experiments.comparisons import Comparison, at, between, compare
from experiments.design import Design
from experiments.health import Check, Health, aa_replay, missing, plumbing
from experiments.inference.estimates import Estimate, Inconclusive
from experiments.inference.multiplicity import holm
from experiments.inference.replay import RUNS
from experiments.outcomes.days import as_it_went
from experiments.outcomes.measured import measure
from experiments.outcomes.measures import Measure, measures
from experiments.outcomes.since import by_day_since, days_followed, follow, late_less_early
from experiments.outcomes.sums import by_arm, unknown_by_arm
from experiments.outcomes.tables import Tables
from experiments.parts import Segment, segments
from experiments.prices import Price
from experiments.verdict import Verdict, decide

LOOKS = 120
"""The most looks of a trajectory that are shown."""
LONGEST = 28
"""Days since assignment that are followed."""


@dataclass(frozen=True)
class Look:
    """What was known of the primary at the end of a day, at any look."""

    day: date
    arm: str
    found: Estimate


@dataclass(frozen=True)
class Fading:
    """The primary's effect by day since assignment, and how much more a day it is in the later half than in the earlier."""

    arm: str
    days: Sequence[Estimate | Inconclusive]
    later: Estimate | Inconclusive


@dataclass(frozen=True)
class Reading:
    """All that a report says. Where the verdict is "broken", or the horizon of a fixed look lies ahead, results are empty.

    `adjusted_p`: by metric and arm, over all goals and arms (Holm); of the primary over its arms only. `prices`: what each arm
    cost, where it ran here. `notes`: what a reader must know of how the data came about.
    """

    design: Design
    verdict: Verdict
    health: Health
    began: date | None
    ended: date | None
    horizon: date | None
    comparisons: Sequence[Comparison] = ()
    adjusted_p: Mapping[tuple[str, str], float] | None = None
    looks: Sequence[Look] = ()
    fading: Sequence[Fading] = ()
    segments: Sequence[Segment] = ()
    prices: Sequence[Price] = ()
    notes: Sequence[str] = ()

    def of(self, role: str) -> list[Comparison]:
        """The comparisons of the primary, the goals or the guardrails."""
        return [one for one in self.comparisons if one.measure.role == role]


def analyse(tables: Tables, design: Design, *, now: datetime, more: Sequence[Check] = (), replays: int = RUNS) -> Reading:
    """The reading of an experiment whose tables are filled. `now` stands in where outcomes have no times. `more`: checks of
    where the tables come from, which stand before the others. `replays`: of the A/A replay, 0 for whoever simulates thousands.
    """
    began, ends = tables.began(), tables.ends() or now
    horizon = None if began is None or design.horizon_days is None else began.date() + timedelta(days=design.horizon_days)
    health = plumbing(tables, design)
    health = replace(health, checks=(*more, *health.checks))
    empty = Reading(design, Verdict("broken", ""), health, began and began.date(), began and ends.date(), horizon)
    if empty.health.failed:
        return replace(empty, verdict=_broken(empty.health))
    slack = timedelta(days=1 if tables.until is None else 0)  # the last outcome of a whole day is a little before its end
    until = horizon if horizon is not None and ends.date() < horizon - slack else None
    return _measured(tables, empty, until, replays)


def _measured(tables: Tables, empty: Reading, until: date | None, replays: int) -> Reading:
    design, (primary, *others) = empty.design, measures(empty.design)
    measure(tables, primary)
    health = _with_primary(tables, empty.health, design, replays)
    if health.failed and (until is None or not all(one.heals for one in health.failed)):
        return replace(empty, health=health, verdict=_broken(health))
    if until is not None and (health.failed or design.peeking == "fixed"):
        return replace(empty, health=health, verdict=Verdict("keep running", _too_early(health, design), until=until))
    found = compare(by_arm(tables), primary, design)
    looks, fading, parts = _looks(tables, primary, design), _fading(tables, primary, design), segments(tables, primary, design)
    rest = [comparison for one in others for comparison in _one(tables, one, design)]
    guardrails = [one for one in rest if one.measure.role == "guardrail"]
    verdict = decide(found, guardrails, design, until)
    if verdict.kind == "broken":
        return replace(empty, health=health, verdict=verdict)
    return replace(
        empty,
        health=health,
        verdict=verdict,
        comparisons=(*found, *rest),
        adjusted_p=_several(found) | _several([one for one in rest if one.measure.role == "goal"]),
        looks=looks,
        fading=fading,
        segments=parts,
    )


def _one(tables: Tables, one: Measure, design: Design) -> list[Comparison]:
    measure(tables, one)
    return compare(by_arm(tables), one, design)


def _broken(health: Health) -> Verdict:
    first, *more = health.failed
    also = f"; {len(more)} more checks failed" if len(more) > 1 else "; one more check failed" if more else ""
    return Verdict("broken", f"{first.found[0].lower()}{first.found[1:]}{also}. No result is shown")


def _too_early(health: Health, design: Design) -> str:
    if design.peeking == "fixed":
        return "one look was registered, at the horizon, and a result read before it would be wrong more often than it says"
    return f"what is known so far carries no interval: {health.failed[0].found}"


def _with_primary(tables: Tables, health: Health, design: Design, replays: int) -> Health:
    """The checks that need the primary: arms do not lose different people, and arms that do nothing show nothing."""
    lost = missing(unknown_by_arm(tables), design, design.primary.metric)
    again, found = aa_replay(tables, design, replays)
    return replace(health, checks=(*health.checks, lost, again), replay=found)


def _several(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], float]:
    tested = [(one, one.found.p_value) for one in comparisons if isinstance(one.found, Estimate)]
    adjusted = holm([p_value for _, p_value in tested]) if tested else []
    return {(one.name, one.arm): p_value for (one, _), p_value in zip(tested, adjusted, strict=True)}


def _looks(tables: Tables, one: Measure, design: Design) -> list[Look]:
    """At most `LOOKS` of the days, the last one among them."""
    days = list(as_it_went(tables, one).items())
    step = -(-len(days) // LOOKS) or 1
    shown = days[::-1][::step][::-1]
    return [
        Look(day, found.arm, found.at_any_look)
        for day, arms in shown
        for found in (compare(arms, one, design) if design.control in arms else [])
        if isinstance(found.at_any_look, Estimate)
    ]


def _fading(tables: Tables, one: Measure, design: Design) -> list[Fading]:
    """Where units were randomised one by one and the metric goes on from day to day; else nothing."""
    days = min(days_followed(tables), LONGEST)
    if tables.clustered or one.denominator is not None or days < 4 or not _goes_on(tables, one):
        return []
    follow(tables, one, days)
    daily, change = by_day_since(tables, days), late_less_early(tables, days)
    return [
        Fading(
            arm,
            [
                at(between(samples.get(design.control), samples.get(arm), relative=False), design, "fixed")
                for samples in daily.values()
            ],
            at(between(change.get(design.control), change.get(arm), relative=False), design, "fixed"),
        )
        for arm in design.treatments
        if design.allocation[arm] > 0
    ]


def _goes_on(tables: Tables, one: Measure) -> bool:
    """Whether units have outcomes on more than one day as a rule, of what was measured last."""
    rows = tables.one("select count(*) from facts where metric = ? and after", [one.name])
    return bool(one.missing_is_zero or rows > 1.5 * tables.one("select count(*) from total_after"))
