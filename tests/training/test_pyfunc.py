"""Reading a frame of histories: what is sorted, ignored and refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from training.bundle import Bundle, load_bundle
from training.pyfunc import rank_frame, read_histories

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def bundle(tmp_path: Path, tiny_bundle: Callable[..., Path]) -> Bundle:
    return load_bundle(tiny_bundle(tmp_path))


def frame(history: list[str], at: list[Any]) -> pd.DataFrame:
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
        (["2026-03-03T09:00:00Z", "yesterday"], "row 0: history_at 'yesterday' is not an ISO time"),
        (["0001-01-01T00:00:00+14:00", "2026-03-03T09:00:00Z"], "row 0: history_at '0001-01-01T00:00:00.14:00': "),
        (["9999-12-31T23:59:59-01:00", "2026-03-03T09:00:00Z"], "row 0: history_at '9999-12-31T23:59:59-01:00': "),
        ([None, "2026-03-03T09:00:00Z"], "row 0: history_at holds None, which is not text"),
    ],
)
def test_times_that_cannot_be_read_are_refused(bundle: Bundle, at: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank_frame(bundle, frame(["excel", "word"], at), limit=10, at=NOW)


def test_times_at_both_ends_of_the_calendar_are_read(bundle: Bundle) -> None:
    found = read_histories(bundle, frame(["excel", "word"], ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]))
    assert [bundle.vocabulary.ids[item] for item in found[0]] == ["word", "excel"]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (["excel", None], "row 1: history holds None, which is not text"),
        ([3], "row 1: history holds 3, which is not text"),
        (None, "row 1: history is None, not a list"),
        ("excel", "row 1: history is 'excel', not a list"),
    ],
)
def test_a_history_that_is_no_list_of_ids_names_the_row(bundle: Bundle, history: Any, message: str) -> None:
    rows = pd.DataFrame({"learner_id": ["ann", "bob"], "history": [["word"], history], "history_at": [[], []]})
    with pytest.raises(ValueError, match=message):
        rank_frame(bundle, rows, limit=10, at=NOW)


def test_an_item_that_stands_twice_counts_once_where_it_came_first(bundle: Bundle) -> None:
    at = ["2026-03-04T09:00:00Z", "2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z"]
    found = read_histories(bundle, frame(["teams", "teams", "excel"], at))
    assert [bundle.vocabulary.ids[item] for item in found[0]] == ["teams", "excel"]
    assert [str(moment)[:10] for moment in found.at] == ["2026-03-02", "2026-03-03"]
    undated = read_histories(bundle, frame(["word", "excel", "word", "excel"], []))
    assert [bundle.vocabulary.ids[item] for item in undated[0]] == ["word", "excel"]


def test_items_for_some_audiences_only_are_left_out(bundle: Bundle) -> None:
    assert rank_frame(bundle, frame([], []), limit=10, at=NOW)["item_ids"][0] == ["excel", "outlook", "word", "teams"]
    items = {**bundle.catalogue.items}
    items["excel"] = items["excel"].model_copy(update={"audiences": ("sales",)})
    narrowed = replace(bundle, catalogue=replace(bundle.catalogue, items=items))
    assert rank_frame(narrowed, frame([], []), limit=10, at=NOW)["item_ids"][0] == ["outlook", "word", "teams"]


def test_a_limit_below_one_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="limit 0 is below 1"):
        rank_frame(bundle, frame([], []), limit=0, at=NOW)


def test_an_empty_frame_gives_an_empty_frame(bundle: Bundle) -> None:
    assert len(rank_frame(bundle, frame([], []).iloc[:0], limit=10, at=NOW)) == 0
