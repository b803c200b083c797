"""A plain BentoML service around `implicit`'s `recommend`, set up as ours is: no metrics, no access log, one thread.

Factors and histories lie in the process; it keeps no store, no rules, no reasons, and records nothing.
"""

import os
from pathlib import Path

import bentoml
import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse

from benchmarks.rivals import FOLDER


@bentoml.service(
    name="plain",
    workers=1,
    traffic={"timeout": 10},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    envs=[{"name": "OTEL_SDK_DISABLED", "value": "true"}],
)
class Plain:
    """The items that `implicit` recommends to a learner."""

    def __init__(self) -> None:
        folder = Path(os.environ[FOLDER])
        self._histories = sparse.load_npz(folder / "histories.npz")
        with np.load(folder / "factors.npz") as factors:
            self._model = AlternatingLeastSquares(factors=factors["items"].shape[1], num_threads=1)
            self._model.user_factors, self._model.item_factors = factors["users"], factors["items"]

    @bentoml.api
    async def recommend(self, learner: int, limit: int = 10) -> dict[str, list[float]]:
        """Indices and scores. In the event loop: handing a millisecond's work to a thread costs more than it takes."""
        items, scores = self._model.recommend(learner, self._histories[learner], N=limit)
        return {"items": items.tolist(), "scores": scores.tolist()}
