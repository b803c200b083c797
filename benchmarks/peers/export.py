"""Our side of the exchange with a peer: a contest as .npz files, and a peer's ranks as an `Evaluation` like any of ours."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories, Interactions
from training.contest import Result, Round
from training.evaluate import Evaluation, evaluate, pool
from training.models.popularity import Popularity
from training.splits import Task

Arrays = dict[str, NDArray[Any]]


def export(rounds: Sequence[Round], folder: Path) -> str:
    """Write `round-000.npz` and so on, as `questions.read` expects them; returns their SHA-256. Creates the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    named = hashlib.sha256()
    for number, this in enumerate(rounds):
        for name, array in _arrays(this).items():
            named.update(name.encode() + np.ascontiguousarray(array).tobytes())
        with (folder / f"round-{number:03}.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, n_items=np.int64(this.train.n_items), **_arrays(this))
    return named.hexdigest()


def result(model: str, rounds: Sequence[Round], out: Path) -> tuple[Result, dict[str, Any]]:
    """What a peer wrote to OUT.npz and OUT.json, as a result like ours, and all that it said.

    Errors: ValueError where it did not answer every question; OSError where there is no answer.
    """
    said = json.loads(out.with_suffix(".json").read_text("utf-8"))
    with np.load(out.with_suffix(".npz"), allow_pickle=False) as arrays:
        rank, shown = arrays["rank"], arrays["shown"]
    asked = questions(rounds)
    if len(rank) != len(asked) or len(shown) != rounds[0].train.n_items:
        raise ValueError(f"{model} answered {len(rank)} of {len(asked)} questions about {len(shown)} items")
    evaluation = replace(asked, rank=rank, shown=shown)
    costs = [said[name] for name in ("fit_seconds", "score_ms", "peak_mb", "cpu_seconds")]
    return Result(model, evaluation, tuple(said["settings"]), *costs), said


def questions(rounds: Sequence[Round]) -> Evaluation:
    """Targets, learners, weights and slices of all rounds pooled, as every evaluation has them; the ranks are popularity's."""
    rng = np.random.default_rng(0)
    return pool([evaluate(Popularity().fit(this.train, rng=rng), this.test, train=this.train) for this in rounds])


def _arrays(this: Round) -> Arrays:
    nobody = Task(Histories.of([], this.early.n_items), np.empty(0, np.int32), np.empty(0, np.int32))
    found = _table("early", this.early) | _table("train", this.train)
    return found | _task("validation", this.validation or nobody) | _task("test", this.test)


def _table(part: str, table: Interactions) -> Arrays:
    return _histories(part, table, np.arange(len(table), dtype=np.int32))


def _task(part: str, task: Task) -> Arrays:
    return _histories(part, task.histories, task.learners) | {f"{part}_targets": task.targets}


def _histories(part: str, histories: Histories, learners: NDArray[np.int32]) -> Arrays:
    return {f"{part}_indptr": histories.indptr, f"{part}_items": histories.items, f"{part}_learners": learners}
