"""Learners nobody knows anything of but audience, org unit and role: how well is their next item ranked?

    make demo                                     # or any lake of a tenant's own
    python -m benchmarks.cold_learners            # writes benchmarks/results/cold_learners.json

Rolling origin; settings of every model chosen on the window before each cut, the test window looked at once.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from training.contest import Contest, compete
from training.estimates import Estimate
from training.evaluate import COLD_LEARNERS, KNOWN_LEARNERS, NEW_LEARNERS, Evaluation, paired_difference
from training.inputs import read_table
from training.splits import digest, relabel, rolling_origin

MODELS = ("popularity", "recent", "segments")
SLICES = (NEW_LEARNERS, COLD_LEARNERS, KNOWN_LEARNERS)
OUT = Path("benchmarks/results/cold_learners.json")


def main(
    lake: Annotated[Path, typer.Option(help="Where `python -m features materialize` wrote.")] = Path("var/lake"),
    tenant: Annotated[str, typer.Option(help="Whose lake; `make demo` writes the embedded organisation as demo.")] = "demo",
    seed: Annotated[int, typer.Option(min=0, help="Draws the relabelling and the intervals.")] = 0,
    out: Annotated[Path, typer.Option(dir_okay=False, help="Where to write the figures.")] = OUT,
) -> None:
    """Compare popularity, recent popularity and segments on learners without, with little, and with any history."""
    console = Console()
    with console.status("Read the lake"):
        table, _, sides = read_table(lake, tenant, lambda step: None)
    relabelled, renamed = relabel(table.interactions, rng=np.random.default_rng(seed))
    folds = rolling_origin(relabelled)
    contest = Contest.of(folds, sides(None).take(renamed.items), seed=seed)
    found: dict[str, Evaluation] = {}
    settings: dict[str, Sequence[str]] = {}
    for name in MODELS:
        with console.status(f"Fit and score {name}"):
            result = compete(name, contest)
        found[name], settings[name] = result.evaluation, result.settings
    body: dict[str, Any] = {"split_digest": digest(folds), "seed": seed, "machine": machine(), "settings": settings}
    body["slices"] = {name: _slice({model: one.within(name) for model, one in found.items()}, seed) for name in SLICES}
    out.write_text(json.dumps(body, indent=1) + "\n", "utf-8")
    console.print(_shown(body["slices"]))


def _slice(found: dict[str, Evaluation], seed: int) -> dict[str, Any]:
    """NDCG by model with the paired difference of segments to the others."""
    ours = found["segments"]
    rows: dict[str, Any] = {"targets": len(ours), "learners": len(np.unique(ours.learner))}
    for name, one in found.items():
        rows[name] = {"ndcg": round(one.metric("ndcg"), 4), "recall": round(one.metric("recall"), 4)}
        if name != "segments":
            difference = paired_difference(ours, one, rng=np.random.default_rng(seed))
            rows[name]["segments_minus"] = _interval(difference) if isinstance(difference, Estimate) else None
    return rows


def _interval(one: Estimate) -> list[float]:
    return [round(value, 4) for value in (one.value, one.low, one.high)]


def _shown(slices: dict[str, Any]) -> Table:
    table = Table(title="NDCG@10, and what segments adds (paired, 95 %)", title_justify="left")
    for column in ("learners", "targets", *MODELS, "over popularity", "over recent"):
        table.add_column(column)
    for name, rows in slices.items():
        added = [_words(rows[model]["segments_minus"]) for model in MODELS[:2]]
        table.add_row(name, str(rows["targets"]), *(f"{rows[model]['ndcg']:.4f}" for model in MODELS), *added)
    return table


def _words(interval: list[float] | None) -> str:
    return "-" if interval is None else "{:+.4f} ({:+.4f} to {:+.4f})".format(*interval)


if __name__ == "__main__":
    typer.run(main)
