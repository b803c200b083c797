"""What the sparse form of the linear model costs in accuracy beside the dense one, and what it takes for many items.

python -m benchmarks.linear_forms               MARS and Beauty with and without side information, leave-last-out, then 100,000
                                                items; a quarter of an hour; writes benchmarks/results/linear_forms.json
python -m benchmarks.linear_forms --only mars   one of mars, beauty, large; replaces its rows there
python -m benchmarks.linear_forms --data DIR    where amazon-beauty/ and mars/ are (or the variable NEXTWISE_DATA)

Settings are searched once on validation, in the form that a catalogue of that size gets, and kept for every other form.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from scipy import sparse

from benchmarks.growth_point import table
from benchmarks.machine import machine
from features.side import SideInformation
from training.contest import peak_mb, words
from training.evaluate import evaluate
from training.leaderboard import Format, load, side_information
from training.models import linear_sparse
from training.models.linear import FittedLinear, Linear, LinearModel
from training.splits import LeaveLastOut, leave_last_out, relabel

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "linear_forms.json"
LARGE = 100_000  # learners, and items; ten take-ups each
console = Console()
Row = dict[str, Any]
Name = Literal["mars", "beauty", "large"]


def main(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, envvar="NEXTWISE_DATA")] = ROOT.parent / "shared" / "data",
    only: Annotated[Name | None, typer.Option(help="One part alone.")] = None,
) -> None:
    """Measure and write."""
    kept: list[Row] = json.loads(RESULT.read_text("utf-8"))["rows"] if RESULT.exists() else []
    for name in (only,) if only else ("mars", "beauty", "large"):
        rows = [{"data": name} | row for row in (large() if name == "large" else public(name, data))]
        kept = [row for row in kept if row["data"] != name] + rows
        _write({"machine": machine(), "rows": kept})
    _show(kept)


def public(name: str, data: Path) -> Iterator[Row]:
    """Every form on one public log, without and with what is known of its items."""
    if name == "mars":
        dataset = load(Format.MARS, data / "mars")
    else:
        folder = data / "amazon-beauty"
        dataset = load(Format.SEQUENCES, folder / "Beauty.txt", folder / "Beauty_item2attributes.json")
    relabelled, permutation = relabel(dataset.interactions, rng=np.random.default_rng(0))
    parts, side = leave_last_out(relabelled), side_information(dataset, ["linear"], console).take(permutation.items)
    for known in (SideInformation(side.n_items), side):
        yield from _forms(parts, known, "none" if known.text is None and known.attributes is None else "known")


def _forms(parts: LeaveLastOut, side: SideInformation, known: str) -> Iterator[Row]:
    asked, start = parts.validation, time.perf_counter()
    rng = np.random.default_rng(0)
    model, fitted = Linear().bind(side).search(parts.train, asked.histories, asked.targets, rng=rng)
    head = {"side": known, "settings": words(model)}
    yield head | {"form": "searched"} | _figures(fitted, parts, time.perf_counter() - start)
    for form, nearest in (("dense", 0), ("sparse", 20), ("sparse", 50), ("sparse", 100)):
        linear_sparse.NEAREST = nearest or linear_sparse.NEAREST
        start = time.perf_counter()
        fitted = _in(model, form).fit(parts.train, rng=rng)
        yield head | {"form": f"{form} {nearest}" if nearest else form} | _figures(fitted, parts, time.perf_counter() - start)
    linear_sparse.NEAREST = 50


def _in(model: LinearModel, form: str) -> LinearModel:
    return replace(model, config=model.config.model_copy(update={"form": form}))


def _figures(fitted: FittedLinear, parts: LeaveLastOut, seconds: float) -> Row:
    found: Row = {"seconds": round(seconds, 1), "peak_mb": round(peak_mb())}
    for name, task in (("validation", parts.validation), ("test", parts.test)):
        evaluation = evaluate(fitted, task, train=parts.train)
        found |= {f"{name}_{metric}": round(evaluation.metric(metric), 4) for metric in ("ndcg", "recall")}
    console.print(found)
    return found


def large() -> Iterator[Row]:
    """Time and memory of a fit alone: the table is drawn, so its accuracy would say nothing."""
    drawn = table(LARGE, LARGE)
    words_of = np.random.default_rng(0).integers(0, 2_000, (LARGE, 5))
    attributes = SideInformation(LARGE, attributes=_indicators(words_of))
    for known, side, weight in (("none", SideInformation(LARGE), 0.0), ("known", attributes, 1.0)):
        start = time.perf_counter()
        model = Linear(side=weight, next_side=weight).bind(side)
        model.fit(drawn, rng=np.random.default_rng(0))
        row = {"side": known, "form": "sparse 50", "settings": words(model), "take_ups": len(drawn.items)}
        yield row | {"seconds": round(time.perf_counter() - start, 1), "peak_mb": round(peak_mb())}


def _indicators(columns: np.ndarray) -> Any:
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    found = sparse.csr_matrix((np.ones(columns.size, dtype=np.float32), (rows, columns.ravel())), shape=(len(columns), 2_000))
    found.data[:] = 1
    return found


def _write(found: dict[str, Any]) -> None:
    RESULT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def _show(rows: list[Row]) -> None:
    shown = ("data", "side", "form", "validation_ndcg", "validation_recall", "test_ndcg", "test_recall", "seconds", "peak_mb")
    lines = Table(*shown)
    for row in rows:
        lines.add_row(*(str(row.get(name, "-")) for name in shown))
    console.print(lines)


if __name__ == "__main__":
    typer.run(main)
