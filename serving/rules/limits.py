"""Limits: how many items of a kind a slate may still hold, given what stands above and what was shown lately."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from features.events import Event, Verb
from serving.prepared import Mask, Prepared
from serving.rules.holding import Held
from serving.rules.language import LimitRule, Rule
from serving.rules.matching import labels, matched


def window(rules: Iterable[Rule]) -> int:
    """The most days of which one of the limits counts what was put before a learner; 0: none counts any."""
    return max((rule.days or 0 for rule in rules if isinstance(rule, LimitRule)), default=0)


class Limits:
    """Counts what is placed. `rule`: int16[m], the number in `names` of the rule that now keeps an item out, -1 for none.

    An item that was shown in the days of a window is counted already, and may be shown again.
    """

    def __init__(
        self, stock: Prepared, limits: Sequence[tuple[str, LimitRule]], before: Sequence[tuple[datetime, str]], at: datetime
    ) -> None:
        self.names = tuple(name for name, _ in limits)
        self.rule: NDArray[np.int16] = np.full(len(stock), -1, dtype=np.int16)
        self._counts = [_Count(stock, limit) for _, limit in limits]
        for number, one in enumerate(self._counts):
            self._count(number, one.shown(before, at))

    @classmethod
    def of(
        cls,
        stock: Prepared,
        rules: Iterable[Held],
        history: Sequence[Event],
        at: datetime,
        *,
        nudged: Sequence[tuple[datetime, str]] = (),
    ) -> "Limits | None":
        """None where no rule limits anything. A window counts what was put before the learner: `shown` of `history`, their
        events, and `nudged`: when something was said to them about which item.
        """
        own = [(held.name, held.rule) for held in rules if isinstance(held.rule, LimitRule)]
        if not own:
            return None
        shown = [(event.occurred_at, event.object_id) for event in history if event.verb is Verb.SHOWN]
        return cls(stock, own, [*shown, *nudged], at)

    def place(self, item: int) -> None:
        """Count an item of the slate, by its index."""
        for number in range(len(self._counts)):
            self._count(number, [item])

    def _count(self, number: int, items: Sequence[int]) -> None:
        for full in self._counts[number].count(items):
            self.rule[full[self.rule[full] < 0]] = number


class _Count:
    """Of one limit: which items it has counted, and how many by group (a provider, a skill, or all)."""

    def __init__(self, stock: Prepared, limit: LimitRule) -> None:
        self._stock, self._limit = stock, limit
        self._about: Mask = matched(stock, limit.match)
        self._counted: Mask = np.zeros(len(stock), dtype=bool)
        self._groups: Counter[str] = Counter()

    def shown(self, before: Sequence[tuple[datetime, str]], at: datetime) -> list[int]:
        """The items that were put before the learner in the days of a window, by index; none without one."""
        if self._limit.days is None:
            return []
        since, index = at - timedelta(days=self._limit.days), self._stock.index
        names = (name for moment, name in before if moment > since)
        return list(dict.fromkeys(index[name] for name in names if name in index))

    def count(self, items: Sequence[int]) -> list[NDArray[np.int64]]:
        """Counts items, each once; for each group that they fill the indices of what is kept out now."""
        new = [one for one in items if self._about[one] and not self._counted[one]]
        self._counted[new] = True
        groups = [name for item in new for name in self._names(item)]
        self._groups.update(groups)
        full = [self._members(name) for name in dict.fromkeys(groups) if self._groups[name] >= self._limit.most]
        return [members[~self._counted[members]] for members in full]

    def _names(self, item: int) -> tuple[str, ...]:
        row = self._stock.names[self._stock.ids[item]]
        if self._limit.per is None:
            return ("",)
        return tuple(row.skills) if self._limit.per == "skill" else (row.provider,) if row.provider else ()

    def _members(self, name: str) -> NDArray[np.int64]:
        if self._limit.per is None:
            return np.flatnonzero(self._about)
        found = labels(self._stock)[f"{self._limit.per}s"][name]
        return found[self._about[found]]
