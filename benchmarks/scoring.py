"""How long one learner's scores and reasons take: `python -m benchmarks.scoring`.

A ranker over 12,101 items (`benchmarks.scoring_bundle`), 200 learners, one thread: candidates and trees, the order of all
items, and the ten best with their reasons. Beside it the blend alone, measured in turns, because a shared machine is not
equally fast from one minute to the next: the ratio of both says more than a millisecond. `cpu` is processor time, which leaves
out what others took meanwhile, and `loop_ms` that of a fixed Python loop. Writes benchmarks/results/scoring.json.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, thread_time
from typing import Annotated

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: one request, one thread
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.machine import machine
from benchmarks.scoring_bundle import ROLE, dataset, write
from features.catalogue import Role
from features.interactions import Histories
from serving.prepared import Prepared, prepare
from serving.reasons import Grounds, reasons
from serving.scoring import Scores, best_first, causes, score
from serving.standing import Standing
from training.bundle import load_bundle
from training.models.candidates import candidates
from training.models.ranker import FittedRanker

RESULTS = Path(__file__).parent / "results" / "scoring.json"
TARGET_MS, SHOWN = 1.5, 10


def main(
    data: Annotated[
        Path | None, typer.Option(help="Folder that may hold amazon-beauty; else a log of its shape is drawn.")
    ] = None,
    bundles: Annotated[Path | None, typer.Option(help="Keep the bundle here, and take one that lies here.")] = None,
    learners: Annotated[int, typer.Option(min=1)] = 200,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Measure, print, and write the result with the machine it was measured on; exit 1 when the target is missed."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder, console.status("Making the bundle: some minutes"):
        found = dataset(data)
        parent = bundles or Path(folder)
        kept = sorted(path for path in parent.glob("*") if path.is_dir())
        stock = prepare(load_bundle(kept[0] if kept else write(parent, found)))
        chosen = np.random.default_rng(6).choice(len(found.interactions), size=learners, replace=False)
        taken = [_history(found.interactions.take(np.array([row]))) for row in chosen]
        figures = measure(stock, taken, rounds)
    figures |= {"learners": learners, "rounds": rounds, "items": len(stock), "machine": machine()}
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n")
    console.print_json(data=figures)
    raise typer.Exit(int(figures["median_ms"] > TARGET_MS))  # type: ignore[operator]


def _history(found: Histories) -> Histories:
    """The same learner, in the role of the catalogue."""
    role = np.zeros(1, dtype=np.int32)
    return Histories(found.indptr, found.items, found.at, found.audience, found.n_items, role=role)


def measure(stock: Prepared, taken: list[Histories], rounds: int) -> dict[str, object]:
    """Milliseconds: the whole, the same of the blend alone, their ratio, and stages on their own."""
    model = stock.bundle.model
    if not isinstance(model, FittedRanker):
        raise typer.BadParameter(f"the bundle holds a {model.kind}, not a ranker")
    alone = stock.with_model(model.blend)
    for history in taken[:20]:
        answer(stock, history)
        answer(alone, history)
    whole, blend = [], []
    for _ in range(rounds):
        for history in taken:
            whole.append(_ms(lambda one=history: answer(stock, one)))  # type: ignore[misc]
            blend.append(_ms(lambda one=history: answer(alone, one)))  # type: ignore[misc]
    wall, cpu = np.array(whole).T
    p50, p99 = np.percentile(wall, [50, 99])
    loop, _ = _ms(lambda: sum(range(1_000_000)))
    told = stages(stock, model, taken).items()
    return {
        "median_ms": round(float(p50), 3),
        "p99_ms": round(float(p99), 3),
        "fastest_ms": round(float(wall.min()), 3),
        "cpu_median_ms": round(float(np.median(cpu)), 3),
        "blend_alone_median_ms": round(float(np.median(np.array(blend)[:, 0])), 3),
        "blend_alone_cpu_median_ms": round(float(np.median(np.array(blend)[:, 1])), 3),
        "median_cpu_ratio_to_blend": round(float(np.median(cpu / np.array(blend)[:, 1])), 2),
        "stages_cpu_median_ms": {name: round(float(np.median([one for _, one in own])), 3) for name, own in told},
        "loop_ms": round(loop, 1),
        "target_median_ms": TARGET_MS,
    }


def answer(stock: Prepared, history: Histories) -> list[tuple[str, ...]]:
    """What a request needs of the model: scores, the order of all items, the best with their reasons."""
    return _reasons(stock, history, *_scored(stock, history))


def _scored(stock: Prepared, history: Histories) -> tuple[Scores, NDArray[np.int64]]:
    scores = score(stock, history, degraded=False)
    free = scores.scored.copy()
    free[history.items] = False
    ordered = best_first(scores.total, np.flatnonzero(free).astype(np.int32))
    return scores, ordered[:SHOWN].astype(np.int64)


def _reasons(stock: Prepared, history: Histories, scores: Scores, shown: NDArray[np.int64]) -> list[tuple[str, ...]]:
    role: Role = stock.bundle.catalogue.roles[ROLE]
    grounds = Grounds(stock, None, role, {}, role.expects, history, Standing())
    because = causes(stock.bundle.model, history, shown)
    return reasons(grounds, shown, scores.of(shown), because, [None] * len(shown))


def stages(stock: Prepared, model: FittedRanker, taken: list[Histories]) -> dict[str, list[tuple[float, float]]]:
    """Each stage timed on its own, on what the stage before it gave."""
    found: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, call: Callable[[], object]) -> None:
        found.setdefault(name, []).append(_ms(call))

    for history in taken:
        look = model.look(history)
        scores, shown = _scored(stock, history)
        for name, part in model.blend.parts.items():
            timed(f"part {name}", lambda own=part, one=history: own.score(one))  # type: ignore[misc]
        for name, call in {
            "look": lambda one=history: model.look(one),
            "of it: candidates": lambda one=history, own=look: candidates(
                own.total, own.raw, one, best=model.best, own=model.own
            ),
            "of it: pairs": lambda one=history, own=look: model.pairs.features(one, own.row, own.item),
            "trees": lambda own=look: model.lifted(own),
            "order": lambda own=scores: best_first(own.total, np.flatnonzero(own.scored).astype(np.int32)),
            "reasons": lambda one=history, own=scores, best=shown: _reasons(stock, one, own, best),
        }.items():
            timed(name, call)  # type: ignore[arg-type]
    return found


def _ms(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds by the clock and of the processor."""
    began, spent = perf_counter(), thread_time()
    call()
    return (perf_counter() - began) * 1000, (thread_time() - spent) * 1000


if __name__ == "__main__":
    typer.run(main)
