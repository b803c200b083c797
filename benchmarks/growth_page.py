"""The plot and the table of `docs/growth.md`, from the points of `benchmarks.growth`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

Point = dict[str, Any]
_BETWEEN = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- /figures -->)", re.DOTALL)
_AXES = (("learners", "items", 10_000), ("items", "learners", 100_000))
_POWERS = alt.Axis(values=[10.0**power for power in range(-2, 7)], format=",")
_MEASURES = (("seconds", "fit, seconds"), ("peak_mb", "peak while fitting, MB"))


def line(point: Point) -> str:
    """One point in words."""
    head = f"{point['family']:<12}{point['learners']:>11,} learners {point['items']:>9,} items"
    if "failed" in point:
        return f"{head}   {point['failed']}"
    return f"{head} {point['seconds']:>9,.1f} s {point['peak_mb']:>8,.0f} MB, model {point['model_mb']:,.1f} MB"


def write_page(points: Sequence[Point], result: Mapping[str, Any], docs: Path) -> None:
    """Write growth.svg, and the table and the machine between the marks of growth.md."""
    _plot(points, result["budget"]).save(str(docs / "growth.svg"))
    page = docs / "growth.md"
    made = result["machine"]
    blas = f"BLAS threads {made['blas_threads']}" if made["blas_threads"] != "default" else "all cores for BLAS"
    where = f"{made['cpu']}, {made['cores']} cores, {made['memory_gb']} GB, {blas}, load before {made['load_1_min']}."
    page.write_text(_BETWEEN.sub(lambda _: f"{_table(points)}\n\n{where}\n", page.read_text("utf-8")), "utf-8")


def _table(points: Sequence[Point]) -> str:
    sizes = sorted({(p["learners"], p["items"]) for p in points})
    found = {(p["family"], p["learners"], p["items"]): p for p in points}
    head = ["| family |", *(f" {n:,} x {m:,} |" for n, m in sizes)]
    rows = [
        "".join([f"| {name} |", *(f" {_cell(found.get((name, *size)))} |" for size in sizes)]) for name in _families(points)
    ]
    failed = [f"{line(p).strip()}" for p in points if "failed" in p]
    notes = ["", "Not reached:", "", *(f"- {' '.join(words.split())}" for words in failed)] if failed else []
    return "\n".join(["".join(head), "|---" * (len(sizes) + 1) + "|", *rows, *notes])


def _cell(point: Point | None) -> str:
    if point is None:
        return "-"
    return "no" if "failed" in point else f"{point['seconds']:,.1f} s, {point['peak_mb'] / 1024:.1f} GB"


def _families(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(point["family"] for point in points))


def _plot(points: Sequence[Point], budget: Mapping[str, float]) -> Any:
    """Two panels across (learners, items), time above memory; a cross at a budget is a point that went beyond it."""
    limit = {"seconds": budget["seconds"], "peak_mb": budget["gigabytes"] * 1024}
    rows = [
        alt.hconcat(*(_panel(points, axis, fixed, at, measure, title, limit[measure]) for axis, fixed, at in _AXES))
        for measure, title in _MEASURES
    ]
    return alt.vconcat(*rows).resolve_scale(color="shared", y="independent")


def _panel(points: Sequence[Point], axis: str, fixed: str, at: int, measure: str, title: str, limit: float) -> Any:
    here = [p for p in points if p[fixed] == at and ("failed" not in p or _went_beyond(p, measure))]
    data = [p | {"value": max(p.get(measure, limit), 0.01), "reached": "failed" not in p} for p in here]
    chart = alt.Chart(alt.InlineData(values=data)).encode(
        x=alt.X(f"{axis}:Q", scale=alt.Scale(type="log"), axis=_POWERS, title=f"{axis} ({at:,} {fixed})"),
        y=alt.Y("value:Q", scale=alt.Scale(type="log"), axis=_POWERS, title=title),
        color=alt.Color("family:N", sort=_families(points), title=None),
    )
    lines = chart.transform_filter("datum.reached").mark_line(point=True)
    crosses = chart.transform_filter("!datum.reached").mark_point(shape="cross", size=90, angle=45, filled=True)
    budget = alt.Chart(alt.InlineData(values=[{"value": limit}])).mark_rule(strokeDash=[4, 4], color="grey").encode(y="value:Q")
    return (budget + lines + crosses).properties(width=330, height=230)


def _went_beyond(point: Point, measure: str) -> bool:
    """Was this budget the one that stopped it? What was not tried went beyond none."""
    reason = point["failed"]
    return not reason.startswith("not tried") and (reason.endswith(" s") == (measure == "seconds"))
