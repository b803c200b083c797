"""Each arm beside the control on one metric, on the scale that was registered and on the other."""

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.design import Design
from experiments.inference.bayes import chance_above
from experiments.inference.estimates import Estimate, Inconclusive
from experiments.inference.intervals import TUNED_TO, always_valid, always_valid_share, fixed
from experiments.inference.lifts import Lift, lift
from experiments.inference.samples import Moments, Sample, adjusted, ratio
from experiments.outcomes.measures import Measure


@dataclass(frozen=True)
class Comparison:
    """One arm and the control on one metric.

    `found`: by the registered scale and regime; `at_one_look` and `at_any_look`: by either regime; `unadjusted`: without what
    is known from before; `other`: on the scale that does not decide. `winning`: the chance that the arm is better. `saved`: the
    share of variance that adjusting took off, None where nothing was adjusted.
    """

    measure: Measure
    arm: str
    found: Estimate | Inconclusive
    at_one_look: Estimate | Inconclusive
    at_any_look: Estimate | Inconclusive
    unadjusted: Estimate | Inconclusive
    other: Estimate | Inconclusive
    control_sample: Sample | None
    arm_sample: Sample | None
    winning: float | None
    saved: float | None

    @property
    def name(self) -> str:
        return self.measure.name


def compare(arms: Mapping[str, Moments], one: Measure, design: Design) -> list[Comparison]:
    """Every other arm that has units with the control."""
    raw = {arm: ratio(moments) for arm, moments in arms.items()}
    samples, saved = _samples(arms, raw)
    return [_compared(arm, raw, samples, saved, one, design) for arm in design.treatments if design.allocation[arm] > 0]


def _samples(
    arms: Mapping[str, Moments], raw: Mapping[str, Sample | Inconclusive]
) -> tuple[Mapping[str, Sample | Inconclusive], Mapping[str, float]]:
    """Adjusted where something from before explains the outcome; and by how much of the variance, arm by arm."""
    found = adjusted(dict(arms))
    if isinstance(found, Inconclusive):
        return raw, {}
    before = {arm: one.variance for arm, one in raw.items() if isinstance(one, Sample)}
    return found, {arm: 1 - one.variance / before[arm] for arm, one in found.items() if before.get(arm)}


def _compared(
    arm: str,
    raw: Mapping[str, Sample | Inconclusive],
    samples: Mapping[str, Sample | Inconclusive],
    saved: Mapping[str, float],
    one: Measure,
    design: Design,
) -> Comparison:
    control, treated = samples.get(design.control), samples.get(arm)
    step = between(control, treated, relative=one.relative)
    once, always = at(step, design, "fixed"), at(step, design, "always-valid")
    found = always if design.peeking == "always-valid" else once
    return Comparison(
        measure=one,
        arm=arm,
        found=found,
        at_one_look=once,
        at_any_look=always,
        unadjusted=at(between(raw.get(design.control), raw.get(arm), relative=one.relative), design, design.peeking),
        other=at(between(control, treated, relative=not one.relative), design, design.peeking),
        control_sample=control if isinstance(control, Sample) else None,
        arm_sample=treated if isinstance(treated, Sample) else None,
        winning=None if isinstance(once, Inconclusive) else chance_above(one.signed(once.value), once.error),
        saved=saved.get(arm),
    )


def between(control: Sample | Inconclusive | None, arm: Sample | Inconclusive | None, *, relative: bool) -> Lift | Inconclusive:
    """The lift between two samples, or why there is none."""
    for one in (control, arm):
        if isinstance(one, Inconclusive):
            return one
    if not isinstance(control, Sample) or not isinstance(arm, Sample):
        return Inconclusive("an arm has no outcome of this metric")
    return lift(control, arm, relative=relative)


def at(step: Lift | Inconclusive, design: Design, peeking: str) -> Estimate | Inconclusive:
    """The lift with the interval of a regime."""
    if isinstance(step, Inconclusive):
        return step
    if peeking == "fixed":
        return fixed(step)
    planned = design.planned_units or TUNED_TO
    return always_valid(step, planned) if step.share_of is None else always_valid_share(*step.share_of, planned)
