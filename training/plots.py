"""Plots of a fit, as SVG drawn here: nothing is fetched when they are looked at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from training.calibration import Reliability
from training.summary import Row

_WIDTH, _HEIGHT = 420, 260
Draw = Callable[[Sequence[Row], Sequence[np.datetime64]], Any]


def save_plots(rows: Sequence[Row], cuts: Sequence[np.datetime64], folder: Path) -> list[Path]:
    """Write one SVG a plot into `folder`; rows of one protocol, `cuts` empty where there is no time."""
    drawn = [name for name in PLOTS if name != "ndcg_by_cut" or len(cuts) > 1]
    paths = [folder / f"{name}.svg" for name in drawn]
    for name, path in zip(drawn, paths, strict=True):
        PLOTS[name](rows, cuts).save(str(path))
    return paths


def accuracy(rows: Sequence[Row], cuts: Sequence[np.datetime64] = ()) -> Any:
    """NDCG of each model with its 95 % interval, best on top."""
    data = [{"model": row.model, **_bounds(row, "ndcg")} for row in rows]
    base = _chart(data).encode(y=alt.Y("model:N", sort=[row.model for row in rows], title=None))
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="NDCG, 95 % interval by learner"), x2="high:Q")
    points = base.mark_point(filled=True, size=70).encode(x="value:Q")
    labels = base.mark_text(dy=-9).encode(x="value:Q", text=alt.Text("value:Q", format=".3f"))
    return (bars + points + labels).properties(title=f"Accuracy, {rows[0].protocol}", width=_WIDTH, height=_HEIGHT)


def popularity_bias(rows: Sequence[Row], cuts: Sequence[np.datetime64] = ()) -> Any:
    """NDCG against debiased NDCG: a model far below the diagonal owes its hits to popular items."""
    data = [{"model": r.model, "ndcg": r.metrics["ndcg"][0], "debiased": r.metrics["debiased_ndcg"][0]} for r in rows]
    top = 1.1 * max(1e-3, *(r.metrics["ndcg"][0] for r in rows), *(r.metrics["debiased_ndcg"][0] for r in rows))
    scale = alt.Scale(domain=[0, top])
    base = _chart(data).encode(
        x=alt.X("ndcg:Q", scale=scale, title="NDCG"), y=alt.Y("debiased:Q", scale=scale, title="debiased NDCG")
    )
    diagonal = _chart([{"ndcg": 0, "debiased": 0}, {"ndcg": top, "debiased": top}]).mark_line(strokeDash=[4, 4], color="grey")
    diagonal = diagonal.encode(x="ndcg:Q", y="debiased:Q")
    points = base.mark_point(filled=True, size=70) + base.mark_text(dx=8, align="left").encode(text="model:N")
    return (diagonal + points).properties(title=f"What popularity explains, {rows[0].protocol}", width=_WIDTH, height=_HEIGHT)


def accuracy_by_cost(rows: Sequence[Row], cuts: Sequence[np.datetime64] = ()) -> Any:
    """NDCG against the milliseconds to score one learner."""
    timed = [row for row in rows if np.isfinite(row.score_ms)]
    data = [{"model": row.model, "ms": row.score_ms, "ndcg": row.metrics["ndcg"][0]} for row in timed]
    base = _chart(data).encode(
        x=alt.X("ms:Q", scale=alt.Scale(type="log"), title="ms to score one learner"), y=alt.Y("ndcg:Q", title="NDCG")
    )
    points = base.mark_point(filled=True, size=70) + base.mark_text(dx=8, align="left").encode(text="model:N")
    return points.properties(title=f"Accuracy and cost, {rows[0].protocol}", width=_WIDTH, height=_HEIGHT)


def ndcg_by_cut(rows: Sequence[Row], cuts: Sequence[np.datetime64]) -> Any:
    """NDCG of each model at each cut in time."""
    data = [
        {"model": row.model, "cut": str(cut), "ndcg": value}
        for row in rows
        for cut, value in zip(cuts, row.by_cut, strict=True)
    ]
    return (
        _chart(data)
        .mark_line(point=True)
        .encode(
            x=alt.X("cut:T", title=None),
            y=alt.Y("ndcg:Q", title="NDCG"),
            color=alt.Color("model:N", sort=[r.model for r in rows]),
        )
        .properties(title="Accuracy over time", width=_WIDTH, height=_HEIGHT)
    )


def reliability_plot(found: Reliability, title: str) -> Any:
    """What was predicted against what was taken up, with 95 % intervals by learner; on the diagonal is what can be believed."""
    least = min(1.0, *(b.predicted for b in found.bins), *(b.observed for b in found.bins if b.observed > 0)) / 1.5
    data = [{**asdict(b), **{end: max(getattr(b, end), least) for end in ("low", "high", "observed")}} for b in found.bins]
    scale, axis = alt.Scale(type="log", domain=[least, 1], clamp=True), alt.Axis(format=".2%", values=[0.001, 0.01, 0.1, 1])
    x = alt.X("predicted:Q", scale=scale, axis=axis, title="predicted probability")
    base = _chart(data).encode(x=x)
    rules = base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", scale=scale, axis=axis, title="taken up"), y2="high:Q")
    points = base.mark_point(filled=True, size=70).encode(y=alt.Y("observed:Q", scale=scale, axis=axis))
    ends = _chart([{"predicted": least, "observed": least}, {"predicted": 1, "observed": 1}])
    diagonal = ends.mark_line(strokeDash=[4, 4], color="grey").encode(x=x, y=alt.Y("observed:Q", scale=scale, axis=axis))
    return (diagonal + rules + points).properties(title=f"Reliability, {title}", width=_HEIGHT, height=_HEIGHT)


PLOTS: Mapping[str, Draw] = {
    "accuracy": accuracy,
    "popularity_bias": popularity_bias,
    "accuracy_by_cost": accuracy_by_cost,
    "ndcg_by_cut": ndcg_by_cut,
}


def _chart(data: list[dict[str, Any]]) -> Any:
    return alt.Chart(alt.InlineData(values=data))


def _bounds(row: Row, metric: str) -> dict[str, float]:
    """Value and interval for a plot: without an interval the rule has no length."""
    value, low, high = row.metrics[metric]
    return {"value": value, "low": low if np.isfinite(low) else value, "high": high if np.isfinite(high) else value}
