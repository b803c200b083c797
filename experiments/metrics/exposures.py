"""Who met an experiment, when first, and in which arm: from decisions made in its arms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import ibis
from ibis.expr.types import Table

from experiments.assignment.phases import Phase, Record
from experiments.design import Unit
from experiments.metrics.members import belonged
from experiments.metrics.source import Source

SEGMENTS: Final = {"org_unit": "org_unit", "role": "role_id", "manager": "manager_id"}
"""Segments of a design that ran here -> what the catalogue said at the first exposure."""
_CLUSTERS: Final = {"manager": "manager_id", "site": "org_unit"}
_FEW: Final = 0.001
"""Up to this share of learners may have met two arms (ids that were merged into one person): they are left out of both."""


class SegmentError(ValueError):
    """A segment that the catalogue does not know; the message says which there are."""


@dataclass(frozen=True)
class Exposed:
    """`assigned(unit, arm, cluster, assigned_at, exposed_at, segment_0, ...)` lies in the source's database, one row a learner.

    `decisions`: those of the phase, with `arm`. `learners`: how many met it; `several`: how many of them in more than one arm,
    and are left out where they are few, or stay with their first arm where clusters are assigned; `homeless`: of no cluster.
    `carried`: learners whom an earlier phase had given another arm.
    """

    decisions: Table
    learners: int
    several: int
    homeless: int
    carried: int


def decisions_of(source: Source, name: str) -> Table:
    """The decisions in an arm of an experiment, with `arm`. Millions name few combinations of arms: each is read once."""
    said = source.decisions.filter(source.decisions.arms.contains(f'"{name}"')).select("arms").distinct()
    named = said.select(made_in="arms", arm=said.arms.cast("json")[f'"{name}"'].str)
    known = source.backend.create_table("arms_said", named.filter(named.arm.notnull()), temp=True, overwrite=True)
    return source.decisions.join(known, [("arms", "made_in")]).drop("made_in")


def expose(source: Source, record: Record, phase: Phase) -> Exposed:
    """Writes the table `assigned` for a phase. Raises SegmentError."""
    segments = _segments(phase.design.segments)
    every = decisions_of(source, record.name)
    made = during(every, phase)
    arms = made.group_by("learner", "arm").agg(at=made["at"].min())
    met = source.backend.create_table("met", arms, temp=True)
    per_learner = met.group_by("learner").agg(n=met.count(), at=met["at"].min(), arm=met.arm.argmin(met["at"]))
    people = source.backend.create_table("people_met", per_learner, temp=True)
    learners, several = _numbers(source, people.agg(a=people.count(), b=(people.n > 1).sum().fill_null(0)))
    chosen, homeless = _clustered(
        source, _chosen(met, people, phase.design.unit, few=several <= _FEW * learners), phase.design.unit
    )
    began = ibis.literal(utc(record.phases[0].started_at), "timestamp")
    early = every.filter(every["at"] < began).group_by(who="learner").agg(exposed_at=every["at"].min())
    rows = chosen.left_join(early, [("learner", "who")]).drop("who")
    source.backend.create_table("assigned", _with_segments(source, rows, segments))
    return Exposed(made, learners, several, homeless, _carried(source, every, people, phase))


def during(decisions: Table, phase: Phase) -> Table:
    """The decisions made while a phase held."""
    kept = decisions.filter(decisions["at"] >= ibis.literal(utc(phase.started_at), "timestamp"))
    return kept if phase.stopped_at is None else kept.filter(kept["at"] < ibis.literal(utc(phase.stopped_at), "timestamp"))


def first_exposures(source: Source) -> Table:
    """(unit, learner, at) of `assigned`: what outcomes are asked of."""
    found = source.backend.table("assigned")
    return found.group_by("unit").agg(at=found.assigned_at.min()).select("unit", "at", learner="unit")


def utc(at: datetime) -> datetime:
    """The same without its zone."""
    return at.astimezone(UTC).replace(tzinfo=None)


def _chosen(met: Table, people: Table, unit: Unit, *, few: bool) -> Table:
    """(learner, arm, since). Whoever met two arms by moving to another cluster stays with the first."""
    if unit != "learner":
        return people.select("learner", "arm", since="at")
    if few:
        return people.filter(people.n == 1).select("learner", "arm", since="at")
    return met.select("learner", "arm", since="at")


def _clustered(source: Source, chosen: Table, unit: Unit) -> tuple[Table, int]:
    """With `cluster`, null where learners are assigned one by one; and how many belong to none and are left out."""
    if unit == "learner":
        return chosen.mutate(cluster=ibis.null("string")), 0
    column = _CLUSTERS[unit]
    found = belonged(source, chosen, column).rename(cluster=column)
    all_, kept = _numbers(source, chosen.agg(a=chosen.count()).cross_join(found.agg(b=found.count())))
    return found, all_ - kept


def _segments(names: Sequence[str]) -> list[str]:
    strange = next((name for name in names if name not in SEGMENTS), None)
    if strange is not None:
        raise SegmentError(f"field segments: {strange!r} is not known of learners; there are {', '.join(SEGMENTS)}")
    return [SEGMENTS[name] for name in names]


def _with_segments(source: Source, rows: Table, segments: Sequence[str]) -> Table:
    for place, column in enumerate(segments):
        people = rows.select("learner", "since").distinct()
        named = belonged(source, people, column).select(of="learner", said=column)
        rows = rows.left_join(named, [("learner", "of")]).drop("of")
        rows = rows.mutate(**{f"segment_{place}": ibis.coalesce(rows.said, "(none)")}).drop("said")
    return rows.rename(unit="learner", assigned_at="since")


def _carried(source: Source, every: Table, people: Table, phase: Phase) -> int:
    before = (
        every.filter(every["at"] < ibis.literal(utc(phase.started_at), "timestamp")).select("learner", had="arm").distinct()
    )
    both = people.join(before, "learner")
    (found,) = _numbers(source, both.filter(both.arm != both.had).agg(a=both.learner.nunique()))
    return found


def _numbers(source: Source, one_row: Table) -> list[int]:
    return [int(value or 0) for value in source.backend.to_pyarrow(one_row).to_pylist()[0].values()]
