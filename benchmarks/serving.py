"""How fast the service answers: `python -m benchmarks.serving`.

Starts it with one worker on a free port of 127.0.0.1, over the published demo bundle and a copy of its store, and asks for
recommendations on 8 connections. Client and server share the machine. Writes benchmarks/results/serving.json.
"""

import asyncio
import json
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import aiohttp
import numpy as np
import psutil
import typer
from rich.console import Console

from benchmarks.machine import machine
from features.store import EventStore
from serving.settings import Settings, child_environment

RESULTS = Path(__file__).parent / "results" / "serving.json"
TARGETS = {"requests_per_s": 300, "p99_ms": 60, "worker_mb": 500}


def main(
    requests: Annotated[int, typer.Option(min=1, help="Requests in each round.")] = 2_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each figure is their median.")] = 5,
    warm_up: Annotated[int, typer.Option(min=0, help="Requests before: by default each learner once.")] = 1_500,
    connections: Annotated[int, typer.Option(min=1)] = 8,
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Measure, print, and write the result with the machine it was measured on; exit 1 when a target is missed."""
    settings, console = Settings(), Console()
    with tempfile.TemporaryDirectory() as folder, _service(settings, Path(folder), console) as (url, process):
        learners = _learners(settings)
        asyncio.run(_load(url, settings.dev_key, learners, warm_up, connections))
        worker = _worker(process)
        each = [_round(worker, url, settings.dev_key, learners, requests, connections) for _ in range(rounds)]
        found: dict[str, Any] = {name: round(median(one[name] for one in each), 2) for name in each[0]} | _memory(process)
    spread = {f"{name}_range": [min(one[name] for one in each), max(one[name] for one in each)] for name in each[0]}
    found |= spread | {"requests": requests, "rounds": rounds, "connections": connections, "machine": machine()}
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    for name, value in found.items():
        target = f"  (target {TARGETS[name]})" if name in TARGETS else ""
        console.print(f"{name}: {value}{target}", markup=False)
    few = found["requests_per_s"] < TARGETS["requests_per_s"]
    raise typer.Exit(int(few or any(found[name] > TARGETS[name] for name in ("p99_ms", "worker_mb"))))


def _round(
    worker: psutil.Process, url: str, key: str, learners: list[str], requests: int, connections: int
) -> dict[str, float]:
    """One round of load, with the processor time that the worker took for a request (ms), and how fast the machine was."""
    loop_ms = _loop_ms()
    before = worker.cpu_times()
    found = asyncio.run(_load(url, key, learners, requests, connections))
    after = worker.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return found | {"worker_cpu_ms": round(spent / requests * 1000, 2), "loop_ms": loop_ms}


def _loop_ms() -> float:
    """Processor milliseconds of a million additions in Python: what a shared machine gives at this moment."""
    began, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    return round((time.process_time() - began) * 1000, 1)


@contextmanager
def _service(settings: Settings, folder: Path, console: Console) -> Iterator[tuple[str, psutil.Process]]:
    """(url, process) of a service over a copy of the store, so that its decisions leave the demo as it was."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = _copy(settings.store, folder)
    environment = child_environment(settings.model_copy(update={"store": store, "spool": folder / "spool"}))
    command = [sys.executable, "-m", "serving", "serve", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            with console.status("Starting the service"):
                asyncio.run(_ready(url, folder / "log"))
            yield url, psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait(30)


def _copy(url: str, folder: Path) -> str:
    source = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not source.exists():
        raise SystemExit(f"{url}: no store here; run make demo first, or set NEXTWISE_STORE and NEXTWISE_BUNDLES")
    with sqlite3.connect(source) as old, sqlite3.connect(folder / "events.db") as new:
        old.backup(new)
    return f"sqlite:///{folder}/events.db"


def _learners(settings: Settings) -> list[str]:
    store = EventStore.open(settings.store)
    try:
        return sorted(store.tenant(settings.dev_tenant).learners())
    finally:
        store.close()


async def _ready(url: str, log: Path) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(300):
            try:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit(f"the service is not ready after 30 s:\n{log.read_text()[-2000:]}")


async def _load(url: str, key: str, learners: list[str], requests: int, connections: int) -> dict[str, float]:
    """Requests a second and latencies in ms, on so many connections that each ask again as soon as they are answered."""
    order = np.random.default_rng(1).permutation(np.resize(np.arange(len(learners)), requests))
    asked = iter([_request(url, key, learners[at]) for at in order])
    latency: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_ask(url, asked, latency) for _ in range(connections)))
    seconds = time.perf_counter() - began
    p50, p99 = np.percentile(latency, [50, 99])
    return {"requests_per_s": round(requests / seconds, 1), "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def _request(url: str, key: str, learner_id: str) -> bytes:
    body = json.dumps({"learner_id": learner_id}).encode()
    head = (
        f"POST /v1/recommendations HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _ask(url: str, asked: Iterator[bytes], latency: list[float]) -> None:
    """One connection, kept open. As light as it can be: the client runs on the cores that it measures."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for request in asked:
        began = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"not an answer: {head.decode()}")
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        latency.append((time.perf_counter() - began) * 1000)
    writer.close()
    await writer.wait_closed()


def _worker(process: psutil.Process) -> psutil.Process:
    return next(one for one in process.children(recursive=True) if "_bentoml_impl.worker.service" in one.cmdline())


def _memory(process: psutil.Process) -> dict[str, float]:
    """Resident MB of the worker, and of supervisor and worker together."""
    sizes = {one.pid: one.memory_info().rss / 1e6 for one in [process, *process.children(recursive=True)]}
    return {"worker_mb": round(sizes[_worker(process).pid], 1), "all_processes_mb": round(sum(sizes.values()), 1)}


if __name__ == "__main__":
    typer.run(main)
