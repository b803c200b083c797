"""Reasons: why an item stands in a slate, in sentences that only say what the data say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
from serving.wording import ENGLISH, Wording
from training.models.content import FittedContent
from training.models.segments import FittedSegments
from training.models.similarity import FittedSimilarity

_OF_HISTORY = ("linear", "item_knn", "similarity", "sequence", "content", "als", "bpr")
"""Parts that judge an item by what the learner took up."""
_PATHS = ("follows_last", "follows_previous", "leads_to_last", "with_last", "with_previous")
_ABOUT = {
    **dict.fromkeys(("taken", "popularity"), "taken"),
    **dict.fromkeys(("taken_7_days", "taken_30_days", "taken_120_days", "recent"), "lately"),
    **dict.fromkeys(("since_taken", "since_first_taken"), "since"),
    "segments": "colleagues",
    **dict.fromkeys(("gap_closed", "gap_skills"), "role"),
    **dict.fromkeys(("content_last", "content_previous"), "content"),
    **dict.fromkeys(("position_step", "position_distance"), "place"),
    **dict.fromkeys(("minutes", "minutes_step"), "minutes"),
    **dict.fromkeys(("difficulty", "difficulty_step"), "difficulty"),
    "available_since": "available",
    **dict.fromkeys(("length", "pause", "taken_last"), "before"),
}
"""What features of the ranker are about, whichever way they count, and parts that no history has a say in: names of `about`
sentences."""
LEAST_SHARE = 0.05
"""Of all that raises an item's score: a part that gives less of it is not told as a reason."""


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
    words: Wording = ENGLISH


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
    indices, sources = shown.tolist(), [largest(own) for own in parts]
    close = _close_in_content(grounds, [index for index, source in zip(indices, sources, strict=True) if source == "content"])
    each = zip(indices, sources, parts, because, trees, strict=True)
    return [
        _reasons(grounds, index, source, own, cause, driver(told), close.get(index)) for index, source, own, cause, told in each
    ]


def _reasons(
    grounds: Grounds,
    index: int,
    source: str,
    parts: Mapping[str, float],
    causes: Causes,
    lead: Driver | None,
    close: str | None,
) -> tuple[str, ...]:
    past = _named(grounds, causes[0][0]) if causes and _lifted(grounds, parts) else None
    told = (
        card(
            past,
            None if lead is None else leading(lead.feature, source),
            _role_gap(grounds, grounds.stock.names[grounds.stock.ids[index]]),
            grounds.words,
        ),
        close,
        *(_related(grounds, index) if source == "similarity" and counts(parts, source) else ()),
        _popular(grounds, source, index) if counts(parts, source) and grounds.stock.table.popularity[index] > 0 else None,
        grounds.words.reason("held") if parts.get(GAPS, 0.0) < 0 else None,
    )
    return tuple(sentence for sentence in told if sentence is not None) or (_taken_up_by(grounds, index),)


def driver(told: TreeScore | None) -> Driver | None:
    """The feature that raised an item most in the trees; None where none is known to."""
    raised = [] if told is None else [one for one in told.largest if one.amount > 0]
    return raised[0] if raised else None


def leading(feature: str, source: str) -> str | None:
    """What the feature that raised an item most is about; None where that is what the learner's own take-ups say of it.

    `source`: the largest part of the blend, for which the blend's own score and place stand.
    """
    name = source if feature in ("blend", "blend place") else feature.split(" ")[0]
    return None if name in (*_OF_HISTORY, *_PATHS) else _ABOUT.get(name, "several")


class Gap(NamedTuple):
    """What the role expects of a skill, and what the record shows."""

    skill: str
    expected: float
    present: float


def card(past: tuple[str, str] | None, about: str | None, gap: Gap | None, words: Wording = ENGLISH) -> str | None:
    """One sentence out of what is known; None where it is nothing of these.

    past: what the learner did (`finished`, `started`) and the title of the item they did it with, where that speaks for the
    item shown. about: what counted more than that, where it is known to.
    """
    led = None
    if past is not None:
        did, title = past
        told = {"about": words.about(about)} if about else {}
        led = words.reason(f"counts_{did}" if about else did, title=title, **told)
    if gap is None:
        return led
    numbers = {"expected": words.number(gap.expected, 3), "present": words.number(gap.present, 2)}
    return words.reason("and_role" if led else "role", skill=gap.skill, **numbers, **({"led": led} if led else {}))


def counts(parts: Mapping[str, float], name: str) -> bool:
    """Whether a part gives enough of what raises an item's score to be told as a reason."""
    raised = sum(part for part in parts.values() if part > 0)
    return parts.get(name, 0.0) > 0 and parts[name] >= LEAST_SHARE * raised


def _lifted(grounds: Grounds, parts: Mapping[str, float]) -> bool:
    """Whether the part that names a past item as the cause speaks for this item, and with some weight."""
    found = explained(grounds.stock.bundle.model)
    return found is not None and counts(parts, found[0])


def _role_gap(grounds: Grounds, item: Item) -> Gap | None:
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
    return Gap(name, role.expects[skill], _present(grounds, skill))


def _present(grounds: Grounds, skill: str) -> float:
    state = grounds.profile.get(skill)
    return 0.0 if state is None else state.level


def _named(grounds: Grounds, cause: int) -> tuple[str, str] | None:
    """What the learner did with a past item, and its title; None where the catalogue does not name it."""
    item = grounds.stock.names.get(grounds.stock.ids[cause])
    if item is None:
        return None
    return "finished" if item.id in grounds.standing.finished else "started", item.title


def _close_in_content(grounds: Grounds, indices: list[int]) -> dict[int, str]:
    """For each item the history item whose content is closest."""
    part, taken = parts_of(grounds.stock.bundle.model).get("content"), grounds.history[0]
    if not isinstance(part, FittedContent) or not len(taken) or not indices:
        return {}
    closest = taken[part.likeness(taken, np.array(indices)).argmax(axis=0)].tolist()
    named = ((index, grounds.stock.names.get(grounds.stock.ids[past])) for index, past in zip(indices, closest, strict=True))
    return {index: grounds.words.reason("similar", title=item.title) for index, item in named if item is not None}


def _related(grounds: Grounds, index: int) -> tuple[str, ...]:
    """The history item that draws an item in most, by all that is known of both; and that the item is new, where it is."""
    model, taken = grounds.stock.bundle.model, grounds.history[0]
    part = parts_of(model).get("similarity")
    if not isinstance(part, FittedSimilarity) or not len(taken):
        return ()
    item = grounds.stock.names.get(grounds.stock.ids[int(taken[part.contributions(grounds.history, 0, index).argmax()])])
    new = grounds.stock.table.popularity[index] == 0
    return (
        *(() if item is None else (grounds.words.reason("related", title=item.title),)),
        *((_taken_up_by(grounds, index),) if new else ()),
    )


def _popular(grounds: Grounds, source: str, index: int) -> str | None:
    if source == "popularity":
        return grounds.words.reason("organisation")
    if source == "segments":
        return _in_segment(grounds, index)
    if source != "recent":
        return None
    audience = grounds.learner.audiences[0] if grounds.learner is not None and grounds.learner.audiences else None
    known = audience is not None and grounds.stock.bundle.audience_index(audience) >= 0
    return grounds.words.reason("lately_audience", name=str(audience)) if known else grounds.words.reason("lately")


def _in_segment(grounds: Grounds, index: int) -> str:
    """The group of the learner that takes the item up more than others do."""
    model, who, words = grounds.stock.bundle.model, grounds.learner, grounds.words
    part = parts_of(model).get("segments")
    group = part.favoured_by(grounds.history, 0, index) if isinstance(part, FittedSegments) else None
    if group == "role" and grounds.role is not None:
        return words.reason("in_named_role", name=grounds.role.name)
    if group == "org_unit" and who is not None:
        return words.reason("in_unit", name=str(who.org_unit))
    if group == "audience" and who is not None:
        return words.reason("in_audience", name=who.audiences[0])
    return words.reason("in_role" if group == "role" else "organisation")


def _taken_up_by(grounds: Grounds, index: int) -> str:
    count = int(grounds.stock.table.popularity[index])
    if count == 0:
        return grounds.words.reason("nobody")
    return grounds.words.reason("one") if count == 1 else grounds.words.reason("many", count=str(count))
