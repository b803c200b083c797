"""How many units an effect needs, and which effect a number of units can find.

Two arms of which the second has `ratio` times the units of the first, the control. Effects are in the metric's own units, and
a deviation is that of one randomised unit. Units are counted as they fall out, to a fraction.
"""

import math
from dataclasses import dataclass
from typing import Final

from scipy import optimize, special, stats

from experiments.inference.intervals import ALPHA, always_valid
from experiments.inference.lifts import Lift

POWER: Final = 0.8
FEW: Final = 100
"""Units in the smaller arm below which Student's t is used: there it asks for about one unit more than the normal does."""
_MOST: Final = 1e18


@dataclass(frozen=True)
class Test:
    """How the result will be read. `tuned_to`: None for one look at the horizon, else an always-valid interval tuned to it."""

    __test__ = False  # for pytest this name means something else
    power: float = POWER
    alpha: float = ALPHA
    ratio: float = 1.0
    tuned_to: float | None = None


def units_in_control(effect: float, deviation: float, test: Test = Test(), *, correlation: float = 0.0) -> float:
    """Units that the control needs for `effect` to be found; the other arm needs `test.ratio` times as many.

    `correlation`: of the outcome with what is known from before, whose adjustment (CUPED) takes its square off the variance.
    Raises ValueError for an effect of zero.
    """
    if effect == 0:
        raise ValueError("an effect of zero cannot be found by any number of units")
    left = deviation * math.sqrt(1 - correlation**2)
    if left == 0:
        return 2.0
    size = abs(effect) / left
    if test.tuned_to is not None:
        return _always_valid(size, test)
    found = (1 + 1 / test.ratio) * (_reach(test.power, test.alpha) / size) ** 2
    return _by_t(size, test) if min(found, found * test.ratio) < FEW else found


def detectable(units: float, deviation: float, test: Test = Test(), *, correlation: float = 0.0) -> float:
    """The smallest effect that `units` in the control, and `test.ratio` times as many in the other arm, find."""
    error = deviation * math.sqrt((1 - correlation**2) * (1 + 1 / test.ratio) / units)
    if test.tuned_to is None and min(units, units * test.ratio) < FEW:
        return deviation * math.sqrt(1 - correlation**2) * _of_t(units, test)
    alpha = test.alpha if test.tuned_to is None else _alpha_at(units * (1 + test.ratio), test)
    return error * _reach(test.power, alpha)


def inflation(size: float, similarity: float, variation: float = 0.0) -> float:
    """The design effect: how many times more learners are needed where clusters of mean `size` are randomised.

    `similarity`: how members of one correlate (the intra-cluster correlation). `variation`: the coefficient of variation of
    the sizes (Eldridge, Ashby, Kerry 2006).
    """
    return 1 + ((1 + variation**2) * size - 1) * similarity


def _reach(power: float, alpha: float) -> float:
    return float(stats.norm.isf(alpha / 2) + stats.norm.ppf(power))


def _by_t(size: float, test: Test) -> float:
    """At least two units in the smaller arm."""
    fewest, most = max(2.0, 2.0 / test.ratio), 4.0 * FEW * max(1.0, 1.0 / test.ratio)
    if detectable(fewest, 1.0, test) <= size:
        return fewest
    return float(optimize.brentq(lambda units: _of_t(units, test) - size, fewest, most))


def _of_t(units: float, test: Test) -> float:
    """What `units` in the control find of a deviation of 1, by the noncentral t; the chance of the wrong sign is left out."""
    freedom = units * (1 + test.ratio) - 2
    edge = stats.t.isf(test.alpha / 2, freedom)
    return float(special.nctdtrinc(freedom, 1 - test.power, edge)) * math.sqrt((1 + 1 / test.ratio) / units)


def _alpha_at(units: float, test: Test) -> float:
    """The level that an always-valid interval has at one look, at `units` in all."""
    edge = always_valid(Lift(0.0, 1.0, units - 2, round(max(units, 2))), test.tuned_to or 0.0, test.alpha).high
    return float(2 * stats.norm.sf(edge))


def _always_valid(size: float, test: Test) -> float:
    def too_small(log: float) -> float:
        return detectable(math.exp(log), 1.0, test) - size

    if too_small(math.log(2)) <= 0:
        return 2.0
    return math.exp(float(optimize.brentq(too_small, math.log(2), math.log(_MOST))))
