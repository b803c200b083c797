"""What a new bundle does to live rankings: `python -m benchmarks.serving_swap`.

The service over 20,000 items at half of its highest rate, as `benchmarks.serving` found it, first alone, then while two
bundles take turns as champion ten times. Writes benchmarks/results/serving_swap.json; exit 1 where a request failed, or the
p99 is more than twice what it was alone.
"""

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated
from urllib.request import Request, urlopen

import typer
from rich.console import Console

from benchmarks import started
from benchmarks.machine import machine
from benchmarks.open_loop import Load, load
from benchmarks.serving import ASKED, ITEMS, LEARNERS, Make, asked, cores, run
from benchmarks.serving import RESULTS as RATES
from benchmarks.serving_world import World, name_of, world
from benchmarks.started import Started
from serving.settings import Settings
from training.bundle import Pointer, load_bundle, read_manifest, write_pointer

RESULTS = Path(__file__).parent / "results" / "serving_swap.json"
MOST = 2.0
"""Times the p99 without a swap."""


def main(
    rate: Annotated[float | None, typer.Option(min=1, show_default="half of the highest of serving.json")] = None,
    swaps: Annotated[int, typer.Option(min=1)] = 10,
    each_s: Annotated[float, typer.Option(min=1, help="Seconds from one swap to the next.")] = 6,
    items: Annotated[int, typer.Option(min=100)] = ITEMS,
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Measure, print, write."""
    console, (server, client) = Console(), cores()
    measured_on = machine()  # before this process keeps to one core
    os.sched_setaffinity(0, {client})
    rate = rate or json.loads(RATES.read_text())["ours"]["rps"] / 2
    with tempfile.TemporaryDirectory() as folder, console.status("Measuring"):
        made = world(Path(folder) / "world", items, LEARNERS, ASKED)
        names = _twins(made)
        with started.ours(made, Path(folder) / "ours", {server}) as one:
            make = asked(made)["ours"]
            run(one, make, rate, 20)
            alone = run(one, make, rate, swaps * each_s)
            during, served = asyncio.run(_swapped(one, made, names, make, rate, swaps, each_s))
    ratio = during.quantile(0.99) / alone.quantile(0.99)
    found = {
        "swaps": swaps,
        "served": served,
        "failed": during.failed,
        "requests": len(during.ms),
        "rate": round(rate, 1),
        "alone_p99_ms": round(alone.quantile(0.99), 1),
        "during_p99_ms": round(during.quantile(0.99), 1),
        "p99_ratio": round(ratio, 2),
        "machine": measured_on,
    }
    out.write_text(json.dumps(found, indent=1) + "\n")
    console.print_json(data=found)
    raise typer.Exit(int(during.failed > 0 or ratio > MOST or served < swaps))


def _twins(made: World) -> tuple[str, str]:
    """The names of the bundle, and of another with the same content but a note in its manifest."""
    parent = made.bundles / made.tenant
    (name,) = (path.name for path in parent.iterdir() if path.is_dir())
    return name, _copied(parent, name)


def _copied(parent: Path, name: str) -> str:
    """A bundle is named by the digest of its manifest, so a copy with another provenance has another name."""
    manifest = read_manifest(parent / name)
    told = manifest.provenance.model_copy(update={"split_digest": "twin"})
    text = manifest.model_copy(update={"provenance": told}).text()
    twin = hashlib.sha256(text.encode()).hexdigest()[:16]
    shutil.copytree(parent / name, parent / twin)
    (parent / twin / "manifest.json").write_text(text, "utf-8")
    load_bundle(parent / twin)
    return twin


async def _swapped(
    one: Started, made: World, names: tuple[str, str], make: Make, rate: float, swaps: int, each_s: float
) -> tuple[Load, int]:
    """The load, and how many of the swaps were served before the next one."""
    served = 0

    async def swap() -> None:
        nonlocal served
        for number in range(swaps):
            name = names[(number + 1) % 2]
            write_pointer(made.bundles, made.tenant, Pointer(bundle=name, previous=names[number % 2]))
            await asyncio.sleep(each_s)
            served += await asyncio.to_thread(_serves, one.url) == name

    swapping = asyncio.create_task(swap())
    found = await load(one.url, rate, swaps * each_s, lambda number: make(one.url, number))
    await swapping
    return found, served


def _serves(url: str) -> str:
    """The bundle behind an answer."""
    body = json.dumps({"learner_id": name_of(0)}).encode()
    headers = {"Authorization": f"Bearer {Settings().dev_key}", "Content-Type": "application/json"}
    with urlopen(Request(f"{url}/v1/recommendations", data=body, headers=headers), timeout=10) as answer:
        return str(json.load(answer)["bundle"])


if __name__ == "__main__":
    typer.run(main)
