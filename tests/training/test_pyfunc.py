"""Reading a frame of histories: what is sorted, ignored and refused."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from training.bundle import Bundle, load_bundle
from training.pyfunc import rank_frame, read_histories

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def bundle(tmp_path: Path, tiny_bundle: Callable[..., Path]) -> Bundle:
    return load_bundle(tiny_bundle(tmp_path))


def frame(history: list[str], at: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"learner_id": ["ann"], "history": [history], "history_at": [at]})


def test_a_history_is_sorted_by_time_and_unknown_items_are_dropped(bundle: Bundle) -> None:
    at = ["2026-03-03T09:00:00Z", "2026-03-02T09:00:00Z", "2026-03-03T09:30:00+02:00"]
    found = read_histories(bundle, frame(["teams", "unknown", "excel"], at))
    assert [bundle.vocabulary.ids[item] for item in found[0]] == ["excel", "teams"]
    assert [str(moment) for moment in found.at] == ["2026-03-03T07:30:00.000000", "2026-03-03T09:00:00.000000"]


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (["2026-03-03T09:00:00Z"], "row 0: 2 items in history, 1 times in history_at"),
        (["2026-03-03T09:00:00", "2026-03-03T09:00:00Z"], "row 0: history_at '2026-03-03T09:00:00' has no offset"),
        (["yesterday", "2026-03-03T09:00:00Z"], "Invalid isoformat string"),
    ],
)
def test_times_that_cannot_be_read_are_refused(bundle: Bundle, at: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank_frame(bundle, frame(["excel", "word"], at), limit=10, at=NOW)


def test_a_limit_below_one_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="limit 0 is below 1"):
        rank_frame(bundle, frame([], []), limit=0, at=NOW)


def test_an_empty_frame_gives_an_empty_frame(bundle: Bundle) -> None:
    assert len(rank_frame(bundle, frame([], []).iloc[:0], limit=10, at=NOW)) == 0
