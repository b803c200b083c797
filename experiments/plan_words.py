"""A plan in words for people and as numbers for machines."""

from collections.abc import Iterator
from typing import Any

from experiments.design import Design
from experiments.inference.baselines import Baseline
from experiments.inference.intervals import ALPHA, TUNED_TO
from experiments.inference.power import POWER
from experiments.plan import Need, Plan, found_of, units_of
from experiments.traffic import Traffic
from experiments.words import number, registered

_ROLES = {"primary": ", which decides", "goal": ", hoped for", "guardrail": ", must not get worse"}


def told(plan: Plan) -> Iterator[str]:
    """The lines of a plan, without whether it is hopeless."""
    yield _head(plan.design)
    for one in plan.needs:
        yield from _need(one, plan)
    for name, why in plan.unknown.items():
        yield f"{name}: {why}"
    if plan.traffic is not None:
        yield from _traffic(plan, plan.traffic)


def as_json(plan: Plan) -> dict[str, Any]:
    """The same for machines; what is not known is null."""
    traffic = plan.traffic
    return {
        "name": plan.design.name,
        "design": plan.design.digest,
        "power": POWER,
        "alpha": ALPHA,
        "hopeless": plan.hopeless,
        "units_there": plan.there,
        "days": plan.days,
        "horizon_days": plan.design.horizon_days,
        "metrics": [_numbers(one, plan.design) for one in plan.needs],
        "unknown": dict(plan.unknown),
        "traffic": None if traffic is None else _counts(traffic),
    }


def _head(design: Design) -> str:
    shares = ", ".join(f"{arm} {share:g}" for arm, share in design.allocation.items())
    read = f"always-valid intervals, narrowest at {design.planned_units or TUNED_TO:,} {units_of(design)}"
    read = "one look" if design.peeking == "fixed" else read
    horizon = "" if design.horizon_days is None else f" over {design.horizon_days} days"
    several = sum(share > 0 for share in design.allocation.values()) - 1
    level = f"{ALPHA:.0%}" if several == 1 else f"{ALPHA:.0%} shared by {several} arms"
    return f"{design.name}: {shares} of {units_of(design)}{horizon}; {POWER:.0%} power at {level}, {read}"


def _need(one: Need, plan: Plan) -> Iterator[str]:
    yield f"{one.measure.name}{_ROLES[one.measure.role]}: {_baseline(one.baseline, plan.design)}"
    if one.units is not None and one.without is not None:
        yield f"  {_needed(one, plan.design)}"
    elif one.measure.bar is not None:
        yield "  a share of a mean of 0 cannot be found; register it in the metric's own units (relative = false)"
    elif one.measure.role == "primary":
        yield "  no minimum_effect is registered, so nothing says whether it can be found; register what is worth it"
    if one.finds is not None and plan.there:
        yield f"  {_finds(one, plan, plan.there)}"
        if one.measure.role == "guardrail" and (one.units or 0) > plan.there:
            yield "  so it will hardly be shown within its margin, and without that nothing ships: widen it, or take more units"


def _baseline(one: Baseline, design: Design) -> str:
    origin = "given" if one.units is None else f"past of {one.units:,} {units_of(design)}"
    words = f"mean {number(one.mean)}, deviation {number(one.deviation)} of one {design.unit} ({origin})"
    if one.size > 1:
        alike = "" if one.similarity is None else f", who correlate by {one.similarity:.2g}"
        words += f"; {one.size:.3g} learners a {design.unit}{alike}: design effect {one.inflation:.2g}"
    return words


def _needed(one: Need, design: Design) -> str:
    bar = registered(one.measure.bar or 0.0, relative=one.measure.relative).lstrip("+")
    what = "being off by less than" if one.measure.role == "guardrail" else "finding"
    words = f"{what} {bar} needs {_arms(one.without or 0.0, design)}"
    if one.baseline.correlation and one.units is not None:
        words += (
            f", and with CUPED {_arms(one.units, design)} (correlation {one.baseline.correlation:.2g} with what was before)"
        )
    return words


def _finds(one: Need, plan: Plan, there: float) -> str:
    if one.finds == float("inf"):
        return f"with {_arms(there, plan.design)} nothing can be detected: an arm has fewer than two"
    whence = "planned" if plan.traffic is None else "there" if plan.design.horizon_days is None else "by the horizon"
    smallest = found_of(one.finds or 0.0, relative=one.measure.relative)
    return f"with {_arms(there, plan.design)} {whence}, the smallest detectable change is {smallest}"


def _arms(units: float, design: Design) -> str:
    """`613 an arm`, or each arm by name where shares differ."""
    live = {arm: share for arm, share in design.allocation.items() if share > 0}
    if len(set(live.values())) == 1:
        return f"{units / len(live):,.0f} an arm"
    return " and ".join(f"{units * share:,.0f} in {arm}" for arm, share in live.items())


def _traffic(plan: Plan, found: Traffic) -> Iterator[str]:
    design = plan.design
    out = ", ".join(f"{count:,} {reason}" for reason, count in sorted(found.left_out.items()))
    yield (
        f"traffic, by {found.source} of {found.since} to {found.until}: {found.met[-1]:,} {units_of(design)} came who would be"
        f" in an arm, lately {found.a_day:.3g} new ones a day, {found.there:,} in all"
        f"{f'; left out: {out}' if out else ''}"
    )
    if plan.primary is not None and plan.primary.units is not None:
        horizon = "" if design.horizon_days is None else f" (the horizon is {design.horizon_days})"
        yield f"days needed: {'never enough' if plan.days is None else f'{plan.days:,}'}{horizon}"


def _numbers(one: Need, design: Design) -> dict[str, Any]:
    units = one.units
    return {
        "name": one.measure.name,
        "role": one.measure.role,
        "relative": one.measure.relative,
        "mean": one.baseline.mean,
        "deviation": one.baseline.deviation,
        "correlation": one.baseline.correlation,
        "design_effect": one.baseline.inflation,
        "similarity": one.baseline.similarity,
        "past_units": one.baseline.units,
        "effect": one.effect,
        "units": units,
        "units_without_cuped": one.without,
        "arms": None if units is None else {arm: units * share for arm, share in design.allocation.items()},
        "smallest_detectable": None if one.finds == float("inf") else one.finds,
    }


def _counts(one: Traffic) -> dict[str, Any]:
    return {
        "source": one.source,
        "since": one.since.isoformat(),
        "until": one.until.isoformat(),
        "units": int(one.met[-1]),
        "new_a_day": one.a_day,
        "there": one.there,
        "left_out": dict(one.left_out),
    }
