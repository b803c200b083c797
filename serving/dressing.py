"""Slots become the items of an answer: scores, their parts, reasons, titles, languages, duties."""

from collections.abc import Mapping, Sequence, Set
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from features.catalogue import Item
from features.decisions import Due, Row, RowKind, SlateItem
from serving.eligibility import Facts
from serving.explanations import tree_scores
from serving.exploration import Slot
from serving.owed import says
from serving.prepared import primary_language
from serving.reasons import Grounds, reasons
from serving.rules.holding import OF_POLICY
from serving.scoring import causes, chances, largest
from serving.shelves import Shelf, Stand


class Filled(NamedTuple):
    """A shelf with its slots, and where each slot's item stands by score alone among what was left for it."""

    shelf: Shelf
    slots: Sequence[Slot]
    places: Sequence[int]


def dressed(stand: Stand, filled: Sequence[Filled]) -> tuple[Row, ...]:
    """The rows that hold something, in the order of their slots."""
    judged = _judged(stand, [slot.candidate for one in filled for slot in one.slots])
    let_in = _let_in(stand, [slot.candidate for one in filled for slot in one.slots])
    unknown = {one.candidate: one.item for one in stand.owed if one.candidate >= len(stand.stock)}
    positions, dues = count(), {one.candidate: one.due for one in stand.owed}
    waiting = len(dues.keys() - {slot.candidate for one in filled for slot in one.slots})
    rows = [
        Row(
            title=one.shelf.title,
            row=one.shelf.row,
            more=waiting if one.shelf.row is RowKind.MANDATORY else None,
            items=tuple(
                _item(
                    stand,
                    one.shelf,
                    slot,
                    place,
                    next(positions),
                    judged.get(slot.candidate),
                    unknown,
                    dues.get(slot.candidate),
                    let_in,
                )
                for slot, place in zip(one.slots, one.places, strict=True)
            ),
        )
        for one in filled
    ]
    return tuple(row for row in rows if row.items)


def _item(
    stand: Stand,
    shelf: Shelf,
    slot: Slot,
    place: int,
    position: int,
    judged: Mapping[str, Any] | None,
    unknown: Mapping[int, Item],
    due: Due | None,
    let_in: Set[int],
) -> SlateItem:
    """`judged`: what the model says of it; None where it says nothing, as of a duty that no bundle knows yet."""
    fields = dict(judged or {"score": 0.0})
    item = unknown.get(slot.candidate) or stand.stock.names.get(stand.stock.ids[slot.candidate])
    assert item is not None or slot.candidate < len(stand.stock)
    words = stand.facts.wording
    lifted = any(name.startswith(OF_POLICY) and part > 0 for name, part in fields.get("parts", {}).items())
    forward = words.reason("lifted") if lifted else None
    told = (
        None if due is None else says(due, words),
        shelf.reasons.get(slot.candidate),
        forward if slot.candidate in let_in else None,
        *fields.get("reasons", ()),
        forward,
    )
    fields["reasons"] = tuple(dict.fromkeys(one for one in told if one is not None))
    language, mismatch = (None, False) if item is None else language_of(item, stand.facts)
    return SlateItem(
        item_id=stand.stock.ids[slot.candidate] if item is None else item.id,
        position=position,
        propensity=slot.propensity,
        source="explore" if slot.explored else shelf.source or largest(fields["parts"]),
        place=place,
        title=None if item is None else item.title,
        language=language,
        language_mismatch=mismatch,
        due=due,
        **fields,
    )


def _let_in(stand: Stand, shown: Sequence[int]) -> set[int]:
    """Those of the shown that would not be among as many by score without what rules of the policy add."""
    scores, may = stand.scores, stand.may
    added = [number for number, name in enumerate(scores.names) if name.startswith(OF_POLICY)]
    by_score = np.intersect1d(np.array(shown, dtype=np.int64), may) if added else np.empty(0, dtype=np.int64)
    if not len(by_score):
        return set()
    without = scores.total - scores.parts[added].sum(axis=0)
    least = np.partition(without[may], -len(by_score))[-len(by_score)]
    return set(by_score[without[by_score] < least].tolist())


def language_of(item: Item, facts: Facts) -> tuple[str | None, bool]:
    """The language in which a learner would take an item, the first of theirs that it has; and whether it has none of them."""
    wanted = [tag for want in facts.languages for tag in item.languages if primary_language(tag) == want]
    if wanted or not item.languages:
        return (wanted[0] if wanted else None), False
    return item.languages[0], bool(facts.languages)


def _judged(stand: Stand, candidates: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What the model says of each of the candidates that it scored: all of them at once."""
    stock, scores, known = stand.stock, stand.scores, stand.known
    own = [one for one in candidates if one < len(stock) and scores.scored[one]]
    shown = np.array(own, dtype=np.int64)
    parts, model = scores.of(shown), stock.bundle.model
    trees = tree_scores(model, scores, shown) if stand.request.explain else [None] * len(own)
    because = causes(model, known.history, shown) if scores.of_model else [()] * len(own)
    grounds = Grounds(
        stock, known.learner, known.role, known.profile, known.gaps, known.history, known.standing, stand.facts.wording
    )
    told = reasons(grounds, shown, parts, because, trees)
    likely = chances(stock, known.history, scores, shown)
    each = zip(own, scores.total[shown].tolist(), parts, told, likely, because, trees, strict=True)
    return {
        candidate: {
            "score": total,
            "parts": part,
            "reasons": why,
            "probability": chance,
            "because": tuple((stock.ids[item], amount) for item, amount in past),
            "trees": tree,
        }
        for candidate, total, part, why, chance, past, tree in each
    }
