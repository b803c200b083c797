"""What an A/A replay reads of what was measured last: the rows that count as independent, and what was assigned as a whole."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.design import Design
from experiments.outcomes.tables import Tables

MOST: Final = 20_000
"""About so many units, or clusters, are drawn where there are more; about, for they are chosen by a hash of their number."""
MANY: Final = 10 * MOST
"""About so many where the metric is rare among those."""
_ALIKE: Final = 5
"""So many values of a segment, each with several units and those all in one arm, are no chance: they were assigned together."""


class Drawn(NamedTuple):
    """`rows` [n, 3]: numerator, denominator, covariate. `units` [n]: what is assigned. `of`: how many there are in all.

    `together`: the segment whose values were assigned as a whole though units are counted one by one, else None.
    """

    rows: NDArray[np.float64]
    units: list[str]
    of: int
    together: str | None


def drawn(tables: Tables, design: Design, most: int) -> Drawn:
    """The rows of all units with an outcome, or of about `most` of them."""
    together = None if tables.clustered else _together(tables, design)
    counted = "cluster" if tables.clustered else "key"
    of = int(tables.one(f"select count({'distinct cluster' if tables.clustered else '*'}) from measured where known"))
    sums, groups = ("sum(y), sum(d), sum(x)", "group by cluster") if tables.clustered else ("y, d, x", "")
    unit = counted if together is None else f"coalesce(segment_{together}::varchar, key::varchar)"
    found = tables.rows(
        f"select {unit}::varchar, {sums} from measured where known and hash({counted}) % {-(-of // most) or 1} = 0 {groups}"
        " order by all"
    )
    rows = np.array([row[1:] for row in found], dtype=np.float64).reshape(-1, 3)
    return Drawn(rows, [row[0] for row in found], of, None if together is None else design.segments[together])


def _together(tables: Tables, design: Design) -> int | None:
    """The place of a segment that was assigned as a whole."""
    for place in range(len(design.segments)):
        value = f"segment_{place}"
        arms = f"select count(*) as n, min(arm) <> max(arm) as several from units where {value} is not null group by {value}"
        alike, crossing = tables.rows(f"select count(*), count(*) filter (several) from ({arms}) where n > 1")[0]
        if alike >= _ALIKE and crossing == 0:
            return place
    return None
