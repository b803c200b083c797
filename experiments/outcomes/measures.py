"""The metrics of a design as an analysis reads them, and one row a unit of each."""

from dataclasses import dataclass
from typing import Final, Literal

from experiments.design import Design, Goal, Guardrail, Primary
from experiments.outcomes.tables import Tables

Role = Literal["primary", "goal", "guardrail"]
_AFTER: Final = "coalesce(o.happened_at >= a.assigned_at, true)"


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


def measure(tables: Tables, one: Measure) -> None:
    """Table `measured(arm, cluster, assigned_at, first, segment_..., y, d, x, known)`, one row a unit, replacing the last one.

    `y`: the sum of its values from the assignment on, `d` what it is divided by, `x` what is known from before, all 0 where
    not known; `first`: when it began to count. `known`: whether there is an outcome.
    """
    tables.run("create or replace temp table after as " + _totals(_AFTER), [one.name])
    _before(tables, one)
    denominator, join = "1.0", ""
    if one.denominator is not None:
        tables.run(
            "create or replace temp table below as " + _totals("coalesce(o.happened_at >= a.assigned_at, true)"),
            [one.denominator],
        )
        denominator, join = "coalesce(below.total, 0.0)", "left join below using (unit)"
    there = "after.total" if one.denominator is None else "coalesce(after.total, below.total)"
    known = "true" if one.missing_is_zero else f"{there} is not null"
    first = "a.assigned_at" if one.missing_is_zero else "coalesce(after.first, a.assigned_at)"
    elsewhere = "0.0" if one.covariate is None else "(select avg(total) from before)"
    tables.run(
        f"create or replace temp table measured as select a.*, coalesce(after.total, 0.0) as y, {denominator} as d, "
        f"coalesce(before.total, {elsewhere}, 0.0) as x, "
        f"{known} as known, {first} as first "
        f"from assigned a left join after using (unit) left join before using (unit) {join}"
    )


def _before(tables: Tables, one: Measure) -> None:
    """Table `before`: the covariate's rows without a time or from before, or the metric's own rows from before."""
    when = "o.happened_at < a.assigned_at" if one.covariate is None else "coalesce(o.happened_at < a.assigned_at, true)"
    tables.run("create or replace temp table before as " + _totals(when), [one.covariate or one.name])


def _totals(when: str) -> str:
    return (
        "select o.unit, sum(o.value) as total, min(o.happened_at) as first from outcomes o join assigned a using (unit) "
        f"where o.metric = ? and {when} group by o.unit"
    )
