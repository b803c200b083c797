"""What a larger catalogue costs in serving: `python -m benchmarks.serving_growth`.

The same service over 1,000, 10,000 and 100,000 items, one worker on one core, asked at a constant low rate, so that what is
measured is an answer and no queue. Writes benchmarks/results/serving_growth.json and the figure and table of
docs/serving-growth.md.
"""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any

import altair as alt
import typer
from rich.console import Console

from benchmarks import started
from benchmarks.machine import machine
from benchmarks.serving import ASKED, LEARNERS, asked, cores, run
from benchmarks.serving_world import world

RESULTS = Path(__file__).parent / "results" / "serving_growth.json"
DOCS = Path(__file__).parents[1] / "docs"
SIZES = (1_000, 10_000, 100_000)
_BETWEEN = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- /figures -->)", re.DOTALL)
_SHOWN = {"p50_ms": "p50, ms", "p99_ms": "p99, ms", "cpu_ms": "processor, ms a request", "worker_mb": "worker, MB"}


def main(
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 15,
    seconds: Annotated[float, typer.Option(min=1)] = 40,
    out: Annotated[Path, typer.Option()] = RESULTS,
    docs: Annotated[Path, typer.Option(help="Folder of serving-growth.md.")] = DOCS,
) -> None:
    """Measure each size, print, write the result, the figure and the table."""
    console, (server, client) = Console(), cores()
    measured_on = machine()  # before this process keeps to one core
    os.sched_setaffinity(0, {client})
    points = []
    for items in SIZES:
        points.append(_point(items, rate, seconds, server))
        console.print(f"{items:,} items: {points[-1]}", markup=False)
    result = {"points": points, "rate": rate, "seconds": seconds, "machine": measured_on}
    out.write_text(json.dumps(result, indent=1) + "\n")
    _write_page(points, docs)


def _point(items: int, rate: float, seconds: float, server: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        made = world(Path(folder) / "world", items, LEARNERS, ASKED)
        with started.ours(made, Path(folder) / "ours", {server}) as one:
            make = asked(made)["ours"]
            run(one, make, rate, 20)
            before, found = one.cpu_s(), run(one, make, rate, seconds)
            return {
                "items": items,
                "p50_ms": round(found.quantile(0.5), 1),
                "p99_ms": round(found.quantile(0.99), 1),
                "cpu_ms": round((one.cpu_s() - before) / len(found.ms) * 1000, 1),
                "worker_mb": one.worker_mb(),
                "ready_s": one.ready_s,
                "failed": found.failed,
            }


def _write_page(points: list[dict[str, Any]], docs: Path) -> None:
    alt.hconcat(*(_panel(points, name, title) for name, title in _SHOWN.items())).save(str(docs / "serving-growth.svg"))
    head = f"| items |{' | '.join(_SHOWN.values())} | start to ready, s |\n|{'---|' * (len(_SHOWN) + 2)}"
    rows = [f"| {p['items']:,} | {' | '.join(str(p[name]) for name in _SHOWN)} | {p['ready_s']} |" for p in points]
    page = docs / "serving-growth.md"
    page.write_text(_BETWEEN.sub(lambda _: "\n".join([head, *rows, ""]), page.read_text("utf-8")), "utf-8")


def _panel(points: list[dict[str, Any]], name: str, title: str) -> Any:
    axis = alt.Axis(values=list(SIZES), format="~s")
    encoded = alt.Chart(alt.InlineData(values=points)).encode(
        x=alt.X("items:Q", scale=alt.Scale(type="log"), axis=axis, title="items"),
        y=alt.Y(f"{name}:Q", title=title, scale=alt.Scale(zero=True)),
    )
    return encoded.mark_line(point=True).properties(width=170, height=180)


if __name__ == "__main__":
    typer.run(main)
