"""From a lift to an estimate: for one look at a horizon, or valid at every look."""

import math
from typing import Final

from scipy import stats

from experiments.inference.estimates import Estimate, Inconclusive
from experiments.inference.lifts import Lift, absolute_lift
from experiments.inference.samples import Sample

ALPHA: Final = 0.05
TUNED_TO: Final = 5000
"""Units at which the always-valid interval is narrowest where no sample size was registered, as in GrowthBook."""


def fixed(lift: Lift, alpha: float = ALPHA) -> Estimate:
    """Welch's interval: right at the one look that was registered, and at no other."""
    error = math.sqrt(lift.variance)
    half = float(stats.t.isf(alpha / 2, lift.freedom)) * error
    p_value = 2 * float(stats.t.sf(abs(lift.value) / error, lift.freedom))
    return Estimate(lift.value, lift.value - half, lift.value + half, p_value, error)


def always_valid(lift: Lift, tuned_to: float = TUNED_TO, alpha: float = ALPHA) -> Estimate:
    """The asymptotic confidence sequence of Waudby-Smith et al. (2021, eq. 9), as GrowthBook has it: right at all looks.

    `tuned_to`: the number of units, fixed before the start, at which it is narrowest.
    """
    rho = _tuned(tuned_to, alpha)
    spread, grown = lift.variance * lift.n, lift.n * rho**2 + 1
    half = math.sqrt(spread * 2 * grown * math.log(math.sqrt(grown) / alpha)) / (lift.n * rho)
    exponent = (lift.value * lift.n * rho) ** 2 / (2 * spread * grown)
    p_value = min(1.0, math.exp(min(0.5 * math.log(grown) - exponent, 0.0)))
    return Estimate(lift.value, lift.value - half, lift.value + half, p_value, math.sqrt(lift.variance))


def always_valid_share(
    control: Sample, arm: Sample, tuned_to: float = TUNED_TO, alpha: float = ALPHA
) -> Estimate | Inconclusive:
    """The same of a share of the control's mean, by Fieller (1954): all shares r at which arm - (1 + r) control may be zero.

    The delta method takes the share for normal. At early looks, where the control's mean is hardly known, that finds something
    in nothing oftener than it says; here zero is left out where, and only where, the absolute interval leaves it out.
    """
    step, n = absolute_lift(control, arm), control.n + arm.n
    rho = _tuned(tuned_to, alpha)
    grown = n * rho**2 + 1
    square = 2 * grown * math.log(math.sqrt(grown) / alpha) / (n * rho**2)
    below, above = (square * one.variance / one.n for one in (control, arm))
    known = control.mean**2 - below
    if known <= 0:
        return Inconclusive("the control's mean cannot be told from zero at any look, so no share of it can be given yet")
    middle = arm.mean * control.mean
    reach = math.sqrt(max(middle**2 - known * (arm.mean**2 - above), 0.0))
    low, high = ((middle + side * reach) / known - 1 for side in (-1, 1))
    if control.mean < 0:
        low, high = -high, -low
    value = step.value / abs(control.mean)
    error = math.sqrt(above / square * control.mean**2 + below / square * arm.mean**2) / control.mean**2
    return Estimate(value, low, high, always_valid(step, tuned_to, alpha).p_value, error)


def _tuned(tuned_to: float, alpha: float) -> float:
    """The parameter of the mixture at which the interval is narrowest after so many units."""
    log = -2 * math.log(alpha)
    return math.sqrt((log + math.log(log + 1)) / tuned_to)
