"""Features of (learner, item) at the time of a request: written once, for training tables and the service alike.

`ItemTable` holds what is fixed per bundle, `Context` what is known of one learner now; `features` joins the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Catalogue, Role
from features.pieces import in_pieces
from features.skills import LEAST_GAP, SkillState
from features.vocabulary import Vocabulary

FEATURES = ("gap_closed", "gap_skills", "level_step", "log_popularity", "age_days", "minutes")
"""Column names of `features`:

gap_closed      skill levels the item adds towards the role's expectations, summed over skills
gap_skills      number of skills with a gap that the item brings closer
level_step      the item's mean skill level minus the learner's, over the item's skills (NaN without skills)
log_popularity  ln(1 + learners who took it up before the bundle was trained)
age_days        days since the item became available (NaN when unknown)
minutes         duration (NaN when unknown)
"""


@dataclass(frozen=True, eq=False)
class ItemTable:
    """Item facts as arrays over a vocabulary of m items and s skills (NaN: unknown).

    levels: float32[m, s] level gained (0: not taught), popularity: float32[m], available_from: float64[m] in days since the
    Unix epoch, minutes: float32[m].
    """

    skills: Vocabulary
    levels: NDArray[np.float32]
    popularity: NDArray[np.float32]
    available_from: NDArray[np.float64]
    minutes: NDArray[np.float32]

    @classmethod
    def of(cls, catalogue: Catalogue, vocabulary: Vocabulary, popularity: NDArray[np.float32]) -> "ItemTable":
        """From the catalogue rows of the vocabulary's items; an item the catalogue lacks has no facts."""
        rows = [catalogue.items.get(item_id) for item_id in in_pieces(vocabulary.ids, every=500)]
        taught = {skill for row in in_pieces(rows, every=500) if row is not None for skill in row.skills}
        expected = {skill for role in catalogue.roles.values() for skill in role.expects}
        skills = Vocabulary.of([*catalogue.skills, *taught, *expected])
        levels = np.zeros((len(rows), len(skills)), dtype=np.float32)
        since = np.full(len(rows), np.nan)
        minutes = np.full(len(rows), np.nan, dtype=np.float32)
        for position, row in enumerate(in_pieces(rows, every=100)):
            if row is None:
                continue
            for skill, level in row.skills.items():
                levels[position, skills.index(skill)] = level
            if row.available_from is not None:
                since[position] = row.available_from.timestamp() / 86_400
            if row.duration_s is not None:
                minutes[position] = row.duration_s / 60
        return cls(skills, levels, popularity, since, minutes)

    @cached_property
    def taught(self) -> tuple[tuple[NDArray[np.int64], NDArray[np.float32]], ...]:
        """By skill, int64[k] the items that teach it, and float32[k] to which level: most items teach few of all skills."""
        rows = [np.flatnonzero(column) for column in self.levels.T]
        return tuple((found, self.levels[found, skill]) for skill, found in enumerate(rows))


@dataclass(frozen=True, eq=False)
class Context:
    """One learner at one moment: present and expected skill levels, float32[s] over the table's skills (0: none)."""

    at: datetime
    present: NDArray[np.float32]
    expected: NDArray[np.float32]

    @classmethod
    def of(cls, table: ItemTable, known: Mapping[str, SkillState], role: Role | None, at: datetime) -> "Context":
        """From a skill profile and a role; skills outside the table are left out."""
        present = {skill: state.level for skill, state in known.items()}
        return cls(at, _levels(table.skills, present), _levels(table.skills, {} if role is None else role.expects))

    @property
    def gap(self) -> NDArray[np.float32]:
        """float32[s]: expected minus present level, 0 where the expectation is met."""
        return np.asarray(np.maximum(self.expected - self.present, 0), dtype=np.float32)


def features(context: Context, table: ItemTable, candidates: NDArray[np.integer]) -> NDArray[np.float32]:
    """float32[n_candidates, len(FEATURES)] for candidate indices of the table's vocabulary."""
    levels = table.levels[candidates]
    taught = levels > 0
    closed = gap_closed(context, levels)
    with np.errstate(invalid="ignore"):
        step = np.where(taught, levels - context.present, 0).sum(axis=1) / np.where(
            taught.any(axis=1), taught.sum(axis=1), np.nan
        )
    columns = [
        closed.sum(axis=1),
        (closed > 0).sum(axis=1),
        step,
        np.log1p(table.popularity[candidates]),
        context.at.timestamp() / 86_400 - table.available_from[candidates],
        table.minutes[candidates],
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def gap_closed(context: Context, levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[n, s]: how far each item (rows of level gained) lifts the learner towards what the role expects.

    0 for less than `LEAST_GAP`.
    """
    lifted = np.minimum(levels, context.expected) - context.present
    return np.where(lifted >= np.float32(LEAST_GAP), lifted, np.float32(0))


def levels_gained(context: Context, table: ItemTable) -> NDArray[np.float32]:
    """float32[m]: `gap_closed` of each item of the table, summed over skills; looks at the skills with a gap only."""
    found = np.zeros(len(table.levels), dtype=np.float32)
    for skill in np.flatnonzero(context.gap >= np.float32(LEAST_GAP)).tolist():
        items, levels = table.taught[skill]
        lifted = np.minimum(levels, context.expected[skill]) - context.present[skill]
        found[items] += np.where(lifted >= np.float32(LEAST_GAP), lifted, np.float32(0))
    return found


def _levels(skills: Vocabulary, levels: Mapping[str, float]) -> NDArray[np.float32]:
    found = np.zeros(len(skills), dtype=np.float32)
    for skill, level in levels.items():
        if skill in skills:
            found[skills.index(skill)] = level
    return found
