"""The page's words about what was registered, and about how the numbers came about."""

from html import escape

from experiments.analysis import Reading
from experiments.design import Goal
from experiments.inference.intervals import TUNED_TO
from experiments.words import registered


def expected(reading: Reading) -> str:
    """What was written down before the start."""
    design = reading.design
    hypothesis = f"<p>{escape(design.hypothesis)}</p>" if design.hypothesis else ""
    effect = design.primary.minimum_effect
    least = (
        ""
        if effect is None
        else f"; a change of {registered(effect, relative=design.primary.relative).lstrip('+')} is worth it"
    )
    scale = "as a share of the control's mean" if design.primary.relative else "in its own units"
    rows = {
        "Decides": f"{_goal(design.primary)}, {scale}{least}",
        "Must not get worse": "; ".join(
            f"{_goal(one)} by more than {registered(one.margin, relative=one.relative).lstrip('+')}"
            for one in design.guardrails
        ),
        "Also hoped for": ", ".join(_goal(one) for one in design.goals),
        "Read": "once, at the horizon" if design.peeking == "fixed" else "at any time, with intervals made for that",
        "Planned": None if design.planned_units is None else f"{design.planned_units:,} units",
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in rows.items() if text)
    return f"<section><h2>What was expected</h2>{hypothesis}<dl>{items}</dl></section>"


def _goal(goal: Goal) -> str:
    name = goal.metric if goal.denominator is None else f"{goal.metric} per {goal.denominator}"
    return f"{name} ({'less' if goal.direction == 'down' else 'more'} is better)"


def method(reading: Reading) -> str:
    """How the numbers came about, as far as this experiment used it."""
    design = reading.design
    told = ["Intention to treat: each unit counts in the arm that it was given, whatever it met there."]
    if reading.comparisons:
        told += _intervals(reading)
    told.append("Sizes of the arms: chi-square against the allocation; a p-value below .001 withholds the result.")
    if design.horizon_days is not None and design.peeking == "fixed":
        told.append("Before its horizon a fixed look is not read: whoever looks often enough finds something in nothing.")
    items = "".join(f"<li>{escape(one)}</li>" for one in told)
    return f"<section><h2>How the numbers came about</h2><ul class=note>{items}</ul></section>"


def _intervals(reading: Reading) -> list[str]:
    design, told = reading.design, []
    tuned = design.planned_units or TUNED_TO
    told.append("At one look: Welch's t; shares of the control's mean and ratios by the delta method.")
    told.append(f"At any look: the confidence sequence of Waudby-Smith et al. (2021, eq. 9), narrowest at {tuned:,} units.")
    metrics = (design.primary, *design.goals, *design.guardrails)
    if design.peeking == "always-valid" or any(one.relative for one in metrics):
        told.append("Shares of the control's mean at any look: those that this leaves possible, by Fieller's theorem.")
    if reading.health.units != reading.health.randomised:
        told.append("Whole clusters were assigned: they are what is counted, and the interval is as wide as that makes it.")
    saved = [one.saved for one in reading.of("primary") if one.saved is not None]
    if saved and max(saved) >= 0.01:
        told.append(
            f"What is known from before the assignment explains {max(saved):.0%} of the variance and is taken off (CUPED)."
        )
    if len(reading.of("primary")) > 1 or len(reading.of("goal")) > 1:
        told.append("Several arms or goals: p-values by Holm's method; intervals are not widened.")
    if reading.segments:
        told.append("Parts are drawn together by empirical Bayes (Paule and Mandel), their difference tested by Cochran's Q.")
    return told
