"""Reasons: why an item stands in a slate, in sentences that only say what the data say."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Item, Learner, Role
from features.interactions import Histories
from features.skills import SkillState
from serving.prepared import Prepared
from serving.scoring import Explains
from serving.standing import Standing
from training.models.content import FittedContent


@dataclass(frozen=True, eq=False)
class Grounds:
    """What reasons may draw on. `parts`: float32[m] by model name; `gaps`: skill id -> missing level."""

    stock: Prepared
    learner: Learner | None
    role: Role | None
    profile: Mapping[str, SkillState]
    gaps: Mapping[str, float]
    history: Histories
    standing: Standing
    parts: Mapping[str, NDArray[np.float32]]


def reasons(grounds: Grounds, index: int, *, source: str, explored: bool) -> tuple[str, ...]:
    """At least one sentence for the item at a vocabulary index; the most telling first."""
    item = grounds.stock.names[grounds.stock.ids[index]]
    told = [
        _role_gap(grounds, item),
        _because(grounds, index),
        _close_in_content(grounds, index, source),
        _popular(grounds, source, index),
    ]
    if explored:
        told.append("A try outside your usual suggestions")
    found = tuple(sentence for sentence in told if sentence is not None)
    return found or (_taken_up_by(grounds, index),)


def _role_gap(grounds: Grounds, item: Item) -> str | None:
    """The expectation of the role that the item brings closest."""
    if grounds.role is None:
        return None
    steps = {skill: _step(grounds, skill, level) for skill, level in item.skills.items() if skill in grounds.gaps}
    skill = max(steps, key=lambda one: (steps[one], one), default=None)
    if skill is None or steps[skill] <= 0:
        return None
    expected, present = grounds.role.expects[skill], _present(grounds, skill)
    return f"Your role expects {_skill_name(grounds, skill)} at level {expected:.3g}; your record shows {present:.2g}"


def _step(grounds: Grounds, skill: str, level: float) -> float:
    expected = grounds.role.expects[skill] if grounds.role is not None else 0.0
    return min(level, expected) - _present(grounds, skill)


def _present(grounds: Grounds, skill: str) -> float:
    state = grounds.profile.get(skill)
    return 0.0 if state is None else state.level


def _skill_name(grounds: Grounds, skill: str) -> str:
    known = grounds.stock.bundle.catalogue.skills.get(skill)
    return skill if known is None else known.name


def _because(grounds: Grounds, index: int) -> str | None:
    """The history item that added most to the score, where the model can say so."""
    model, taken = grounds.stock.bundle.model, grounds.history[0]
    linear = grounds.parts.get("linear")
    if not isinstance(model, Explains) or not len(taken) or (linear is not None and linear[index] <= 0):
        return None
    given = np.nan_to_num(model.contributions(grounds.history, 0, index))
    strongest = int(given.argmax())
    if given[strongest] <= 0:
        return None
    cause = grounds.stock.ids[int(taken[strongest])]
    if cause not in grounds.stock.names:
        return None
    verb = "finished" if cause in grounds.standing.finished else "started"
    return f"Because you {verb} {grounds.stock.names[cause].title}"


def _popular(grounds: Grounds, source: str, index: int) -> str | None:
    if grounds.parts[source][index] <= 0:
        return None
    if source == "recent":
        audience = grounds.learner.audiences[0] if grounds.learner is not None and grounds.learner.audiences else None
        known = audience is not None and grounds.stock.bundle.audience_index(audience) >= 0
        return f"Popular with {audience} in the last weeks" if known else "Popular in the last weeks"
    if source == "popularity":
        return "Popular in your organisation"
    return None


def _close_in_content(grounds: Grounds, index: int, source: str) -> str | None:
    """The history item whose text is closest, where closeness of texts is the largest part of the score."""
    part = getattr(grounds.stock.bundle.model, "parts", {}).get("content")
    taken = grounds.history[0]
    if source != "content" or not isinstance(part, FittedContent) or not len(taken):
        return None
    closest = int((part.vectors[taken] @ part.vectors[index]).argmax())
    item = grounds.stock.names.get(grounds.stock.ids[int(taken[closest])])
    return None if item is None else f"Similar in content to {item.title}"


def _taken_up_by(grounds: Grounds, index: int) -> str:
    count = int(grounds.stock.table.popularity[index])
    if count == 0:
        return "New here: nobody has taken it up yet"
    return f"Taken up by {count} learner{'s' if count != 1 else ''} so far"
