"""What an import of three years does to live traffic: `python -m benchmarks.import_beside`.

Starts the service with one worker on a free port of 127.0.0.1 over a store with the embedded organisation, SQLite and
PostgreSQL in turn, and asks it at a constant rate, whether or not it answers in time: rankings, and single events of the same
learners. First alone, then while three years of history come in, once by `python -m features ingest` into the same store and
once over HTTP in batches of 1,000 with a key of its own, then alone again. Who asks has three years of history from the
start; what comes in is that of as many others, so that only the import differs. A latency counts from when its request was
due. Client, sender, service and database share the machine. Writes benchmarks/results/import_beside.json.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console

from benchmarks.import_history import KEY, History, history
from benchmarks.intake import DATABASES, service
from benchmarks.live import Live
from benchmarks.machine import machine
from features.keys import Scope
from features.store import EventStore
from serving.settings import Settings

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "import_beside.json"
MOST = 2.0
"""Times the p99 of live requests without an import."""
TENANT = Settings().dev_tenant
Import = Callable[[str, History, str, str], Awaitable[int]]
"""(store, history, url of the service, key) -> events stored."""


class Store(StrEnum):
    """Which databases are measured."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def main(
    store: Annotated[Store | None, typer.Option(help="Only this database.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="Live requests a second; every fifth is an event.")] = 25,
    alone_s: Annotated[float, typer.Option(min=1, help="Seconds of live traffic before and after an import.")] = 60,
    events: Annotated[int | None, typer.Option(min=1_000, help="Import only so many.", show_default="three years")] = None,
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Measure, print, and write the result with the machine it was measured on; exit 1 when a target is missed."""
    console, found = Console(), dict[str, Any]()
    with tempfile.TemporaryDirectory(prefix="nw-") as made:
        with console.status("Three years of an organisation"):
            past = history(Path(made), events)
        for name in (store.value,) if store else tuple(DATABASES):
            found[name] = {way: _measure(name, past, bring, rate, alone_s) for way, bring in WAYS.items()}
            for way, one in found[name].items():
                console.print(f"{name}, {way}: {one}  (target: p99_ratio {MOST})", markup=False)
    missed = any(one["p99_ratio"] > MOST or one["not_answered"] for ways in found.values() for one in ways.values())
    found |= {"events": past.events, "rate_per_s": rate, "target_p99_ratio": MOST, "machine": machine()}
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    raise typer.Exit(int(missed))


def _measure(database: str, past: History, bring: Import, rate: float, alone_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="nw-") as made, DATABASES[database](Path(made)) as url:
        folder = Path(made)
        _command("features", "ingest", "--tenant", TENANT, "--store", url, "--format", "events", str(past.catalogue))
        _command("features", "materialize", "--tenant", TENANT, "--store", url, "--lake", str(folder / "lake"))
        _command("training", "start", "--tenant", TENANT, "--lake", str(folder / "lake"), "--bundles", str(folder / "bundles"))
        _command("features", "ingest", "--tenant", TENANT, "--store", url, "--format", "events", str(past.past))
        with closing(EventStore.open(url)) as opened:
            live, sender = (opened.keys().add(TENANT, *one, at=datetime.now(UTC)).text for one in _KEYS)
            items = sorted(opened.tenant(TENANT).catalogue().items)
        with service(url, folder) as (address, _):
            traffic = Live(address, live, past.live, items, rate)
            return asyncio.run(_beside(traffic, partial(bring, url, past, address, sender), alone_s))


_KEYS = (("live", (Scope.RANK, Scope.INGEST)), ("import", (Scope.INGEST,)))


async def _beside(traffic: Live, bring: Callable[[], Awaitable[int]], alone_s: float) -> dict[str, Any]:
    await _ready(traffic.service)
    await traffic.during(asyncio.sleep(10))  # opens connections and fills caches
    alone = await traffic.during(asyncio.sleep(alone_s))
    began = time.perf_counter()
    stored, seconds = 0, 0.0

    async def imported() -> None:
        nonlocal stored, seconds
        stored = await bring()
        seconds = time.perf_counter() - began

    beside = await traffic.during(imported())
    after = await traffic.during(asyncio.sleep(alone_s))
    return {
        "alone": alone.figures(),
        "beside": beside.figures(),
        "after": after.figures(),
        "p50_ratio": round(beside.quantile(0.5) / alone.quantile(0.5), 2),
        "p99_ratio": round(beside.quantile(0.99) / alone.quantile(0.99), 2),
        "not_answered": alone.failed + beside.failed + after.failed,
        "imported": stored,
        "import_rows_per_s": round(stored / seconds),
    }


async def _ready(service: str) -> None:
    async with aiohttp.ClientSession(service) as session:
        for _ in range(300):
            async with session.get("/readyz") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.1)
    raise SystemExit("the service is not ready after 30 s")


async def _by_command(store: str, past: History, service: str, key: str) -> int:
    words = ("features", "ingest", "--tenant", TENANT, "--store", store, "--format", "events", str(past.files), "--json")
    return int(json.loads(await _output(*words))["accepted"])


async def _over_http(store: str, past: History, service: str, key: str) -> int:
    return int(await _output("benchmarks.import_history", service, str(past.posts), **{KEY: key}))


WAYS: dict[str, Import] = {"command": _by_command, "http": _over_http}


def _command(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


async def _output(*words: str, **environment: str) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, cwd=ROOT, stdout=pipe, stderr=pipe, env={**os.environ, **environment}
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}:\n{errors.decode()}")
    return output.decode()


if __name__ == "__main__":
    typer.run(main)
