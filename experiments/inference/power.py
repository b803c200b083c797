"""How many units an effect needs, and which effect a number of units can find."""

from scipy import stats


def units_per_arm(
    effect: float, deviation: float, *, power: float = 0.8, alpha: float = 0.05, correlation: float = 0.0
) -> float:
    """Units in each of two equal arms for a two-sided test to find an absolute `effect`.

    `deviation`: standard deviation of one unit. `correlation`: of the outcome with what is known from before, whose adjustment
    (CUPED) takes its square off the variance. Raises ValueError for an effect of zero.
    """
    if effect == 0:
        raise ValueError("an effect of zero cannot be found by any number of units")
    return 2 * (_reach(power, alpha) * deviation / effect) ** 2 * (1 - correlation**2)


def detectable(units: float, deviation: float, *, power: float = 0.8, alpha: float = 0.05, correlation: float = 0.0) -> float:
    """The smallest absolute effect that `units` in each of two equal arms find."""
    return float(_reach(power, alpha) * deviation * (2 * (1 - correlation**2) / units) ** 0.5)


def clustered(units: float, size: float, similarity: float) -> float:
    """Units needed where clusters of `size` are randomised whose members correlate by `similarity` (the design effect)."""
    return units * (1 + (size - 1) * similarity)


def _reach(power: float, alpha: float) -> float:
    return float(stats.norm.isf(alpha / 2) + stats.norm.ppf(power))
