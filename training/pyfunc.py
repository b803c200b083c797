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

from features.events import to_utc
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
        at = read_instant(given["at"], "at") if given.get("at") else datetime.now(UTC)
        return rank_frame(self.bundle, model_input, limit=int(given.get("limit", 10)), at=at)


def rank_frame(bundle: Bundle, frame: pd.DataFrame, *, limit: int, at: datetime) -> pd.DataFrame:
    """A frame `learner_id, item_ids (list of str, best first), scores (list of float)`, one row per row of `frame`.

    `frame` has the columns `learner_id: str, history: list[str], history_at: list[str]` (ISO times, or an empty list: order
    only). Seen items, items not available at `at` and items for some audiences only (a row does not tell its audience) are
    left out, unknown ids of a history are ignored. Raises ValueError, naming the row, for an item id or time that is none, for
    times that do not fit the history, and for `limit < 1`.
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
    """The histories of a frame: known items, the first of each, oldest first by time where there are times."""
    rows, times = [], []
    for number, (history, at) in enumerate(zip(frame["history"], frame["history_at"], strict=True)):
        items, instants = _history(bundle, _texts(history, "history", number), _texts(at, "history_at", number), number)
        rows.append(items.tolist())
        times.append(list(instants))
    return Histories.of(rows, len(bundle.vocabulary), at=times)


def _history(bundle: Bundle, ids: list[str], at: list[str], row: int) -> tuple[NDArray[np.int32], NDArray[np.datetime64]]:
    if at and len(at) != len(ids):
        raise ValueError(f"row {row}: {len(ids)} items in history, {len(at)} times in history_at")
    items = bundle.vocabulary.indices(ids)
    moments = [read_instant(text, f"row {row}: history_at").replace(tzinfo=None) for text in at]
    instants = np.array(moments if at else [NAT] * len(ids), dtype="datetime64[us]")
    order = np.argsort(instants, kind="stable")
    known = order[items[order] != UNKNOWN]
    first = known[np.sort(np.unique(items[known], return_index=True)[1])]
    return items[first], instants[first]


def _texts(values: Any, column: str, row: int) -> list[str]:
    """The list in one cell; ValueError where it is no list, or not of texts (a missing id would pass for an unknown one)."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise ValueError(f"row {row}: {column} is {values!r}, not a list")
    for value in values:
        if not isinstance(value, str):
            raise ValueError(f"row {row}: {column} holds {value!r}, which is not text")
    return list(values)


def read_instant(text: str, what: str) -> datetime:
    """A time in UTC; ValueError, beginning with `what`, where it is none, has no offset or leaves the calendar in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{what} {text!r} is not an ISO time; write it as 2026-03-01T09:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{what} {text!r} has no offset; write it as 2026-03-01T09:00:00Z")
    try:
        return to_utc(moment)
    except ValueError as error:
        raise ValueError(f"{what} {text!r}: {error}") from None


def _closed(bundle: Bundle, at: datetime) -> NDArray[np.bool_]:
    """bool[n_items]: not available at `at`, for some audiences only, or no longer in the catalogue."""
    items = [bundle.catalogue.items.get(external) for external in bundle.vocabulary.ids]
    return np.array([item is None or bool(item.audiences) or not item.available(at) for item in items], dtype=bool)


def _best(scores: NDArray[np.float32], seen: NDArray[np.int32], closed: NDArray[np.bool_], limit: int) -> NDArray[np.int32]:
    open_scores = np.where(closed, np.float32(np.nan), scores)
    open_scores[seen] = np.nan
    return retrieve(open_scores, limit)


set_model(Ranking())
