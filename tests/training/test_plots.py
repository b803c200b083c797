"""Plots are drawn here, whole, and fetch nothing."""

from pathlib import Path

import numpy as np
import pytest

from training.plots import PLOTS, save_plots
from training.summary import Row

NAN = float("nan")


def row(model: str, value: float, *, low: float = NAN, high: float = NAN, ms: float = 0.5) -> Row:
    metrics = {"recall": (value, low, high), "ndcg": (value, low, high), "debiased_ndcg": (value / 2, low, high)}
    return Row("rolling origin", model, 10, metrics, 0.5, ms, (value, value))


ROWS = [row("blend", 0.3, low=0.2, high=0.4), row("champion", 0.2, ms=NAN), row("random", 0.0)]
CUTS = [np.datetime64("2026-01-01"), np.datetime64("2026-02-01")]


def test_every_plot_is_an_svg_that_names_the_models(tmp_path: Path) -> None:
    paths = save_plots(ROWS, CUTS, tmp_path)
    assert [path.stem for path in paths] == list(PLOTS)
    for path in paths:
        text = path.read_text()
        assert text.startswith("<svg")
        assert "blend" in text
        assert "NaN" not in text
        assert "<script" not in text
        assert "<image" not in text


def test_a_model_without_a_time_is_left_out_of_the_cost_plot(tmp_path: Path) -> None:
    save_plots(ROWS, CUTS, tmp_path)
    assert "champion" not in (tmp_path / "accuracy_by_cost.svg").read_text()


@pytest.mark.parametrize("cuts", [[], CUTS[:1]])
def test_no_line_over_time_without_time(tmp_path: Path, cuts: list[np.datetime64]) -> None:
    assert "ndcg_by_cut" not in [path.stem for path in save_plots(ROWS, cuts, tmp_path)]
