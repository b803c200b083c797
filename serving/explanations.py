"""What trees made of the items of a slate: their scores taken apart by feature, exactly, for a request that asks."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from features.decisions import Driver, TreeScore
from serving.scoring import Scores
from training.models.base import Fitted
from training.models.ranker import FittedRanker

LARGEST = 5
"""Features that are named of an item; the others are one sum."""
_NO_CANDIDATE = TreeScore(candidate=False)


def tree_scores(model: Fitted, scores: Scores, shown: NDArray[np.int64]) -> list[TreeScore | None]:
    """Of each shown item (vocabulary indices); None where no trees ranked. One pass over the trees for all of them."""
    if not isinstance(model, FittedRanker) or model.trees is None or scores.look is None:
        return [None] * len(shown)
    place = {item: at for at, item in enumerate(scores.look.item.tolist())}
    asked = [place[item] for item in shown.tolist() if item in place]
    rows = scores.look.features[asked].reshape(len(asked), len(model.features))
    given = model.trees.shap(rows)
    each = zip(model.trees.predict(rows).tolist(), rows, given, strict=True)
    told = iter([_tree_score(model.features, *one) for one in each])
    return [next(told) if item in place else _NO_CANDIDATE for item in shown.tolist()]


def _tree_score(names: Sequence[str], score: float, values: NDArray[np.float32], given: NDArray[np.float32]) -> TreeScore:
    amounts = given[:-1]
    order = np.argsort(-np.abs(amounts), kind="stable")
    largest = [at for at in order[:LARGEST].tolist() if amounts[at] != 0]
    rest = float(amounts.sum(dtype=np.float64) - amounts[largest].sum(dtype=np.float64))
    drivers = tuple(Driver(feature=names[at], value=_known(float(values[at])), amount=float(amounts[at])) for at in largest)
    return TreeScore(candidate=True, score=score, start=float(given[-1]), largest=drivers, rest=rest)


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
