"""How numbers are written in sentences: a share of the control as percent, all else to three digits."""

import math

from experiments.inference.estimates import Estimate
from experiments.outcomes.measures import Measure


def amount(value: float, one: Measure) -> str:
    """A difference with its sign, on the metric's scale."""
    return f"{100 * value:+.1f} %".replace("-", "−") if one.relative else number(value, sign=True)


def interval(found: Estimate, one: Measure) -> str:
    """The interval of a difference."""
    return f"95 % interval {amount(found.low, one)} to {amount(found.high, one)}"


def number(value: float, *, sign: bool = False) -> str:
    """Three digits or all before the point, with a true minus."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "?"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:{'+' if sign else ''},.{min(places, 10)}f}".replace("-", "−")


def chance(p_value: float) -> str:
    """A p-value."""
    return "< .0001" if p_value < 1e-4 else f"{p_value:.4f}".removeprefix("0")
