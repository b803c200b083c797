"""What a big experiment costs to read: `python -m benchmarks.analyze`.

Writes two CSV files of N units (arm, time of assignment, one of five teams) and one outcome each, in another order, and runs
`python -m experiments analyze` on them as a user types it: a horizon, a segment, a trajectory by day. Time is that of the clock
and of the processor (all threads), memory the peak of the process. Writes benchmarks/results/analyze.json.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console

from benchmarks.machine import machine

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "analyze.json"
TARGETS = {"wall_s": 60.0, "peak_gb": 4.0, "page_mb": 3.0}
EFFECT = 0.01
"""On values from 10 to 20, that is 0.07 %."""
DESIGN = """
name = "A big experiment"
unit = "learner"
horizon_days = 28
segments = ["team"]
[allocation]
control = 0.5
treatment = 0.5
[primary]
metric = "value"
relative = true
"""
UNITS = """
select 'learner-' || n as unit, if(hash(n, 1) % 2 = 0, 'control', 'treatment') as arm,
  timestamp '2026-03-01' + to_seconds((hash(n, 2) % 2000000)::bigint) as assigned_at, 'team ' || hash(n, 3) % 5 as team
from range({n}) numbers(n)
"""
OUTCOMES = """
select unit, 'value' as metric,
  round(10 + (hash(unit, 4) % 10000) / 1000 + {effect} * (arm = 'treatment')::integer, 3) as value,
  assigned_at + to_seconds((hash(unit, 5) % 400000)::bigint) as at
from read_csv('{units}') order by hash(unit, 6)
"""


def main(
    units: Annotated[int, typer.Option(min=1_000, help="Units, with one outcome each.")] = 10_000_000,
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Measure, print, and write the result with the machine it was measured on; exit 1 when a target is missed."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder, console.status("writing the files, then reading them: some minutes"):
        write(Path(folder), units)
        found = {"units": units, **measure(Path(folder)), "targets": TARGETS, "machine": machine()}
    console.print(found, markup=False)
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    raise typer.Exit(int(any(found[name] > most for name, most in TARGETS.items())))


def write(folder: Path, units: int) -> None:
    """`a.csv`, `o.csv` and `d.toml`, the same each time."""
    with duckdb.connect(config={"memory_limit": "8GB", "temp_directory": str(folder / "spill")}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name, query in (
            ("a.csv", UNITS.format(n=units)),
            ("o.csv", OUTCOMES.format(effect=EFFECT, units=folder / "a.csv")),
        ):
            connection.execute(f"copy ({query}) to '{folder / name}' (header)")
    (folder / "d.toml").write_text(DESIGN)


def measure(folder: Path) -> dict[str, Any]:
    """The figures of one run, alone in a process."""
    names = {"assignments": "a.csv", "outcomes": "o.csv", "design": "d.toml", "out": "report.html", "json": "report.json"}
    options = [part for name, file in names.items() for part in (f"--{name}", str(folder / file))]
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "experiments", "analyze", *options], cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"analyze ended with {process.returncode}")
    reading = json.loads((folder / "report.json").read_text("utf-8"))
    return {
        "files_mb": round(sum((folder / name).stat().st_size for name in ("a.csv", "o.csv")) / 1e6, 1),
        "wall_s": round(wall, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_gb": round(_bytes(used) / 2**30, 2),
        "page_mb": round((folder / "report.html").stat().st_size / 1e6, 3),
        "verdict": reading["verdict"],
        "estimate": reading["metrics"][0]["estimate"],
    }


def _bytes(used: resource.struct_rusage) -> int:
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    typer.run(main)
