"""`implicit` as its user calls it: ALS with user factors recalculated from histories, BPR with those that it learned."""

import warnings
from typing import Any

import numpy as np
from questions import Fit, Floats, Histories, Questions, Settings, compete
from scipy import sparse

warnings.filterwarnings("ignore", message="OpenBLAS is configured")

# Sizes, confidences and penalties around the library's defaults (64 factors, .01, alpha 1).
ALS = [
    {"factors": 64, "alpha": 10.0, "regularization": 0.1},
    {"factors": 64, "alpha": 1.0, "regularization": 0.01},
    {"factors": 64, "alpha": 10.0, "regularization": 10.0},
    {"factors": 128, "alpha": 5.0, "regularization": 10.0},
    {"factors": 128, "alpha": 1.0, "regularization": 0.01},
    {"factors": 128, "alpha": 20.0, "regularization": 50.0},
]
BPR = [
    {"factors": 100, "learning_rate": 0.01, "regularization": 0.01, "iterations": 100},
    {"factors": 64, "learning_rate": 0.05, "regularization": 0.01, "iterations": 100},
    {"factors": 64, "learning_rate": 0.05, "regularization": 0.05, "iterations": 200},
    {"factors": 128, "learning_rate": 0.1, "regularization": 0.01, "iterations": 50},
    {"factors": 128, "learning_rate": 0.1, "regularization": 0.1, "iterations": 200},
    {"factors": 32, "learning_rate": 0.05, "regularization": 0.01, "iterations": 300},
]


def als(own: Settings, table: Histories, asked: Questions | None, seconds: float) -> Fit:
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(**own, iterations=15, num_threads=1, random_state=0)
    model.fit(matrix(table), show_progress=False)
    return Fit(lambda histories: _recalculated(model, histories), {})


def _recalculated(model: Any, histories: Histories) -> Floats:
    users = np.asarray(model.recalculate_user(np.arange(len(histories)), matrix(histories)))
    scores: Floats = (users @ model.item_factors.T).astype(np.float32)
    scores[np.diff(histories.indptr) == 0] = np.nan
    return scores


def bpr(own: Settings, table: Histories, asked: Questions | None, seconds: float) -> Fit:
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(**own, num_threads=1, random_state=0)
    model.fit(matrix(table), show_progress=False)
    known = np.diff(table.indptr) > 0

    def score(histories: Histories) -> Floats:
        scores: Floats = (model.user_factors[histories.learners] @ model.item_factors.T).astype(np.float32)
        scores[~known[histories.learners]] = np.nan
        return scores

    return Fit(score, {}, "users as trained: later take-ups are not seen")


def matrix(histories: Histories) -> sparse.csr_matrix:
    """float32 csr[n, n_items] of ones."""
    ones = np.ones(len(histories.items), dtype=np.float32)
    found = sparse.csr_matrix((ones, histories.items, histories.indptr), shape=(len(histories), histories.n_items), copy=True)
    found.sort_indices()
    return found


if __name__ == "__main__":
    compete(["implicit", "numpy", "scipy"], {"implicit ALS": (als, ALS), "implicit BPR": (bpr, BPR)})
