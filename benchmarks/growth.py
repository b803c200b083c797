"""What one machine carries: fit time and peak memory of each model family as learners and items grow.

python -m benchmarks.growth                        every point that does not stand in benchmarks/results/growth.json yet
python -m benchmarks.growth --only als,linear      of these families alone
python -m benchmarks.growth --largest 100000       points of at most so many learners and items
python -m benchmarks.growth --again                also points that stand there
python -m benchmarks.growth --draw                 only the plot and the table of docs/growth.md, from the results

Each point is a process of its own (`benchmarks.growth_point`), stopped at the budget. A family that goes beyond it, or fails,
stands so in the results with the reason, and its larger points are not tried.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.growth_page import Point, line, write_page
from benchmarks.machine import machine
from training.models.families import FAMILIES

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "growth.json"
LEARNERS, ITEMS = (1_000, 10_000, 100_000, 1_000_000), (1_000, 10_000, 100_000)
FIXED_LEARNERS, FIXED_ITEMS = 100_000, 10_000
SIZES = sorted({*((n, FIXED_ITEMS) for n in LEARNERS), *((FIXED_LEARNERS, m) for m in ITEMS)})
NAMES = tuple(name for name in FAMILIES if name != "random")
console = Console()


def main(
    only: Annotated[str, typer.Option(help="Comma-separated families.")] = ",".join(NAMES),
    largest: Annotated[int, typer.Option(min=1, help="No point beyond so many learners or items.")] = max(LEARNERS),
    seconds: Annotated[int, typer.Option(min=1, help="Budget of a fit.")] = 300,
    gigabytes: Annotated[float, typer.Option(min=1, help="Budget of a process.")] = 16,
    again: Annotated[bool, typer.Option("--again", help="Measure also what stands in the results.")] = False,
    draw: Annotated[bool, typer.Option("--draw", help="Measure nothing, only draw the results.")] = False,
) -> None:
    """Each point stands in the results as soon as it is known, so a run that was stopped goes on where it was."""
    names = [name.strip() for name in only.split(",")]
    if unknown := [name for name in names if name not in NAMES]:
        raise typer.BadParameter(f"unknown family {', '.join(unknown)}; known: {', '.join(NAMES)}", param_hint="--only")
    budget = {"seconds": seconds, "gigabytes": gigabytes}
    points = _read()
    for name, learners, items in [] if draw else [(n, *size) for n in names for size in SIZES if max(size) <= largest]:
        key = f"{name} {learners} {items}"
        if again or key not in points:
            head: Point = {"family": name, "learners": learners, "items": items}
            found = _too_large(list(points.values()), head) or _measure(head, seconds, gigabytes)
            points[key] = head | found
            console.print(line(points[key]), highlight=False, markup=False)
            body = {"machine": machine(), "budget": budget, "points": list(points.values())}
            _write(json.dumps(body, indent=1) + "\n")
    write_page(list(points.values()), json.loads(RESULT.read_text("utf-8")), ROOT / "docs")


def _measure(head: Point, seconds: int, gigabytes: float) -> Point:
    """Figures of one point, or why there are none. The budget of time begins when the table is made."""
    size = [str(head[name]) for name in ("family", "learners", "items")]
    command = [sys.executable, "-m", "benchmarks.growth_point", *size, str(gigabytes)]
    with console.status(" ".join(size)):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        over = threading.Timer(seconds, process.kill)
        over.start()
        try:
            out, code = process.stdout.read(), process.wait()
            in_time = over.is_alive()
        finally:
            over.cancel()
            process.kill()
    if not in_time:
        return {"failed": f"over {seconds:,} s"}
    if code != 0:
        return {"failed": f"process ended by code {code}, most likely for want of memory"}
    found: Point = json.loads(out)
    return found


def _too_large(points: list[Point], head: Point) -> Point | None:
    """That a smaller point failed already; None where none did."""
    for other in points:
        smaller = other["learners"] <= head["learners"] and other["items"] <= head["items"]
        if other["family"] == head["family"] and "failed" in other and smaller and not _same(other, head):
            return {"failed": f"not tried: {other['learners']:,} x {other['items']:,} was {other['failed']}"}
    return None


def _same(one: Point, other: Point) -> bool:
    return (one["learners"], one["items"]) == (other["learners"], other["items"])


def _read() -> dict[str, Point]:
    if not RESULT.exists():
        return {}
    points: list[Point] = json.loads(RESULT.read_text("utf-8"))["points"]
    return {f"{point['family']} {point['learners']} {point['items']}": point for point in points}


def _write(text: str) -> None:
    """Whole or not at all: a run may be stopped at any time."""
    RESULT.parent.mkdir(exist_ok=True)
    part = RESULT.with_suffix(".part")
    part.write_text(text, "utf-8")
    os.replace(part, RESULT)


if __name__ == "__main__":
    typer.run(main)
