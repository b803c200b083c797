"""What an analysis knows of a drawn experiment at the end of each day: the moments of its units, or teams, by arm."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.inference.samples import Moments
from experiments.simulate.population import Floats
from experiments.simulate.worlds import RATIO, Drawn, summed

ARMS = ("control", "treatment")


def at_the_end(drawn: Drawn) -> dict[str, Moments]:
    """Arm -> moments of everything."""
    values, taken = (summed(drawn.learner, one, drawn.world.units) for one in _columns(drawn))
    return _moments(drawn, values, taken)


def each_day(drawn: Drawn) -> Sequence[Mapping[str, Moments]]:
    """[days] of arm -> moments of what was known then, of those who had entered."""
    values, taken = (_by_day(drawn, one) for one in _columns(drawn))
    return [_moments(drawn, values[:, day], taken[:, day], day) for day in range(drawn.world.days)]


def _columns(drawn: Drawn) -> tuple[Floats, Floats]:
    return drawn.value, np.ones(len(drawn.value))


def _by_day(drawn: Drawn, weights: Floats) -> Floats:
    """[n, days]: sums up to the end of each day."""
    n, days = drawn.world.units, drawn.world.days
    flat = summed(drawn.learner * days + drawn.day, weights, n * days)
    return np.cumsum(flat.reshape(n, days), axis=1)


def _moments(drawn: Drawn, values: Floats, taken: Floats, day: int | None = None) -> dict[str, Moments]:
    """A mean counts everybody who has entered, a ratio those who took anything up: as `experiments.outcomes.measured` does."""
    divided = taken if drawn.world.metric == RATIO else np.ones(len(values))
    known = divided > 0 if day is None else (divided > 0) & (drawn.entered <= day)
    rows = np.column_stack([values, divided, drawn.before])
    each = {arm: _teams(drawn, rows, known & (drawn.treated == place)) for place, arm in enumerate(ARMS)}
    return {arm: _of(found) for arm, found in each.items() if len(found)}


def _of(rows: Floats) -> Moments:
    """One unit has no spread: NaN, as `experiments.outcomes.sums` has it."""
    return Moments.of(rows) if len(rows) > 1 else Moments(1, rows[0], np.full((3, 3), np.nan))


def _teams(drawn: Drawn, rows: Floats, which: np.ndarray) -> Floats:
    """[., 3]: the rows of units, summed over each team where teams were assigned."""
    if not drawn.world.teams:
        return np.asarray(rows[which])
    sums = np.column_stack([summed(drawn.team[which], rows[which, column], drawn.world.teams) for column in range(3)])
    return np.asarray(sums[np.bincount(drawn.team[which], minlength=drawn.world.teams) > 0])
