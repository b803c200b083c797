"""One experiment after another in a world, each read by the procedures that read a real one."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.analysis import Reading, analyse
from experiments.comparisons import Comparison, compare
from experiments.design import Design
from experiments.inference.estimates import Estimate, Inconclusive
from experiments.outcomes.measures import measures
from experiments.outcomes.tables import Tables, empty, joined
from experiments.simulate.looks import ARMS, at_the_end, each_day
from experiments.simulate.population import Floats, Population, Whole
from experiments.simulate.worlds import RATIO, Drawn, World, draw

BEGINS = pd.Timestamp("2026-03-02T00:00:00")
"""A Monday."""
_NOON, _DAY = pd.Timedelta(hours=12), pd.Timedelta(days=1)


class Peeked(NamedTuple):
    """Of an experiment without an effect: whether a difference was found, by which interval and at which looks."""

    fixed_at_horizon: bool
    fixed_at_any_look: bool
    always_valid_at_any_look: bool


class Covered(NamedTuple):
    """Of an experiment with a known effect, on one scale: whether each interval holds it, and what was estimated.

    NaN where the procedure refused to estimate. `always`: of the always-valid interval at the end, adjusted.
    """

    adjusted: float
    unadjusted: float
    always: float
    adjusted_value: float
    unadjusted_value: float


def peek(population: Population, world: World, rng: np.random.Generator) -> Peeked:
    """Looks at the end of each day, on the relative scale."""
    design, drawn = world.design(), draw(population, world, rng)
    one = measures(design)[0]
    looks = [compare(arms, one, design)[0] for arms in each_day(drawn)]
    fixed = [_differs(look.at_one_look) for look in looks]
    return Peeked(fixed[-1], any(fixed), any(_differs(look.at_any_look) for look in looks))


def cover(population: Population, world: World, rng: np.random.Generator) -> tuple[Covered, Covered]:
    """One look at the horizon, on the relative and on the absolute scale."""
    arms = at_the_end(draw(population, world, rng))
    found = []
    for relative in (True, False):
        design = world.design(relative=relative)
        compared = compare(arms, measures(design)[0], design)[0]
        found.append(_covered(compared, world.truth(population, relative=relative)))
    return found[0], found[1]


def read(population: Population, world: World, design: Design, rng: np.random.Generator) -> Reading:
    """The whole reading, health checks and verdict, of tables that hold one row an item taken up."""
    return analyse(
        tables_of(draw(population, world, rng), design), design, now=(BEGINS + world.days * _DAY).to_pydatetime(), replays=0
    )


def tables_of(drawn: Drawn, design: Design) -> Tables:
    """The drawn experiment as `experiments.outcomes.files` would have read it."""
    connection = empty("1GB")
    connection.execute("set threads = 1")
    connection.register("given_units", _units(drawn))
    connection.register("given_outcomes", _outcomes(drawn))
    units = "unit, arm, cluster, assigned_at::timestamp as assigned_at, null::timestamp as exposed_at"
    connection.execute(f"create table assigned as select {units} from given_units")
    outcomes = "unit, metric, value, happened_at::timestamp as happened_at"
    connection.execute(f"create table outcomes as select {outcomes} from given_outcomes")
    return joined(connection, design, clustered=bool(drawn.world.teams))


def _units(drawn: Drawn) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "unit": _names("L", np.arange(drawn.world.units)),
            "arm": np.array(ARMS, dtype=object)[drawn.treated.astype(int)],
            "cluster": _names("T", drawn.team),
            "assigned_at": BEGINS + drawn.entered * _DAY,
        }
    )


def _outcomes(drawn: Drawn) -> pd.DataFrame:
    """Rows from before are put on the day before the first."""
    learner, at = drawn.learner, BEGINS + drawn.day * _DAY + _NOON
    earlier, metric = np.flatnonzero(drawn.before), drawn.world.metric
    parts = [_rows(learner, metric, drawn.value, at), _rows(earlier, metric, drawn.before[earlier], BEGINS - _DAY)]
    if metric == RATIO:
        parts.append(_rows(learner, "takes", np.ones(len(learner)), at))
    return pd.concat(parts, ignore_index=True)


def _rows(learner: Whole, metric: str, values: Floats, at: object) -> pd.DataFrame:
    return pd.DataFrame({"unit": _names("L", learner), "metric": metric, "value": values, "happened_at": at})


def _names(prefix: str, numbers: Whole) -> np.ndarray:
    return np.array([f"{prefix}{number}" for number in numbers.tolist()], dtype=object)


def _differs(found: Estimate | Inconclusive) -> bool:
    return isinstance(found, Estimate) and found.excludes(0)


def _covered(compared: Comparison, truth: float) -> Covered:
    adjusted, unadjusted, always = compared.found, compared.unadjusted, compared.at_any_look
    return Covered(
        _holds(adjusted, truth), _holds(unadjusted, truth), _holds(always, truth), _value(adjusted), _value(unadjusted)
    )


def _holds(found: Estimate | Inconclusive, truth: float) -> float:
    return float(found.low <= truth <= found.high) if isinstance(found, Estimate) else np.nan


def _value(found: Estimate | Inconclusive) -> float:
    return found.value if isinstance(found, Estimate) else np.nan
