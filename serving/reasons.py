"""Reasons: why an item stands in a slate, in sentences that only say what the data say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Item, Learner, Role
from features.decisions import Driver, TreeScore
from features.interactions import Histories
from features.skills import LEAST_GAP, SkillState
from serving.cold import GAPS
from serving.prepared import Prepared
from serving.scoring import explained, largest, parts_of
from serving.standing import Standing
from training.models.content import FittedContent
from training.models.segments import FittedSegments
from training.models.similarity import FittedSimilarity

_PARTS_OF_HISTORY = ("linear", "item_knn", "similarity", "sequence", "content", "als", "bpr")
_OF_HISTORY = ("blend", "blend place", "follows_last", "follows_previous", "leads_to_last", "with_last", "with_previous")
_OTHERS = {
    "taken": "It stands high for how many took it up",
    "popularity": "It stands high for how many took it up",
    "recent": "It stands high for how many took it up lately",
    "segments": "It stands high for what your colleagues take up",
    "since": "It stands high for how recently others took it up",
    "gap": "It stands high for the skills your role expects",
    "content": "It stands high for what it is about",
}
_UNNAMED = "It stands high for more than one past item"


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


Causes = Sequence[tuple[int, float]]
"""Past items of a history, and what each gave to an item's score, the most first."""


def reasons(
    grounds: Grounds,
    shown: NDArray[np.int64],
    parts: Sequence[Mapping[str, float]],
    because: Sequence[Causes],
    trees: Sequence[TreeScore | None],
) -> list[tuple[str, ...]]:
    """At least one sentence for each item (vocabulary indices and parts of their scores); the first is what a card shows.

    `because`: see `serving.scoring.causes`. `trees`: known only where the request asked for it; then no past item is named as
    the cause of what the trees put high for something else.
    """
    each = zip(shown.tolist(), because, parts, trees, strict=True)
    return [_reasons(grounds, index, own, cause, driver(told)) for index, cause, own, told in each]


def _reasons(grounds: Grounds, index: int, parts: Mapping[str, float], causes: Causes, lead: Driver | None) -> tuple[str, ...]:
    source = largest(parts)
    past = _named(grounds, causes[0][0]) if causes and _lifted(grounds, parts) else None
    told = (
        _card(past, lead, _role_gap(grounds, grounds.stock.names[grounds.stock.ids[index]])),
        _close_in_content(grounds, index) if source == "content" else None,
        *(_related(grounds, index) if source == "similarity" and parts[source] > 0 else ()),
        _popular(grounds, source, index) if parts[source] > 0 else None,
        "Your record shows what it teaches" if parts.get(GAPS, 0.0) < 0 else None,
    )
    return tuple(sentence for sentence in told if sentence is not None) or (_taken_up_by(grounds, index),)


def driver(told: TreeScore | None) -> Driver | None:
    """The feature that raised an item most in the trees; None where none is known to."""
    raised = [] if told is None else [one for one in told.largest if one.amount > 0]
    return raised[0] if raised else None


def speaks_of_history(feature: str) -> bool:
    """Whether a feature of the ranker tells what a learner's own take-ups say of an item."""
    return feature in _OF_HISTORY or feature.split(" ")[0] in _PARTS_OF_HISTORY


def _card(past: tuple[str, str] | None, lead: Driver | None, gap: tuple[str, str] | None) -> str | None:
    """One sentence: what led here, where a past item did or may have, and the expectation of the role that the item meets."""
    if past is not None and lead is not None and not speaks_of_history(lead.feature):
        began = next((words for start, words in _OTHERS.items() if lead.feature.startswith(start)), _UNNAMED)
        led: str | None = f"{began}; it also goes with {past[1]}, which you {past[0]}"
    else:
        led = None if past is None else f"Because you {past[0]} {past[1]}"
    if gap is None:
        return led
    expected, shown = gap
    return f"{led}; your role expects {expected}, {shown}" if led else f"Your role expects {expected}; {shown}"


def _lifted(grounds: Grounds, parts: Mapping[str, float]) -> bool:
    """Whether the part that names a past item as the cause speaks for this item at all."""
    found = explained(grounds.stock.bundle.model)
    return found is not None and parts.get(found[0], 0.0) > 0


def _role_gap(grounds: Grounds, item: Item) -> tuple[str, str] | None:
    """The expectation of the role that the item brings closest, and what the record shows of it."""
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
    return f"{name} at level {role.expects[skill]:.3g}", f"your record shows {_present(grounds, skill):.2g}"


def _present(grounds: Grounds, skill: str) -> float:
    state = grounds.profile.get(skill)
    return 0.0 if state is None else state.level


def _named(grounds: Grounds, cause: int) -> tuple[str, str] | None:
    """What the learner did with a past item, and its title; None where the catalogue does not name it."""
    item = grounds.stock.names.get(grounds.stock.ids[cause])
    if item is None:
        return None
    return "finished" if item.id in grounds.standing.finished else "started", item.title


def _close_in_content(grounds: Grounds, index: int) -> str | None:
    """The history item whose text is closest."""
    model, taken = grounds.stock.bundle.model, grounds.history[0]
    part = parts_of(model).get("content")
    if not isinstance(part, FittedContent) or not len(taken):
        return None
    closest = int(part.likeness(taken, np.array([index])).argmax())
    item = grounds.stock.names.get(grounds.stock.ids[int(taken[closest])])
    return None if item is None else f"Similar in content to {item.title}"


def _related(grounds: Grounds, index: int) -> tuple[str, ...]:
    """The history item that draws an item in most, by all that is known of both; and that the item is new, where it is."""
    model, taken = grounds.stock.bundle.model, grounds.history[0]
    part = parts_of(model).get("similarity")
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
    part = parts_of(model).get("segments")
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
