"""Means and covariances by arm, or by arm and segment, of what was measured last."""

from typing import Any, Final

import numpy as np

from experiments.inference.samples import Moments
from experiments.outcomes.tables import Tables

_PAIRS: Final = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
_NAMES: Final = "ydx"


def by_arm(tables: Tables) -> dict[str, Moments]:
    """Arm -> moments over its units, or clusters, that have an outcome."""
    return {row[0]: _moments(row[1:]) for row in tables.rows(_query(tables, "arm", "y"))}


def by_segment(tables: Tables, place: int) -> dict[str, dict[str, Moments]]:
    """Value of the segment at `place` of the design -> arm -> moments."""
    found: dict[str, dict[str, Moments]] = {}
    for value, arm, *numbers in tables.rows(_query(tables, f"segment_{place}, arm", "y")):
        found.setdefault(value, {})[arm] = _moments(numbers)
    return found


def unknown_by_arm(tables: Tables) -> dict[str, Moments]:
    """Arm -> moments of whether a unit has no outcome (1) or has one (0), over all of its units or clusters."""
    return {row[0]: _moments(row[1:]) for row in tables.rows(_query(tables, "arm", "(not known)::double"))}


def _query(tables: Tables, groups: str, outcome: str) -> str:
    where = "known" if outcome == "y" else "true"
    units = f"select {groups}, {outcome} as y, {'d' if outcome == 'y' else '1.0'} as d, x from measured where {where}"
    if tables.clustered:
        sums = f"sum({outcome}) as y, sum({'d' if outcome == 'y' else '1.0'}) as d, sum(x) as x"
        units = f"select {groups}, {sums} from measured where {where} group by {groups}, cluster"
    spread = ", ".join(f"covar_samp({_NAMES[i]}, {_NAMES[j]})" for i, j in _PAIRS)
    return f"select {groups}, count(*), avg(y), avg(d), avg(x), {spread} from ({units}) group by {groups} order by all"


def _moments(row: Any) -> Moments:
    """Of number, three means and six covariances; NaN where one unit has no spread."""
    covariances = np.full((3, 3), np.nan)
    for (i, j), value in zip(_PAIRS, row[4:], strict=True):
        covariances[i, j] = covariances[j, i] = np.nan if value is None else value
    return Moments(int(row[0]), np.array(row[1:4], dtype=np.float64), covariances)
