"""The metrics of a design as an analysis reads them."""

from dataclasses import dataclass
from typing import Literal

from experiments.design import Design, Goal, Guardrail, Primary

Role = Literal["primary", "goal", "guardrail"]


@dataclass(frozen=True)
class Measure:
    """A metric, what it is for, and how it is read. `bar`: the minimum effect of the primary, the margin of a guardrail."""

    name: str
    role: Role
    relative: bool
    up: bool
    bar: float | None
    denominator: str | None
    covariate: str | None
    missing_is_zero: bool

    def signed(self, value: float) -> float:
        """The value so that more is better."""
        return value if self.up else -value


def measures(design: Design) -> list[Measure]:
    """All of a design: primary, goals, guardrails."""
    return [_measure(one) for one in (design.primary, *design.goals, *design.guardrails)]


def _measure(goal: Goal) -> Measure:
    role: Role = "primary" if isinstance(goal, Primary) else "guardrail" if isinstance(goal, Guardrail) else "goal"
    bar = goal.minimum_effect if isinstance(goal, Primary) else goal.margin if isinstance(goal, Guardrail) else None
    return Measure(
        name=goal.metric,
        role=role,
        relative=goal.relative,
        up=goal.direction != "down",
        bar=bar,
        denominator=goal.denominator,
        covariate=goal.covariate,
        missing_is_zero=goal.missing == "zero",
    )


def metrics_of(design: Design) -> set[str]:
    """All metrics that a design reads, what they are divided by and what explains them included."""
    goals = (design.primary, *design.goals, *design.guardrails)
    return {name for one in goals for name in (one.metric, one.denominator, one.covariate) if name is not None}
