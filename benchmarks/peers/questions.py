"""What a peer is asked and how it answers: exported splits in, ranks and costs out. numpy alone, run by any environment.

A peer script calls `compete`: its settings are tried on validation within the budget, the best answers the test once. The
conventions are those of `training.metrics` (a test compares the two): full ranking over every unseen item, ties at their
mean rank, no score is a miss. A history that tells a library nothing is answered by popularity in training.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
K = 10
BATCH = 512
TIMED = 50


@dataclass(frozen=True, eq=False)
class Histories:
    """n histories, oldest first. indptr: int64[n + 1], items: int32[nnz], learners: int32[n], rows of the training table."""

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    learners: NDArray[np.int32]
    n_items: int

    def __len__(self) -> int:
        return len(self.learners)

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.items[self.indptr[row] : self.indptr[row + 1]]

    def rows(self) -> NDArray[np.int64]:
        """int64[nnz]: the history that each entry belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def counts(self) -> NDArray[np.int64]:
        """int64[n_items]: in how many histories each item stands."""
        return np.bincount(self.items, minlength=self.n_items)

    def batch(self, start: int, stop: int) -> "Histories":
        """The histories from `start` up to `stop`."""
        bounds = self.indptr[start : stop + 1]
        return Histories(bounds - bounds[0], self.items[bounds[0] : bounds[-1]], self.learners[start:stop], self.n_items)


@dataclass(frozen=True, eq=False)
class Questions:
    """After each history, which item comes next? targets: int32[n]."""

    histories: Histories
    targets: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Round:
    """Fit on `early` and choose on `validation`, then fit on `train` (where it is another table) and answer `test`."""

    early: Histories
    validation: Questions | None
    train: Histories
    test: Questions

    @property
    def refits(self) -> bool:
        return not np.array_equal(self.early.indptr, self.train.indptr)


Scorer = Callable[[Histories], Floats]
"""Scores of every item, float32[n, n_items]; NaN for an item, or a whole row for a history, that the library cannot score."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model: how it scores, what a later fit on more data takes over (such as epochs), what to say about it."""

    score: Scorer
    settled: Mapping[str, Any]
    note: str = ""


Settings = Mapping[str, Any]
Fitter = Callable[[Settings, Histories, "Questions | None", float], Fit]
"""(settings, training table, validation or None, seconds left) -> Fit. With validation a fitter may stop early by it."""


@dataclass(frozen=True)
class Budget:
    """At most `settings` settings and about `seconds` of processor time for each round, all tries together. One thread."""

    settings: int
    seconds: float


def compete(packages: Sequence[str], contestants: Mapping[str, tuple[Fitter, Sequence[Settings]]]) -> None:
    """The command line of a peer: EXPORT OUT --model NAME; writes OUT.npz and OUT.json, says on stdout how far it is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("export", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", choices=sorted(contestants), required=True)
    parser.add_argument("--settings", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1500)
    asked = parser.parse_args()
    fitter, settings = contestants[asked.model]
    found = answer(read(asked.export), fitter, settings, Budget(asked.settings, asked.seconds))
    ranks, shown = found.pop("rank"), found.pop("shown")
    found["versions"] = {"python": platform.python_version()} | {name: version(name) for name in packages}
    np.savez(asked.out.with_suffix(".npz"), rank=ranks, shown=shown)
    asked.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def read(export: Path) -> Iterator[Round]:
    """The rounds of an exported contest, in order."""
    for path in sorted(export.glob("round-*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            yield _round(arrays)


def _round(arrays: Any) -> Round:
    n_items = int(arrays["n_items"])

    def histories(part: str) -> Histories:
        return Histories(arrays[f"{part}_indptr"], arrays[f"{part}_items"], arrays[f"{part}_learners"], n_items)

    asked = [Questions(histories(part), arrays[f"{part}_targets"]) for part in ("validation", "test")]
    return Round(histories("early"), asked[0] if len(asked[0].targets) else None, histories("train"), asked[1])


def answer(rounds: Iterator[Round], fitter: Fitter, settings: Sequence[Settings], budget: Budget) -> dict[str, Any]:
    """Ranks of all test questions (rank: float64[n], shown: bool[n_items]) and what they cost; see `compete`."""
    fit_seconds = cpu_seconds = 0.0
    ranks, shown, times, words, notes, tries = [], [], [], [], [], []
    for number, this in enumerate(rounds):
        print(f"round {number + 1}", flush=True)
        start, cpu = time.perf_counter(), time.process_time()
        fit, chosen, tried = choose(this, fitter, settings, budget)
        if this.refits:
            fit = fitter({**chosen, **fit.settled}, this.train, None, budget.seconds)
        fit_seconds += time.perf_counter() - start
        cpu_seconds += time.process_time() - cpu
        rank, seen = ranked(fit.score, this.test, this.train)
        ranks.append(rank)
        shown.append(seen)
        times.append(_milliseconds(fit.score, this.test.histories))
        words.append(", ".join(f"{key}={value}" for key, value in {**chosen, **fit.settled}.items()))
        tries.append(tried)
        notes.append(fit.note)
    return {
        "rank": np.concatenate(ranks),
        "shown": np.any(shown, axis=0),
        "fit_seconds": fit_seconds,
        "cpu_seconds": cpu_seconds,
        "score_ms": float(np.median(np.concatenate(times))),
        "peak_mb": peak_mb(),
        "settings": words,
        "tried": tries,
        "notes": sorted(set(notes) - {""}),
    }


def choose(
    this: Round, fitter: Fitter, settings: Sequence[Settings], budget: Budget
) -> tuple[Fit, Settings, list[dict[str, Any]]]:
    """The setting with the best validation NDCG@10 of those tried in the order given, until the budget is used."""
    start, tried = time.process_time(), []
    best: tuple[float, Fit, Settings] | None = None
    for own in settings[: budget.settings]:
        left = budget.seconds - (time.process_time() - start)
        if best is not None and (left <= 0 or this.validation is None):
            break
        fit = fitter(own, this.early, this.validation, left)
        ndcg = -1.0 if this.validation is None else validated(fit.score, this.validation, this.early)
        tried.append({"setting": {**own, **fit.settled}, "ndcg": ndcg, "seconds": round(time.process_time() - start, 2)})
        print(f"{own}: {ndcg:.4f} on validation {fit.note}", flush=True)
        if best is None or ndcg > best[0]:
            best = ndcg, fit, own
    if best is None:
        raise ValueError("no setting to try")
    return best[1], best[2], tried


def validated(score: Scorer, asked: Questions, train: Histories) -> float:
    """NDCG@10."""
    rank = ranked(score, asked, train)[0]
    return float(np.where(rank < K + 1, 1 / np.log2(1 + rank), 0.0).mean())


def ranked(score: Scorer, asked: Questions, train: Histories) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(rank of each target, items in anyone's top 10): float64[n] and bool[n_items]."""
    rank, shown = np.empty(len(asked.targets)), np.zeros(train.n_items, dtype=bool)
    popular = train.counts().astype(np.float32)
    for start in range(0, len(rank), BATCH):
        stop = min(start + BATCH, len(rank))
        batch, targets = asked.histories.batch(start, stop), asked.targets[start:stop]
        scores = np.array(score(batch), dtype=np.float32)
        scores[np.isnan(scores).all(axis=1)] = popular
        scores = unseen(scores, batch, targets)
        rank[start:stop] = target_ranks(scores, targets)
        shown |= top(scores)
    return rank, shown


def unseen(scores: Floats, histories: Histories, targets: NDArray[np.int32]) -> Floats:
    """The scores with NaN at every item of the learner's history."""
    every = np.arange(len(targets))
    own = scores[every, targets]
    scores[histories.rows(), histories.items] = np.nan
    scores[every, targets] = own
    return scores


def target_ranks(scores: Floats, targets: NDArray[np.int32]) -> NDArray[np.float64]:
    """1 is the best; tied items share their mean rank; infinity where the target has no score."""
    own = scores[np.arange(len(targets)), targets][:, None]
    above, tied = np.count_nonzero(scores > own, axis=1), np.count_nonzero(scores == own, axis=1) - 1
    return np.where(np.isnan(own[:, 0]), np.inf, 1.0 + above + tied / 2)


def top(scores: Floats) -> NDArray[np.bool_]:
    """bool[n_items]: items in the top 10 of any row; a tied group is in or out as a whole, by its mean rank."""
    usable = np.where(np.isnan(scores), -np.inf, scores)
    place = scores.shape[1] - min(K, scores.shape[1])
    last = np.partition(usable, place, axis=1)[:, place][:, None]
    above, tied = usable > last, usable == last
    mean = np.count_nonzero(above, axis=1) + (np.count_nonzero(tied, axis=1) + 1) / 2
    fits = (mean < K + 1) & np.isfinite(last[:, 0])
    found: NDArray[np.bool_] = above.any(axis=0) | tied[fits].any(axis=0)
    return found


def peak_mb() -> float:
    """Highest resident memory of this process in MB (2**20 bytes); Linux."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def _milliseconds(score: Scorer, histories: Histories) -> NDArray[np.float64]:
    """Of single learners drawn at random, after one to warm up."""
    rows = np.random.default_rng(0).choice(len(histories), size=min(TIMED, len(histories)), replace=False)
    times = []
    for row in (rows[0], *rows):
        one = histories.batch(int(row), int(row) + 1)
        start = time.perf_counter()
        score(one)
        times.append((time.perf_counter() - start) * 1000)
    return np.array(times[1:])
