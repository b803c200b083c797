"""Reasons: why an item stands in a slate, in sentences that only say what the data say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Item, Learner, Role
from features.interactions import Histories
from features.skills import LEAST_GAP, SkillState
from serving.cold import GAPS
from serving.prepared import Prepared
from serving.scoring import causes, explained, largest
from serving.standing import Standing
from training.models.blend import FittedBlend
from training.models.content import FittedContent
from training.models.segments import FittedSegments
from training.models.similarity import FittedSimilarity


@dataclass(frozen=True, eq=False)
class Grounds:
    """What reasons may draw on. `gaps`: skill id -> missing level."""

    stock: Prepared
    learner: Learner | None
    role: Role | None
    profile: Mapping[str, SkillState]
    gaps: Mapping[str, float]
    history: Histories
    standing: Standing


def reasons(grounds: Grounds, shown: NDArray[np.int64], parts: Sequence[Mapping[str, float]]) -> list[tuple[str, ...]]:
    """At least one sentence for each item (vocabulary indices and parts of their scores); the most telling first."""
    because = causes(grounds.stock.bundle.model, grounds.history, shown)
    each = zip(shown.tolist(), because, parts, strict=True)
    return [_reasons(grounds, index, cause, own) for index, cause, own in each]


def _reasons(grounds: Grounds, index: int, cause: int | None, parts: Mapping[str, float]) -> tuple[str, ...]:
    source = largest(parts)
    told = (
        _role_gap(grounds, grounds.stock.names[grounds.stock.ids[index]]),
        _because(grounds, cause) if _lifted(grounds, parts) else None,
        _close_in_content(grounds, index) if source == "content" else None,
        *(_related(grounds, index) if source == "similarity" and parts[source] > 0 else ()),
        _popular(grounds, source, index) if parts[source] > 0 else None,
        "Your record shows what it teaches" if parts.get(GAPS, 0.0) < 0 else None,
    )
    return tuple(sentence for sentence in told if sentence is not None) or (_taken_up_by(grounds, index),)


def _lifted(grounds: Grounds, parts: Mapping[str, float]) -> bool:
    """Whether the part that names a past item as the cause speaks for this item at all."""
    found = explained(grounds.stock.bundle.model)
    return found is not None and parts.get(found[0], 0.0) > 0


def _role_gap(grounds: Grounds, item: Item) -> str | None:
    """The expectation of the role that the item brings closest."""
    role = grounds.role
    if role is None:
        return None
    steps = {
        skill: min(level, role.expects[skill]) - _present(grounds, skill)
        for skill, level in item.skills.items()
        if skill in grounds.gaps
    }
    skill = max(steps, key=lambda one: (steps[one], one), default=None)
    if skill is None or steps[skill] < LEAST_GAP:
        return None
    known = grounds.stock.bundle.catalogue.skills.get(skill)
    name = skill if known is None else known.name
    return f"Your role expects {name} at level {role.expects[skill]:.3g}; your record shows {_present(grounds, skill):.2g}"


def _present(grounds: Grounds, skill: str) -> float:
    state = grounds.profile.get(skill)
    return 0.0 if state is None else state.level


def _because(grounds: Grounds, cause: int | None) -> str | None:
    """The history item that gave most to the score."""
    item = None if cause is None else grounds.stock.names.get(grounds.stock.ids[cause])
    if item is None:
        return None
    return f"Because you {'finished' if item.id in grounds.standing.finished else 'started'} {item.title}"


def _close_in_content(grounds: Grounds, index: int) -> str | None:
    """The history item whose text is closest."""
    model, taken = grounds.stock.bundle.model, grounds.history[0]
    part = model.parts.get("content") if isinstance(model, FittedBlend) else model
    if not isinstance(part, FittedContent) or not len(taken):
        return None
    closest = int(part.likeness(taken, np.array([index])).argmax())
    item = grounds.stock.names.get(grounds.stock.ids[int(taken[closest])])
    return None if item is None else f"Similar in content to {item.title}"


def _related(grounds: Grounds, index: int) -> tuple[str, ...]:
    """The history item that draws an item in most, by all that is known of both; and that the item is new, where it is."""
    model, taken = grounds.stock.bundle.model, grounds.history[0]
    part = model.parts.get("similarity") if isinstance(model, FittedBlend) else model
    if not isinstance(part, FittedSimilarity) or not len(taken):
        return ()
    item = grounds.stock.names.get(grounds.stock.ids[int(taken[part.contributions(grounds.history, 0, index).argmax()])])
    new = grounds.stock.table.popularity[index] == 0
    return (*(() if item is None else (f"Related to {item.title}",)), *((_taken_up_by(grounds, index),) if new else ()))


def _popular(grounds: Grounds, source: str, index: int) -> str | None:
    if source == "popularity":
        return "Popular in your organisation"
    if source == "segments":
        return _in_segment(grounds, index)
    if source != "recent":
        return None
    audience = grounds.learner.audiences[0] if grounds.learner is not None and grounds.learner.audiences else None
    known = audience is not None and grounds.stock.bundle.audience_index(audience) >= 0
    return f"Popular with {audience} in the last weeks" if known else "Popular in the last weeks"


def _in_segment(grounds: Grounds, index: int) -> str:
    """The group of the learner that takes the item up more than others do."""
    model, who = grounds.stock.bundle.model, grounds.learner
    part = model.parts.get("segments") if isinstance(model, FittedBlend) else model
    group = part.favoured_by(grounds.history, 0, index) if isinstance(part, FittedSegments) else None
    if group == "role" and grounds.role is not None:
        return f"Popular in your role, {grounds.role.name}"
    if group == "org_unit" and who is not None:
        return f"Popular in your unit, {who.org_unit}"
    if group == "audience" and who is not None:
        return f"Popular with {who.audiences[0]}"
    return "Popular in your role" if group == "role" else "Popular in your organisation"


def _taken_up_by(grounds: Grounds, index: int) -> str:
    count = int(grounds.stock.table.popularity[index])
    if count == 0:
        return "New here: nobody has taken it up yet"
    return f"Taken up by {count} learner{'s' if count != 1 else ''} so far"
