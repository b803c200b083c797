"""The script that MLflow logs with a bundle (models-from-code), so that `mlflow.pyfunc.load_model` ranks anywhere.

Together with `training.tracking` this is the only file that imports mlflow: it runs inside MLflow's loader, beside copies of
the few source files that a bundle needs to score, in interpreters where this project is not installed.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from numpy.typing import NDArray

from features.interactions import NAT, Histories
from features.vocabulary import UNKNOWN
from training.bundle import Bundle, load_bundle
from training.models.base import retrieve

COLUMNS = ("learner_id", "history", "history_at")


class Ranking(PythonModel):  # type: ignore[misc,unused-ignore]
    """Ranks items for learners by the bundle that it was logged with."""

    def load_context(self, context: Any) -> None:
        self.bundle = load_bundle(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """See `rank_frame`; params: `limit` (10), `at` (ISO time with offset, "": now)."""
        given = params or {}
        at = datetime.fromisoformat(given["at"]).astimezone(UTC) if given.get("at") else datetime.now(UTC)
        return rank_frame(self.bundle, model_input, limit=int(given.get("limit", 10)), at=at)


def rank_frame(bundle: Bundle, frame: pd.DataFrame, *, limit: int, at: datetime) -> pd.DataFrame:
    """A frame `learner_id, item_ids (list of str, best first), scores (list of float)`, one row per row of `frame`.

    `frame` has the columns `learner_id: str, history: list[str], history_at: list[str]` (ISO times, or an empty list: order
    only). Seen items and items not available at `at` are left out, unknown ids of a history are ignored. Raises ValueError for
    times that do not fit the history and for `limit < 1`.
    """
    if limit < 1:
        raise ValueError(f"limit {limit} is below 1")
    histories = read_histories(bundle, frame)
    scores = bundle.model.score(histories)
    closed = _closed(bundle, at)
    ranked = [_best(scores[row], histories[row], closed, limit) for row in range(len(histories))]
    return pd.DataFrame(
        {
            "learner_id": frame["learner_id"].to_list(),
            "item_ids": [[bundle.vocabulary.ids[i] for i in best] for best in ranked],
            "scores": [[float(s) for s in scores[row][best]] for row, best in enumerate(ranked)],
        }
    )


def read_histories(bundle: Bundle, frame: pd.DataFrame) -> Histories:
    """The histories of a frame, known items only, oldest first by time where there are times."""
    rows, times = [], []
    for number, (history, at) in enumerate(zip(frame["history"], frame["history_at"], strict=True)):
        items, instants = _history(bundle, list(history), list(at), number)
        rows.append(items.tolist())
        times.append(list(instants))
    return Histories.of(rows, len(bundle.vocabulary), at=times)


def _history(bundle: Bundle, ids: list[str], at: list[str], row: int) -> tuple[NDArray[np.int32], NDArray[np.datetime64]]:
    if at and len(at) != len(ids):
        raise ValueError(f"row {row}: {len(ids)} items in history, {len(at)} times in history_at")
    items = bundle.vocabulary.indices(ids)
    instants = np.array([_instant(text, row) for text in at] if at else [NAT] * len(ids), dtype="datetime64[us]")
    order = np.argsort(instants, kind="stable")
    known = order[items[order] != UNKNOWN]
    return items[known], instants[known]


def _instant(text: str, row: int) -> np.datetime64:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"row {row}: history_at {text!r} has no offset; write it as 2026-03-01T09:00:00Z")
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def _closed(bundle: Bundle, at: datetime) -> NDArray[np.bool_]:
    """bool[n_items]: not available at `at`, or no longer in the catalogue."""
    items = [bundle.catalogue.items.get(external) for external in bundle.vocabulary.ids]
    return np.array([item is None or not item.available(at) for item in items], dtype=bool)


def _best(scores: NDArray[np.float32], seen: NDArray[np.int32], closed: NDArray[np.bool_], limit: int) -> NDArray[np.int32]:
    open_scores = np.where(closed, np.float32(np.nan), scores)
    open_scores[seen] = np.nan
    return retrieve(open_scores, limit)


set_model(Ranking())
