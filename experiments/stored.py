"""The reading of an experiment that ran here: from the decisions and events in the lake to a verdict."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import ibis
from ibis.expr.types import Table

from experiments.analysis import Reading, analyse
from experiments.assignment.phases import Phase, Record
from experiments.design import Design, Goal
from experiments.health import Check
from experiments.metrics.catalogue import metric
from experiments.metrics.exposures import Exposed, expose, first_exposures, utc
from experiments.metrics.rows import before, rows
from experiments.metrics.source import Source, open_source
from experiments.outcomes.measures import metrics_of
from experiments.outcomes.tables import empty, joined
from experiments.prices import Price, prices

_OUTCOMES: Final = ibis.schema({"unit": "string", "metric": "string", "value": "float64", "happened_at": "timestamp(6)"})
G = TypeVar("G", bound=Goal)
MOST_WITHOUT: Final = 0.1
"""An arm that got the champion in place of its bundle in more than this share of its decisions compares nothing."""


def read_stored(lake: Path, record: Record) -> Reading:
    """The newest phase of an experiment, read from its tenant's lake.

    Raises MetricError and SegmentError for a design that asks for what is not defined, LakeError for a lake that is not there.
    """
    phase = record.phases[-1]
    design = defined(phase.design)
    connection = empty()
    source = open_source(connection, lake, record.tenant)
    exposed = expose(source, record, phase)
    cost = prices(source, exposed, phase)
    _write_outcomes(source, exposed, design)
    tables = joined(connection, design, clustered=design.unit != "learner")
    tables = replace(tables, began_at=utc(phase.started_at), until=source.until)
    checks = [_met(exposed, phase), _bundles(cost)]
    reading = analyse(tables, design, now=source.until, more=checks)
    return replace(reading, prices=cost, notes=notes(record, exposed, source))


def defined(design: Design) -> Design:
    """The design with what its metrics' own definitions say: the direction where it says none, and what no row means.

    It keeps the digest of what was registered. Raises MetricError for a metric that nothing defines.
    """
    registered = design.digest
    for name in sorted(metrics_of(design)):
        metric(name)
    found = design.model_copy(
        update={
            "primary": _defined(design.primary),
            "goals": tuple(map(_defined, design.goals)),
            "guardrails": tuple(map(_defined, design.guardrails)),
        }
    )
    vars(found)["digest"] = registered
    return found


def notes(record: Record, exposed: Exposed, source: Source) -> list[str]:
    """In words: which phase this is and what that means, and who is left out."""
    phase, n = record.phases[-1], len(record.phases)
    since = f"{phase.started_at:%Y-%m-%d %H:%M} UTC"
    told = [f"Decisions and events known by {source.until:%Y-%m-%d %H:%M} UTC. Learners count from their first exposure on."]
    if n > 1:
        told.append(
            f"This is phase {n} of {n}, which began at {since}: only decisions since then are exposures, and earlier phases,"
            f" of another design or other shares or stopped, are not added. {exposed.carried:,} learners had another arm in"
            " an earlier phase; what it did to them stays with them and makes arms look more alike than they are."
        )
    if phase.stopped_at is not None:
        told.append(
            f"It was stopped at {phase.stopped_at:%Y-%m-%d %H:%M} UTC; outcomes of those who met it before still count."
        )
    if exposed.several:
        told.append(_in_two(exposed, phase.design))
    if exposed.homeless:
        told.append(f"{exposed.homeless:,} learners of no {phase.design.unit} that the catalogue knows are left out.")
    return told


def _in_two(exposed: Exposed, design: Design) -> str:
    if design.unit != "learner":
        return f"{exposed.several:,} learners moved to a {design.unit} in another arm; they stay with their first one."
    return f"{exposed.several:,} learners met more than one arm, as ids do that are merged into one person."


def _defined(goal: G) -> G:
    said = metric(goal.metric)
    missing = "exclude" if said.whole_window else "zero"
    return goal.model_copy(update={"direction": goal.direction or said.direction, "missing": missing})


def _write_outcomes(source: Source, exposed: Exposed, design: Design) -> None:
    """Table `outcomes(unit, metric, value, happened_at)`: of each metric from the exposure on, and of the time before."""
    exposures = first_exposures(source)
    ours = replace(source, decisions=exposed.decisions)
    source.backend.create_table("outcomes", schema=_OUTCOMES)
    for name in sorted(metrics_of(design)):
        found = metric(name)
        for part in (rows(found, ours, exposures), before(found, source, exposures)):  # one at a time needs the least memory
            source.backend.insert("outcomes", _named(name, part))


def _named(name: str, found: Table) -> Table:
    return found.select("unit", metric=ibis.literal(name), value="value", happened_at="at")


def _met(exposed: Exposed, phase: Phase) -> Check:
    found, since = exposed.learners, f"{phase.started_at:%Y-%m-%d %H:%M} UTC"
    words = f"{found:,} learners met it since {since}"
    if not found:
        words = (
            f"no decision was made in an arm since {since}: nobody was served, nobody is in the audience, or the service does"
            " not follow this folder of experiments"
        )
    return Check("exposed_learners", "Exposures", found > 0, words, found, of_data=True)


def _bundles(cost: Sequence[Price]) -> Check:
    count = sum(one.without_bundle for one in cost)
    worst = max((one.without_bundle / one.decisions for one in cost), default=0.0)
    words = "each decision was made with the bundle of its arm"
    if count:
        words = f"{count:,} decisions were made by the champion, as the bundle of their arm was not there; publish it again"
        words += "" if worst <= MOST_WITHOUT else f": {worst:.0%} of an arm, so the arms hardly differ"
    return Check("without_bundle", "Bundles of the arms", worst <= MOST_WITHOUT, words, count)
