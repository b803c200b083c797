"""Items worth a why-not: what came closest to being shown, and one for each rule that a person may want to know of."""

from typing import Final

import numpy as np

from serving.pipeline import Ranked
from serving.questions.why import Answered

MOST: Final = 5
_NEXT: Final = 2
"""Of these, the next by score."""
_RULES: Final = (
    "in_progress",
    "prerequisites",
    "other_language",
    "finished",
    "dismissed",
    "known",
    "provider_limit",
    "diversity",
    "not_available",
    "replaced",
)
"""In this order. Not for whom else an item is: that is asked for, and not shown around."""


def near_misses(answered: Answered) -> tuple[str, ...]:
    """At most `MOST` item ids: the next by score, then of each rule the one with the highest score."""
    ranked = answered.ranked
    if ranked is None:
        return ()
    removed = answered.decision.removed
    gone = {item.item_id for item in answered.decision.slate}.union(*removed.values())
    best = answered.stock.ids_of(ranked.scored[: len(gone) + _NEXT])
    following = [name for name in best if name not in gone][:_NEXT]
    scored = {rule: tuple(name for name in removed.get(rule, ()) if name in answered.stock.index) for rule in _RULES}
    by_rule = [_highest(answered, ranked, names) for names in scored.values() if names]
    return (*following, *by_rule)[:MOST]


def _highest(answered: Answered, ranked: Ranked, names: tuple[str, ...]) -> str:
    scores = ranked.scores.total[[answered.stock.index[name] for name in names]]
    return names[int(np.nan_to_num(scores, nan=-np.inf).argmax())]
