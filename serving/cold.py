"""Ranking for a learner of whom only skills are known, declared or assessed elsewhere: nothing was taken up yet."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.ranking import Context, ItemTable, levels_gained
from features.skills import LEAST_GAP
from serving.scoring import Scores

GAPS: Final = "gaps"
"""The part of a score that is due to skills, and the source of an item that leads for it."""
PER_LEVEL: Final = 1.0
"""What a level gained towards the role counts, in standard deviations of the scores. Stated, not measured: logs hold no such
learners to choose it on. On learners without any history .2 is the most that costs no accuracy (docs/cold-start.md)."""


def by_skills(scores: Scores, context: Context, table: ItemTable) -> Scores:
    """The scores with a part `gaps`: `PER_LEVEL` for each level an item brings towards the role, and what teaches only what
    the learner holds already behind everything else. Items that teach no skill keep their score."""
    known = scores.scored
    if not known.any():
        return scores
    closed = levels_gained(context, table)
    part = np.float32(PER_LEVEL * (scores.total[known].std() or 1.0)) * closed
    lifted = scores.total + part
    held = _held(context, table)
    part[held] = np.float32(-1) - np.ptp(lifted[known])
    part[~known] = 0
    parts = np.concatenate([scores.parts, part[None]]).astype(np.float32)
    return replace(scores, total=(scores.total + part).astype(np.float32), names=(*scores.names, GAPS), own=parts)


def _held(context: Context, table: ItemTable) -> NDArray[np.bool_]:
    """bool[m]: items that teach skills, none of them further than the learner is."""
    above = table.levels - context.present >= np.float32(LEAST_GAP)
    return np.asarray((table.levels > 0).any(axis=1) & ~above.any(axis=1))
