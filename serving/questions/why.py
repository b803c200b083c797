"""Why an item was shown, and why another was not: what a decision and its stages say of single items. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.decisions import Decision, Row, RowKind, SlateItem
from serving.cold import GAPS
from serving.eligibility import rules_of
from serving.pipeline import UNKNOWN_ITEM, Ranked
from serving.prepared import Prepared
from serving.questions.details import DETAILS, OF_HISTORY, Case
from serving.questions.payloads import Compared, ItemExplained, Scored
from serving.questions.ruled import words_of_record, words_of_rule
from serving.questions.words import NOT_A_CANDIDATE, Stage, Words, stage_of, words_of
from serving.rules.holding import Held
from serving.rules.language import LimitRule

_EXPLORED = "explore"
_BY_SCORE = (None, RowKind.RECOMMENDED)
_NOT_RECORDED = Words(
    "The decision's record does not name it: it scored less than what was shown, or that bundle did not know it.",
    "What the decision was made with is gone; ask about now for scores.",
)


@dataclass(frozen=True)
class Reach:
    """What may be told. `hidden`: items of others that are granted no longer, of which nothing is told but the rule. `history`:
    what the learner did. `audiences`: for whom an item is that is not for them.
    """

    hidden: frozenset[str] = frozenset()
    history: bool = True
    audiences: bool = True


@dataclass(frozen=True, eq=False)
class Answered:
    """A decision to be asked about. `stock`: names its items; `ranked`: what its stages found, None where only the record is
    left. `now`: nothing was decided, this is what would be.
    """

    stock: Prepared
    decision: Decision
    ranked: Ranked | None
    reach: Reach = field(default_factory=Reach)
    now: bool = False

    def explained(self, names: Iterable[str]) -> tuple[ItemExplained, ...]:
        """What became of each item, by id or alias, in the order asked."""
        asked = {name: self.stock.canonical(name) for name in names}
        shown = {item.item_id: (row.title, item) for row in self.decision.rows for item in row.items}
        removed = _removed(self.decision, {*asked, *asked.values()})
        found = []
        for name, item_id in asked.items():
            if item_id in shown:
                found.append(self._shown(item_id, *shown[item_id]))
            elif (rule := removed.get(item_id) or removed.get(name)) is not None:
                found.append(self._removed(item_id, rule))
            else:
                found.append(self._not_named(item_id))
        return tuple(found)

    def _shown(self, item_id: str, row: str, item: SlateItem) -> ItemExplained:
        if not self.reach.history or item_id in self.reach.hidden:
            item = item.model_copy(update={"reasons": (), "because": ()})
        verb = "is" if self.now else "was"
        number = f"It {verb} shown in “{row}”, as number {item.position + 1} of {len(self.decision.slate)}."
        by_chance = " Chance placed it there, so that something is learned of it." if item.source == _EXPLORED else ""
        reason = f" {item.reasons[0]}." if item.reasons else ""
        return ItemExplained(
            item_id=item_id,
            title=None if item_id in self.reach.hidden else item.title or self._title(item_id),
            outcome="shown",
            why=f"{number}{by_chance}{reason}",
            row=row,
            shown=item,
        )

    def _removed(self, item_id: str, rule: str) -> ItemExplained:
        held = self._held(rule)
        words, foreign = words_of_record(rule) or words_of(rule), rule == "other_audience" and not self.reach.audiences
        if not (foreign or (rule in OF_HISTORY and not self.reach.history)):
            words = self._details(item_id, rule, held) or words
        return ItemExplained(
            item_id=item_id,
            title=None if foreign else self._title(item_id),
            outcome="unknown_item" if rule == UNKNOWN_ITEM else "removed",
            why=words.why,
            change=words.change,
            stage=self._stage(rule, held),
            rule=rule,
            also=self._also(item_id, rule),
        )

    def _not_named(self, item_id: str) -> ItemExplained:
        if item_id not in self.stock.index and (self.ranked is not None or item_id not in self.stock.names):
            return self._removed(item_id, UNKNOWN_ITEM)
        candidates = self.decision.request.get("candidates")
        if isinstance(candidates, list | tuple) and item_id not in {self.stock.canonical(str(one)) for one in candidates}:
            return self._removed(item_id, NOT_A_CANDIDATE)
        if self.ranked is not None:
            return self._scored_less(item_id, self.ranked)
        words = _NOT_RECORDED
        return ItemExplained(
            item_id=item_id, title=self._title(item_id), outcome="not_recorded", why=words.why, change=words.change
        )

    def _scored_less(self, item_id: str, ranked: Ranked) -> ItemExplained:
        compared = self._compared(item_id, ranked)
        words = _of_scores(compared)
        return ItemExplained(
            item_id=item_id,
            title=self._title(item_id),
            outcome="scored_less",
            why=words.why,
            change=words.change,
            stage="rerank",
            compared=compared,
        )

    def _compared(self, item_id: str, ranked: Ranked) -> Compared:
        own, last = self._scored(item_id, ranked), last_by_score(self.decision.rows)
        other = None if last is None else self._scored(last.item_id, ranked)
        return Compared(
            place=self._above(item_id, ranked),
            of=len(ranked.scored),
            score=own.score,
            parts=own.parts,
            last=other,
            difference={} if other is None else {name: own.parts[name] - other.parts[name] for name in own.parts},
        )

    def _scored(self, item_id: str, ranked: Ranked) -> Scored:
        index = np.array([self.stock.index[item_id]], dtype=np.int64)
        parts = ranked.scores.of(index)[0]
        return Scored(item_id=item_id, title=self._title(item_id), score=float(ranked.scores.total[index[0]]), parts=parts)

    def _above(self, item_id: str, ranked: Ranked) -> int:
        """How many of those that might be shown have a higher score."""
        return int(np.flatnonzero(ranked.scored == self.stock.index[item_id])[0])

    def _held(self, rule: str) -> Held | None:
        """The rule of the policy or of the request of this name; None where there is none, or only the record is left."""
        rules = () if self.ranked is None else self.ranked.facts.rules
        return next((held for held in rules if held.name == rule), None)

    def _stage(self, rule: str, held: Held | None) -> Stage | None:
        if held is None:
            return None if words_of_record(rule) else stage_of(rule)
        return "rerank" if isinstance(held.rule, LimitRule) else "filter"

    def _details(self, item_id: str, rule: str, held: Held | None) -> Words | None:
        if held is not None and item_id not in self.reach.hidden:
            return words_of_rule(held)
        item, say = self.stock.names.get(item_id), DETAILS.get(rule)
        if self.ranked is None or item is None or say is None or item_id in self.reach.hidden:
            return None
        due = next((one.due for one in self.ranked.owed if one.item.id == item_id), None)
        above = self._above(item_id, self.ranked) if stage_of(rule) == "rerank" and due is None else 0
        return say(Case(self.stock, self.ranked.facts, item, self.reach.hidden, above, due))

    def _also(self, item_id: str, rule: str) -> tuple[str, ...]:
        """The rules behind the one that removed an item which would do so as well."""
        index = self.stock.index.get(item_id)
        if self.ranked is None or index is None or item_id in self.reach.hidden:
            return ()
        rules = rules_of(self.ranked.facts)
        behind = list(rules)[list(rules).index(rule) + 1 :] if rule in rules else ()
        said = ((name, rules[name](self.stock, self.ranked.facts)) for name in behind)
        return tuple(name for name, mask in said if mask is not None and mask[index])

    def _title(self, item_id: str) -> str | None:
        item = self.stock.names.get(item_id)
        return None if item is None or item_id in self.reach.hidden else item.title


def last_by_score(rows: Sequence[Row]) -> SlateItem | None:
    """Of those that stand in a slate by their score, not by chance or another row's order, the one with the least."""
    scored = [item for row in rows if row.row in _BY_SCORE for item in row.items if item.source not in (_EXPLORED, GAPS)]
    return min(scored, key=lambda item: (item.score, -item.position), default=None)


def _removed(decision: Decision, names: set[str]) -> dict[str, str]:
    """The rule that removed each of these items, where one did."""
    return {name: rule for rule, ids in decision.removed.items() for name in ids if name in names}


def _of_scores(compared: Compared) -> Words:
    stands = f"It might be shown, and {compared.place} of {compared.of} such items score higher."
    last = compared.last
    if last is None:
        return Words(f"{stands} No place went to one by its score.")
    name, less = last.title or last.item_id, last.score - compared.score
    if less <= 0:
        return Words(
            f"{stands} The last one shown, {name}, scores no higher; what stands above it, or chance, brought it there."
        )
    most = _most_behind(compared.difference)
    told = f" Most of the difference is in the part “{most}”." if most is not None and len(compared.difference) > 1 else ""
    return Words(
        f"{stands} The last one shown by its score, {name}, has {last.score:.3g}, this one {compared.score:.3g}.{told}",
        f"Its score would have to rise by {less:.2g}, or more items be asked for.",
    )


def _most_behind(difference: Mapping[str, float]) -> str | None:
    part = min(difference, key=lambda name: (difference[name], name), default=None)
    return part if part is not None and difference[part] < 0 else None
