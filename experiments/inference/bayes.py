"""The same result for readers who want a chance: normal likelihood, normal prior."""

import math

from scipy import stats


def chance_above(value: float, error: float, *, bar: float = 0.0, prior: float = math.inf) -> float:
    """The probability that the true effect is above `bar`, given an estimate and its standard error (above 0).

    `prior`: standard deviation of effects around zero before the data; infinite lets the data speak alone.
    """
    keep = 1.0 if math.isinf(prior) else prior**2 / (prior**2 + error**2)
    return float(stats.norm.sf((bar - keep * value) / (error * keep**0.5)))
