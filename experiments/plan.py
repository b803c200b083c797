"""Before the start: how many units each metric needs, which effect those there are can find, and how long that takes."""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.design import Design, DesignError
from experiments.inference.baselines import Baseline
from experiments.inference.intervals import ALPHA, TUNED_TO
from experiments.inference.power import Test, detectable, units_in_control
from experiments.outcomes.measures import Measure, measures
from experiments.traffic import Traffic
from experiments.words import registered


@dataclass(frozen=True)
class Need:
    """Of one metric. `effect`: the least that is worth it, or the margin, in the metric's own units; None: none is registered.

    `units`: in all arms together for that effect, `without`: the same without what is known from before. `finds`: the smallest
    effect, in the registered terms, that the units there are find; None where it is not known how many there are.
    """

    measure: Measure
    baseline: Baseline
    effect: float | None
    units: float | None
    without: float | None
    finds: float | None


@dataclass(frozen=True)
class Plan:
    """`there`: the units within the horizon by the traffic, or those that the design plans. `days`: until the primary has its
    units; None where there is no traffic, or never. `unknown`: metric -> why nothing is known of its past. `hopeless`: why
    starting it would be in vain, None where it would not.
    """

    design: Design
    needs: tuple[Need, ...]
    unknown: Mapping[str, str]
    traffic: Traffic | None
    there: float | None
    days: int | None
    hopeless: str | None

    @property
    def primary(self) -> Need | None:
        """Of the metric that decides, None where nothing is known of its past."""
        return next((one for one in self.needs if one.measure.role == "primary"), None)


def plan(design: Design, baselines: Mapping[str, Baseline | str], traffic: Traffic | None) -> Plan:
    """The plan of a design. `baselines`: metric -> what is known of its past, or why nothing is. Raises DesignError."""
    if design.allocation[design.control] == 0:
        raise DesignError(f"field allocation.{design.control}: the control is paused, so nothing can be compared")
    there = _there(design, traffic)
    known = [(one, baselines[one.name]) for one in measures(design) if one.name in baselines]
    needs = tuple(_need(one, found, design, there) for one, found in known if isinstance(found, Baseline))
    unknown = {one.name: found for one, found in known if isinstance(found, str)}
    primary = next((one for one in needs if one.measure.role == "primary"), None)
    days = None if primary is None or primary.units is None or traffic is None else traffic.days_for(primary.units)
    hopeless = None if primary is None else _hopeless(primary, design, traffic, there, days)
    return Plan(design, needs, unknown, traffic, there, days, hopeless)


def _there(design: Design, traffic: Traffic | None) -> float | None:
    if traffic is None:
        return None if design.planned_units is None else float(design.planned_units)
    return float(traffic.there) if design.horizon_days is None else traffic.within(design.horizon_days)


def _need(one: Measure, baseline: Baseline, design: Design, there: float | None) -> Need:
    scale = abs(baseline.mean) if one.relative else 1.0
    effect = None if one.bar is None or scale == 0 else one.bar * scale
    finds = None if not there or scale == 0 else _finds(there, baseline, one, design) / scale
    if effect is None:
        return Need(one, baseline, None, None, None, finds)
    with_before = _units(effect, baseline, one, design, baseline.correlation)
    return Need(one, baseline, effect, with_before, _units(effect, baseline, one, design, 0.0), finds)


def _units(effect: float, baseline: Baseline, one: Measure, design: Design, correlation: float) -> float:
    """In all arms, so that each arm finds the effect."""
    share = design.allocation[design.control]
    return max(
        units_in_control(effect, baseline.deviation, test, correlation=correlation) / share for test in _tests(one, design)
    )


def _finds(there: float, baseline: Baseline, one: Measure, design: Design) -> float:
    """The smallest effect that each arm finds."""
    control = there * design.allocation[design.control]
    if min(control, *(control * test.ratio for test in _tests(one, design))) < 2:
        return float("inf")
    return max(detectable(control, baseline.deviation, test, correlation=baseline.correlation) for test in _tests(one, design))


def _tests(one: Measure, design: Design) -> list[Test]:
    """Each arm that is not paused against the control; of the primary and of goals at a level that all arms share."""
    live = [arm for arm in design.treatments if design.allocation[arm] > 0]
    alpha = ALPHA if one.role == "guardrail" else ALPHA / len(live)
    tuned = float(design.planned_units or TUNED_TO) if design.peeking == "always-valid" else None
    control = design.allocation[design.control]
    return [Test(alpha=alpha, ratio=design.allocation[arm] / control, tuned_to=tuned) for arm in live]


def _hopeless(primary: Need, design: Design, traffic: Traffic | None, there: float | None, days: int | None) -> str | None:
    if primary.baseline.deviation == 0:
        return f"{primary.measure.name} was the same for all units in the past: without spread nothing can be found"
    if primary.units is None or there is None or primary.units <= there:
        return None
    what = f"{primary.units:,.0f} {units_of(design)} are needed to find {_least(primary)}"
    finds = "" if primary.finds is None or primary.finds == float("inf") else f", which find {_finding(primary)} or more"
    if traffic is None:
        return f"{what}, and {there:,.0f} are planned{finds}"
    if days is None:
        return f"{what}, and there are {traffic.there:,} in all{_lately(traffic)}: it would never be shown"
    horizon = f"within the horizon of {design.horizon_days} days come {there:,.0f}{finds}"
    return f"{what}, which takes {days:,} days of this tenant's traffic; {horizon}"


def _lately(traffic: Traffic) -> str:
    return "" if traffic.a_day else ", and lately no new ones come"


def _least(primary: Need) -> str:
    bar = primary.measure.bar or 0.0
    return f"a change of {registered(bar, relative=primary.measure.relative).lstrip('+')}"


def _finding(primary: Need) -> str:
    return found_of(primary.finds or 0.0, relative=primary.measure.relative)


def found_of(effect: float, *, relative: bool) -> str:
    """A smallest detectable effect in words, to two digits."""
    return f"{float(f'{100 * effect:.2g}'):g}\u00a0%" if relative else f"{float(f'{effect:.2g}'):g}"


def units_of(design: Design) -> str:
    """What is randomised, as a word for many."""
    return f"{design.unit}s"
