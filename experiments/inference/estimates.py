"""A statistic is an estimate with its interval, or the reason why there is none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A value, its interval at level 1 - alpha, and the p-value of its being zero. `error`: its standard error."""

    value: float
    low: float
    high: float
    p_value: float
    error: float

    def excludes(self, value: float) -> bool:
        """Whether the interval lies wholly on one side of `value`."""
        return self.low > value or self.high < value


@dataclass(frozen=True)
class Inconclusive:
    """No estimate, and why."""

    reason: str
