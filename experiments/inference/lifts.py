"""How far one arm stands from another, absolutely or relative to it."""

from dataclasses import dataclass
from typing import Final

from scipy import stats

from experiments.inference.estimates import Inconclusive
from experiments.inference.samples import Sample

_ROUNDING: Final = 1e-20
"""A variance of less than this share of the squared mean is what is left of adding equal numbers."""


@dataclass(frozen=True)
class Lift:
    """A difference, its variance, the degrees of freedom of that variance (Welch-Satterthwaite) and the units behind it.

    `share_of`: control and arm, where the difference is a share of the control's mean.
    """

    value: float
    variance: float
    freedom: float
    n: int
    share_of: tuple[Sample, Sample] | None = None


def lift(control: Sample, arm: Sample, *, relative: bool) -> Lift | Inconclusive:
    """The difference of the means, or that as a share of the control's: `relative_lift`. Refused where nothing varies."""
    if min(control.n, arm.n) < 2:
        return Inconclusive("an arm has fewer than two independent units, so chance cannot be told from effect")
    if all(one.variance <= _ROUNDING * one.mean**2 for one in (control, arm)):
        return Inconclusive("all units have the same value in each arm: without spread nothing can be tested")
    found = relative_lift(control, arm) if relative else absolute_lift(control, arm)
    if isinstance(found, Lift) and found.variance <= 0:
        return Inconclusive("all units of an arm are at zero, so how sure it is of a share of the control cannot be told")
    return found


def absolute_lift(control: Sample, arm: Sample) -> Lift:
    """The difference of the means."""
    variance = control.variance / control.n + arm.variance / arm.n
    return Lift(arm.mean - control.mean, variance, _freedom(control, arm), control.n + arm.n)


def relative_lift(control: Sample, arm: Sample) -> Lift | Inconclusive:
    """The difference as a share of the control's mean by the delta method; positive is more, also from a negative mean.

    Refused where the control's own 95 % interval holds zero: a share of what may be nothing says nothing.
    """
    if abs(control.mean) <= stats.norm.isf(0.025) * control.error:
        return Inconclusive("the control's mean cannot be told from zero, so no share of it can be given")
    square = control.mean**2
    variance = arm.variance / arm.n / square + control.variance / control.n * arm.mean**2 / square**2
    value, n = (arm.mean - control.mean) / abs(control.mean), control.n + arm.n
    return Lift(value, variance, _freedom(control, arm), n, (control, arm))


def _freedom(control: Sample, arm: Sample) -> float:
    """Welch-Satterthwaite: between the smaller n - 1 and the sum of both."""
    parts = [(one.variance / one.n, one.n - 1) for one in (control, arm)]
    return float(sum(part for part, _ in parts) ** 2 / sum(part**2 / freedom for part, freedom in parts))
