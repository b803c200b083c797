"""Figures on cold items of a catalogue that everybody walks through in order."""

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.cold import ColdFigures, measure_cold

M = 40


@pytest.fixture(scope="module")
def figures() -> ColdFigures:
    """Learners take up items u .. u + 7, so items come into use in the order of the catalogue, which is all that tells."""
    rows = [list(range(start, start + 8)) for start in range(M - 7) for _ in range(4)]
    days = [[np.datetime64("2026-01-01", "us") + np.timedelta64(item, "D") for item in row] for row in rows]
    table = Interactions.of_histories(Histories.of(rows, M, at=days))
    around = np.random.default_rng(0).normal(size=(M, 8)).astype(np.float32)
    side = SideInformation(M, text=around, fields={"position": np.arange(M, dtype=np.float32)})
    return measure_cold(table, side, ("random", "content", "recent", "similarity", "segments"))


def test_what_the_position_tells_is_found_where_texts_tell_nothing(figures: ColdFigures) -> None:
    for other in ("content", "random"):
        found = figures.difference("similarity", other)
        assert found is not None
        assert found.low > 0.2
    assert figures.results["similarity"].evaluation.metric("ndcg") > 0.8


def test_a_model_that_needs_what_is_not_there_is_left_out(figures: ColdFigures) -> None:
    assert set(figures.results) == {"random", "content", "recent", "similarity"}


def test_rows_state_the_split_and_what_is_added_to_whom(figures: ColdFigures) -> None:
    rows = figures.rows(("similarity", "blend"), ("content", "random", "blend"))
    assert (rows["items_hidden"], rows["newest_by"], rows["targets"]) == (4, "first take-up", len(figures.parts.test))
    assert set(rows["models"]["similarity"]["minus"]) == {"content", "random"}
    value, low, high = rows["models"]["similarity"]["minus"]["content"]["recall"]
    assert low <= value <= high
    assert "minus" not in rows["models"]["content"]
    again = figures.rows(("similarity",), ("content",))
    assert again["models"]["similarity"]["minus"]["content"] == rows["models"]["similarity"]["minus"]["content"]


def test_a_difference_that_cannot_be_estimated_is_none_and_not_zero(figures: ColdFigures) -> None:
    assert figures.difference("random", "random") is None
