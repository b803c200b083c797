"""Boosts: what rules add to scores, each as a part of its own."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from serving.prepared import Prepared
from serving.rules.holding import Held
from serving.rules.language import BoostRule
from serving.rules.matching import matched
from serving.scoring import Scores


def boosted(stock: Prepared, scores: Scores, rules: Iterable[Held]) -> Scores:
    """The scores with a part for each rule: so many standard deviations of the learner's scores on each item that matches.

    An item that cannot be scored stays so.
    """
    lifting = [(held.name, held.rule) for held in rules if isinstance(held.rule, BoostRule)]
    if not lifting or not scores.scored.any():
        return scores
    spread = float(scores.total[scores.scored].std()) or 1.0
    parts = np.zeros((len(scores.parts) + len(lifting), len(stock)), dtype=np.float32)
    parts[: len(scores.parts)] = scores.parts
    total = scores.total.copy()
    for part, (_, rule) in zip(parts[len(scores.parts) :], lifting, strict=True):
        part[matched(stock, rule.match) & scores.scored] = np.float32(rule.add * spread)
        total += part
    return replace(scores, total=total, names=(*scores.names, *(name for name, _ in lifting)), own=parts)
