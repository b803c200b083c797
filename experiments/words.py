"""How numbers are written: a share of the control as percent, all else to three digits."""

import math

from experiments.inference.estimates import Estimate
from experiments.outcomes.measures import Measure


def amount(value: float, one: Measure) -> str:
    """A difference with its sign, on the metric's scale."""
    return difference(value, relative=one.relative)


def difference(value: float, *, relative: bool) -> str:
    """A difference with its sign: percent where it is a share of the control's mean."""
    return f"{100 * value:+.1f}\u00a0%".replace("-", "−") if relative else number(value, sign=True)


def registered(value: float, *, relative: bool) -> str:
    """A difference that somebody chose, or the tick of an axis: no more digits than it has."""
    if value == 0:
        return "0 %" if relative else "0"
    return f"{100 * value:+.4g}\u00a0%".replace("-", "−") if relative else f"{value:+.4g}".replace("-", "−")


def interval(found: Estimate, one: Measure) -> str:
    """The interval of a difference."""
    return f"95\u00a0% interval {amount(found.low, one)} to {amount(found.high, one)}"


def number(value: float, *, sign: bool = False) -> str:
    """Three digits or all before the point, with a true minus."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "?"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:{'+' if sign else ''},.{min(places, 10)}f}".replace("-", "−")


def chance(p_value: float) -> str:
    """A p-value."""
    return "< .0001" if p_value < 1e-4 else f"{p_value:.4f}".removeprefix("0")
