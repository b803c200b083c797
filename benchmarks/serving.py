"""How many rankings a second, and how fast, beside services that do less: `python -m benchmarks.serving`, `make bench-serving`.

Three services over the same 20,000 items and learners: ours with all that it does (history from the store, all sources, the
ranker, rules, reasons, the decision recorded), a plain BentoML service around `implicit`'s `recommend`, and a bare Starlette
route with one matrix product as what the server itself allows. Each has one worker and one thread on one core, the client has
the other core. Requests are due at a constant rate, and a latency counts from when its request was due. In each round the
highest rate that each sustains is searched, in turns; then each is asked at half of its own. Writes
benchmarks/results/serving.json.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from benchmarks import started
from benchmarks.machine import machine
from benchmarks.open_loop import Load, highest, load, request
from benchmarks.serving_world import World, name_of, world
from benchmarks.started import Started
from serving.settings import Settings

RESULTS = Path(__file__).parent / "results" / "serving.json"
ITEMS, LEARNERS, ASKED = 20_000, 22_363, 2_000
SUSTAINED_MS = 200.0
"""The p99 above which a rate counts as more than a service can take."""
_BEGIN = {"ours": 150.0, "plain_bentoml": 300.0, "ceiling": 500.0}
Make = Callable[[str, int], bytes]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each figure is their median.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="Of load at each rate that is tried.")] = 8,
    steps: Annotated[int, typer.Option(min=2, help="Rates that are tried of a service in a round.")] = 7,
    items: Annotated[int, typer.Option(min=100)] = ITEMS,
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Measure, print, and write the result with the machine it was measured on; exit 1 when a target is missed."""
    console, (server, client) = Console(), cores()
    measured_on = machine()  # before this process keeps to one core
    os.sched_setaffinity(0, {client})
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        with console.status("Making the bundle, the store and the factors: some minutes"):
            made = world(Path(folder) / "world", items, LEARNERS, ASKED)
        services = {name: stack.enter_context(start(made, Path(folder) / name, {server})) for name, start in SERVICES.items()}
        asks = asked(made)
        for name, one in services.items():
            run(one, asks[name], len(made.learners) / 15, 15)  # each learner once: nobody's first request is measured
        rates: dict[str, list[float]] = {name: [] for name in services}
        for number in range(rounds):
            for name, one in services.items():
                begin = median(rates[name]) if rates[name] else _BEGIN[name]
                rate, tried = highest(
                    lambda at, one=one, name=name: run(one, asks[name], at, seconds), begin, SUSTAINED_MS, steps
                )  # type: ignore[misc]
                rates[name].append(rate)
                told = ", ".join(f"{one.offered:.0f}: {one.quantile(0.99):.0f} ms" for one in tried)
                console.print(f"round {number + 1}, {name}: {rate:.0f}/s sustained (p99 at rates a second: {told})")
        found: dict[str, Any] = {
            name: _at_half(one, asks[name], rates[name], seconds, rounds) for name, one in services.items()
        }
    each = zip(rates["ours"], rates["plain_bentoml"], strict=True)
    found["ours_to_plain"] = round(median(one / other for one, other in each), 3)
    found |= {"items": items, "rounds": rounds, "seconds": seconds, "machine": measured_on}
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    console.print_json(data=found)
    ours = found["ours"]
    missed = found["ours_to_plain"] < 0.5 or ours["p99_ms"] > 40 or ours["ready_s"] > 8 or ours["worker_mb"] > 500
    raise typer.Exit(int(missed))


SERVICES = {"ours": started.ours, "plain_bentoml": started.plain, "ceiling": started.ceiling}


def cores() -> tuple[int, int]:
    """Of the service, of the client. SystemExit where there is only one."""
    free = sorted(os.sched_getaffinity(0))
    if len(free) < 2:
        raise SystemExit("two cores are needed, one for the service and one for the client that measures it")
    return free[0], free[1]


def asked(made: World) -> dict[str, Make]:
    """By service, the request of a number: the same learners in the same order for all."""
    order = np.random.default_rng(8).permutation(np.array(made.learners)).tolist()
    key = Settings().dev_key

    def ours(url: str, number: int) -> bytes:
        body = json.dumps({"learner_id": name_of(order[number % len(order)])}).encode()
        return request(url, "/v1/recommendations", body, key)

    def rival(url: str, number: int) -> bytes:
        body = json.dumps({"learner": order[number % len(order)], "limit": 10}).encode()
        return request(url, "/recommend", body)

    return {"ours": ours, "plain_bentoml": rival, "ceiling": rival}


def run(service: Started, make: Make, rate: float, seconds: float) -> Load:
    """A load of some seconds."""
    return asyncio.run(load(service.url, rate, seconds, lambda number: make(service.url, number)))


def _at_half(service: Started, make: Make, rates: Sequence[float], seconds: float, rounds: int) -> dict[str, Any]:
    """`rps`: the highest sustained rate; latencies at half of it, where `cpu_ms` is the processor time of a request."""
    highest_rate = median(rates)
    before, each = service.cpu_s(), [run(service, make, highest_rate / 2, seconds) for _ in range(rounds)]
    spent = service.cpu_s() - before
    p50, p99 = (median(one.quantile(share) for one in each) for share in (0.5, 0.99))
    return {
        "rps": round(highest_rate, 1),
        "p50_ms": round(p50, 2),
        "p99_ms": round(p99, 2),
        "rps_range": [round(min(rates), 1), round(max(rates), 1)],
        "failed_at_half": sum(one.failed for one in each),
        "cpu_ms": round(spent / sum(len(one.ms) for one in each) * 1000, 2),
        "ready_s": service.ready_s,
        "worker_mb": service.worker_mb(),
    }


if __name__ == "__main__":
    typer.run(main)
