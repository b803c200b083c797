"""The primary's effect in parts of the audience, each drawn towards the whole, small parts put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scipy import stats

from experiments.comparisons import Comparison, compare
from experiments.design import Design
from experiments.inference.estimates import Estimate
from experiments.inference.samples import Moments
from experiments.inference.shrinkage import shrunk
from experiments.outcomes.measures import Measure
from experiments.outcomes.sums import by_segment
from experiments.outcomes.tables import Tables

FEWEST: Final = 5
"""Groups of fewer are never shown: they would tell of single people."""
MOST: Final = 20
"""Values of one segment that are shown."""


@dataclass(frozen=True)
class Part:
    """One value of a segment in one arm. `alone`: what its own data say; `low`, `value`, `high`: after shrinkage."""

    value_of: str
    n: int
    alone: Estimate
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Segment:
    """All shown parts of a segment in one arm. `differ_p`: of an effect alike in all. `hidden`: how many are not shown."""

    name: str
    arm: str
    parts: Sequence[Part]
    differ_p: float
    hidden: int


def segments(tables: Tables, one: Measure, design: Design) -> list[Segment]:
    """Of each segment of the design and each arm with two parts to show, of what was measured last."""
    found = []
    for place, name in enumerate(design.segments):
        values = by_segment(tables, place)
        shown = _shown(values, design)
        compared = {value: compare(arms, one, design) for value, arms in shown.items()}
        found += [
            segment
            for index, arm in enumerate(arm for arm in design.treatments if design.allocation[arm] > 0)
            if (segment := _segment(name, arm, {value: all_[index] for value, all_ in compared.items()}, len(values)))
        ]
    return found


def _shown(values: Mapping[str, Mapping[str, Moments]], design: Design) -> dict[str, Mapping[str, Moments]]:
    """The largest; where one alone would be left out, the next smallest goes with it, or the whole would give it away."""
    live = [arm for arm, share in design.allocation.items() if share > 0]
    smallest = {value: min(arms[arm].n if arm in arms else 0 for arm in live) for value, arms in values.items()}
    order = sorted(values, key=lambda value: (-smallest[value], value))
    enough = [value for value in order if smallest[value] >= FEWEST][:MOST]
    if len(values) - len(enough) == 1:
        enough = enough[:-1]
    return {value: values[value] for value in enough}


def _segment(name: str, arm: str, compared: Mapping[str, Comparison], given: int) -> Segment | None:
    tested = {value: (one, one.at_one_look) for value, one in compared.items() if isinstance(one.at_one_look, Estimate)}
    if len(tested) < 2:
        return None
    drawn = shrunk([found.value for _, found in tested.values()], [found.error for _, found in tested.values()])
    reach = float(stats.norm.isf(0.025))
    parts = [
        Part(value, _size(one), found, centre, centre - reach * error, centre + reach * error)
        for (value, (one, found)), centre, error in zip(tested.items(), drawn.values, drawn.errors, strict=True)
    ]
    return Segment(name, arm, parts, drawn.differ_p, given - len(parts))


def _size(one: Comparison) -> int:
    return sum(sample.n for sample in (one.control_sample, one.arm_sample) if sample is not None)
