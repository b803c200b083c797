"""The quests of a learner with the items for the next step: for the progress answer, and for the nudge that continues one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Item, ItemType
from features.progress.quests import Quest, Step, quests
from serving.eligibility import eligible
from serving.nudging.known import Known
from serving.skills import gaps_of

TYPES: Final[Mapping[Step, frozenset[ItemType]]] = {
    Step.ASSESS: frozenset({ItemType.ASSESSMENT}),
    Step.APPLY: frozenset({ItemType.PRACTICE, ItemType.PROJECT}),
    Step.TEACH: frozenset({ItemType.PEER_SESSION}),
}
"""Of which types the items for a step are; what is learned by any."""


_BEGUN: Final = frozenset({"in_progress"})


@dataclass(frozen=True)
class StepItem:
    """An item for a step, and whether the learner has begun it."""

    id: str
    title: str
    begun: bool


@dataclass(frozen=True)
class QuestNow:
    """A quest, the level that the record shows now, and what the next step can be done with; the best first."""

    quest: Quest
    present: float
    items: tuple[StepItem, ...]


def quests_of(known: Known, *, items: int) -> list[QuestNow]:
    """The open quests, each with at most `items` items. None of a learner whose personalisation is off."""
    if known.learner is None or not known.learner.personalisation:
        return []
    found = quests(known.skills, known.role, known.own)
    if not found:
        return []
    begun = sorted(known.standing.in_progress(), key=lambda item: known.standing.taken_up[item], reverse=True)
    of_learner = (known.stock, known.learner_id, known.learner)
    answer = gaps_of(*of_learner, known.given, known.at, items, known.grants, known.rules)
    closing = {gap.skill: [one.item_id for one in gap.items] for gap in answer.gaps}
    may = eligible(known.stock, known.facts, np.arange(len(known.stock), dtype=np.int32))[0]
    begun = [name for name in begun if _goes_on(known, name)]
    return [_now(known, quest, begun, closing, may, items) for quest in found]


def _now(
    known: Known, quest: Quest, begun: list[str], closing: Mapping[str, list[str]], may: NDArray[np.int32], most: int
) -> QuestNow:
    state = known.skills.get(quest.skill)
    going = [name for name in begun if _for_step(known, name, quest)]
    others = closing.get(quest.skill, ()) if quest.next is Step.LEARN else _of_type(known, quest, may)
    names = dict.fromkeys([*going[:1], *others])
    items = tuple(StepItem(name, known.title(name), name in going) for name in [*names][:most])
    return QuestNow(quest, 0.0 if state is None else state[0].level, items)


def _goes_on(known: Known, name: str) -> bool:
    """Whether nothing but that it is begun keeps an item from the learner."""
    index = known.stock.index.get(name)
    chosen = np.array([] if index is None else [index], dtype=np.int32)
    return len(eligible(known.stock, known.facts, chosen, waived=_BEGUN)[0]) > 0


def _for_step(known: Known, name: str, quest: Quest) -> bool:
    item = known.stock.names.get(name)
    return item is not None and _fits(item, quest) and quest.skill in known.taught_by(item)


def _fits(item: Item, quest: Quest) -> bool:
    return quest.next is Step.LEARN or item.type in TYPES[quest.next]


def _of_type(known: Known, quest: Quest, may: NDArray[np.int32]) -> Iterator[str]:
    """Open items for the step that teach the skill, the highest level first."""
    open_items = (known.stock.names[name] for name in known.stock.ids_of(may))
    fitting = [item for item in open_items if _fits(item, quest) and quest.skill in known.taught_by(item)]
    yield from (item.id for item in sorted(fitting, key=lambda item: (-known.taught_by(item)[quest.skill], item.id)))
