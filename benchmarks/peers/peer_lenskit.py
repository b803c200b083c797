"""LensKit's item-kNN, ImplicitMF and EASE, scoring the history that a query brings, one learner at a time as LensKit does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from lenskit.als import ImplicitMFScorer
from lenskit.data import Dataset, ItemList, RecQuery, from_interactions_df
from lenskit.knn import EASEScorer, ItemKNNScorer
from lenskit.training import TrainingOptions
from numpy.typing import NDArray
from questions import Fit, Floats, Histories, Questions, Settings, compete

KNN = [{"max_nbrs": size, "min_nbrs": 1, "feedback": "implicit"} for size in (20, 50, 10, 100, 200)]
MF = [
    {"embedding_size": 64, "epochs": 15, "weight": 40.0, "regularization": 0.1},
    {"embedding_size": 64, "epochs": 15, "weight": 10.0, "regularization": 0.1},
    {"embedding_size": 64, "epochs": 15, "weight": 10.0, "regularization": 10.0},
    {"embedding_size": 128, "epochs": 15, "weight": 5.0, "regularization": 10.0},
    {"embedding_size": 128, "epochs": 15, "weight": 20.0, "regularization": 50.0},
    {"embedding_size": 32, "epochs": 15, "weight": 10.0, "regularization": 1.0},
]
EASE = [{"regularization": ridge} for ridge in (50.0, 200.0, 100.0, 20.0, 500.0, 5.0)]


def fitter(kind: Callable[..., Any]) -> Callable[[Settings, Histories, Questions | None, float], Fit]:
    def fit(own: Settings, table: Histories, asked: Questions | None, seconds: float) -> Fit:
        scorer = kind(**own)
        scorer.train(dataset(table), TrainingOptions(rng=0))
        known = np.flatnonzero(table.counts()).astype(np.int64)  # 2025.8 fails on an item it did not meet in training
        return Fit(lambda histories: scores(scorer, histories, known), {})

    return fit


def scores(scorer: Any, histories: Histories, known: NDArray[np.int64]) -> Floats:
    found = np.full((len(histories), histories.n_items), np.nan, dtype=np.float32)
    everything = ItemList(item_ids=known)
    for row in range(len(histories)):
        own = histories[row].astype(np.int64)
        own = own[np.isin(own, known)]
        if len(own):
            query = RecQuery(user_items=ItemList(item_ids=own))
            found[row, known] = scorer(query=query, items=everything).scores()
    return found


def dataset(table: Histories) -> Dataset:
    return from_interactions_df(pd.DataFrame({"user_id": table.rows(), "item_id": table.items.astype(np.int64)}))


if __name__ == "__main__":
    contestants = {
        "LensKit item-kNN": (fitter(ItemKNNScorer), KNN),
        "LensKit ImplicitMF": (fitter(ImplicitMFScorer), MF),
        "LensKit EASE": (fitter(EASEScorer), EASE),
    }
    compete(["lenskit", "numpy", "scipy", "torch"], contestants)
