"""What hostile requests do to the service: `python -m benchmarks.hostile`.

Starts it with one worker over an empty store, SQLite and PostgreSQL in turn, and sends requests on 4 connections to every
route. Every answer must come, be none of 5xx, and as an error be problem+json in words; nothing of a request may begin a line
of the log; memory must stay flat. Writes benchmarks/results/hostile.json.
"""

import asyncio
import json
import os
import re
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.request import urlopen

import numpy as np
import psutil
import typer
from rich.console import Console

from benchmarks.hostile_requests import FORGED, Hostile, fault_of, hostile, routes
from benchmarks.intake import DATABASES, service
from benchmarks.machine import machine
from features.catalogue import Catalogue, Item
from features.interactions import Histories, Interactions
from features.keys import Scope
from features.store import EventStore
from features.vocabulary import Vocabulary
from serving.settings import Settings
from training.bundle import Pointer, Provenance, write_bundle, write_pointer
from training.models.popularity import Popularity

RESULTS = Path(__file__).parent / "results" / "hostile.json"
TARGETS = {"faults": 0, "growth_mb": 30, "slowest_s": 5}


@dataclass
class Seen:
    """What came of the requests. `faults`: what must not be, with the request; `memory_mb`: now and then, in order."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""
    memory_mb: list[float] = field(default_factory=list)

    def answered(self, asked: Hostile, number: int, status: int, media: str, body: bytes, seconds: float) -> None:
        """Judges one answer."""
        self.statuses[status] += 1
        named = f"request {number}: {asked.method} {asked.target[:200]}"
        if seconds > self.slowest_s:
            self.slowest_s, self.slowest = seconds, named
        if (fault := fault_of(asked, status, media, body)) is not None:
            self.faults.append(f"{named}: {fault}")


def main(
    requests: Annotated[int, typer.Option(min=100, help="Requests to each database.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Another one draws others.")] = 1,
    database: Annotated[list[str] | None, typer.Option(help="sqlite or postgresql; both without it.")] = None,
    connections: Annotated[int, typer.Option(min=1)] = 4,
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Send, print, and write the result with the machine; exit 1 when a target is missed."""
    console, found, missed = Console(), dict[str, Any](), False
    for name in database or DATABASES:
        with tempfile.TemporaryDirectory(prefix="nw-") as folder, DATABASES[name](Path(folder)) as url:
            os.environ["NEXTWISE_RATE_PER_S"] = "0"
            os.environ["NEXTWISE_TOKEN_SECRET"] = secrets.token_hex(32)
            _publish(Path(folder) / "bundles")
            keys = [Settings().dev_key, _compat_key(url)]
            with service(url, Path(folder)) as (where, process):
                urlopen(f"{where}/readyz", timeout=30).close()
                asked = hostile(seed, requests, keys=keys, routes=routes())
                began, seen = time.perf_counter(), asyncio.run(_send(where, process, asked, requests, connections))
                seconds = time.perf_counter() - began
            seen.faults += _of_log((Path(folder) / "log").read_text("utf-8", "replace"))
        found[name] = _figures(seen, requests, seconds)
        missed |= any(found[name][what] > most for what, most in TARGETS.items())
        console.print(f"{name}: {found[name]}  (at most {TARGETS})", markup=False)
        for fault in seen.faults[:20]:
            console.print(fault, markup=False)
    found |= {"requests": requests, "seed": seed, "targets": TARGETS, "machine": machine()}
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    raise typer.Exit(int(missed))


def _figures(seen: Seen, requests: int, seconds: float) -> dict[str, Any]:
    """Growth is that of the second half: in the first one caches fill and the allocator finds its size."""
    half = len(seen.memory_mb) // 2
    return {
        "requests_per_s": round(requests / seconds),
        "faults": len(seen.faults),
        "growth_mb": round(max(seen.memory_mb[half:]) - seen.memory_mb[half], 1),
        "memory_mb": seen.memory_mb,
        "slowest_s": round(seen.slowest_s, 2),
        "slowest": seen.slowest,
        "statuses": {str(status): count for status, count in sorted(seen.statuses.items())},
    }


def _of_log(log: str) -> list[str]:
    """Lines that tell of a failure, or that a request wrote; that a development key is in use is meant."""
    wrong = [line for line in log.splitlines() if re.search(rf"\b(?:ERROR|WARNING)\b|\bTraceback\b|^{FORGED}", line)]
    return [f"log: {line[:300]}" for line in wrong if "DEVELOPMENT KEY" not in line]


async def _send(url: str, process: psutil.Process, asked: Iterator[Hostile], requests: int, connections: int) -> Seen:
    seen, numbered = Seen(), enumerate(asked)

    async def watch() -> None:
        while True:
            seen.memory_mb.append(_memory_mb(process))
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(_connection(url, numbered, seen) for _ in range(connections)))
    watching.cancel()
    seen.memory_mb.append(_memory_mb(process))
    seen.memory_mb = seen.memory_mb[:: max(len(seen.memory_mb) // 20, 1)] + seen.memory_mb[-1:]
    return seen


def _memory_mb(process: psutil.Process) -> float:
    taken: int = sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    return round(taken / 1e6, 1)


async def _connection(url: str, asked: Iterator[tuple[int, Hostile]], seen: Seen) -> None:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**22)
    for number, one in asked:
        began = time.perf_counter()
        writer.write(_wire(one))
        status, headers, body = await _read(reader, one.method)
        seen.answered(one, number, status, headers.get("content-type", ""), body, time.perf_counter() - began)
        if headers.get("connection") == "close":
            writer.close()
            reader, writer = await asyncio.open_connection(host, int(port), limit=2**22)
    writer.close()


def _wire(one: Hostile) -> bytes:
    lines = [f"{one.method} {one.target} HTTP/1.1".encode(), b"host: nextwise", b"content-length: %d" % len(one.body)]
    return b"\r\n".join([*lines, *(name + b": " + value for name, value in one.headers), b"", one.body])


async def _read(reader: asyncio.StreamReader, method: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case, body of an answer."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status, length = int(first.split()[1]), int(headers.get("content-length", "0"))
    empty = method == "HEAD" or status in (204, 304)
    return status, headers, b"" if empty else await reader.readexactly(length)


def _compat_key(url: str) -> str:
    """A key for which statements are repaired: what repairs them is to be attacked too."""
    store = EventStore.open(url)
    key = store.keys().add(Settings().dev_tenant, "emitter", [Scope.ADMIN], at=datetime.now(UTC), compat=True)
    store.close()
    return key.text


def _publish(bundles: Path) -> None:
    """A small bundle, so that rankings answer."""
    items = {name: Item(id=name, title=name.title(), skills={"data": 2}) for name in ("calm", "data", "more", "safe")}
    interactions = Interactions.of_histories(Histories.of([[0, 1], [0, 2], [0]], len(items)))
    folder = write_bundle(
        bundles / Settings().dev_tenant,
        tenant=Settings().dev_tenant,
        model=Popularity().fit(interactions, rng=np.random.default_rng(1)),
        vocabulary=Vocabulary(list(items)),
        catalogue=Catalogue(items=items, skills={}, roles={}),
        audiences=(),
        population={"popularity": interactions.item_counts().astype(np.float32)},
        provenance=Provenance(recipe={}, data_digest=interactions.digest(), split_digest="none"),
    )
    write_pointer(bundles, Settings().dev_tenant, Pointer(bundle=folder.name, previous=None))


if __name__ == "__main__":
    typer.run(main)
