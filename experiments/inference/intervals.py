"""From a lift to an estimate: for one look at a horizon, or valid at every look."""

import math
from typing import Final

from scipy import stats

from experiments.inference.estimates import Estimate
from experiments.inference.lifts import Lift

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
    log = -2 * math.log(alpha)
    rho = math.sqrt((log + math.log(log + 1)) / tuned_to)
    spread, grown = lift.variance * lift.n, lift.n * rho**2 + 1
    half = math.sqrt(spread * 2 * grown * math.log(math.sqrt(grown) / alpha)) / (lift.n * rho)
    exponent = (lift.value * lift.n * rho) ** 2 / (2 * spread * grown)
    p_value = min(1.0, math.exp(min(0.5 * math.log(grown) - exponent, 0.0)))
    return Estimate(lift.value, lift.value - half, lift.value + half, p_value, math.sqrt(lift.variance))
