"""One model under one protocol: settings chosen on validation, test scored once, time and memory measured.

Fit seconds include every trial on validation. The peak is the high-water mark of resident memory (VmHWM) of a process
started for this model alone, so it counts the interpreter and the libraries that the model loads, and nothing of its
rivals. Scoring time is the median over single learners against the full catalogue on one thread.
"""

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training import lineup
from training.choose import is_settled, settle
from training.evaluate import Evaluation, evaluate, pool
from training.models.base import Fitted, Model
from training.models.blend import FittedBlend, choose_weights
from training.models.ranker import RankerConfig
from training.splits import ColdItems, Fold, LeaveLastOut, Task

_TIMED = 50


@dataclass(frozen=True, eq=False)
class Round:
    """Fit on `early` and choose on `validation`; then fit on `train` (without a new fit where it is `early`) and test."""

    early: Interactions
    validation: Task | None
    train: Interactions
    test: Task


Parts = LeaveLastOut | ColdItems | Sequence[Fold]
"""A split of any protocol."""


@dataclass(frozen=True, eq=False)
class Contest:
    """The same questions for every model. `side`: what is known of the items, in the table's item order."""

    rounds: tuple[Round, ...]
    side: SideInformation
    seed: int = 0
    k: int = 10

    @classmethod
    def of(cls, parts: Parts, side: SideInformation | None = None, *, seed: int = 0) -> "Contest":
        """From the split of any protocol; without `side` nothing is known of the items but who took them up."""
        if isinstance(parts, LeaveLastOut):
            rounds: tuple[Round, ...] = (Round(parts.train, parts.validation, parts.train, parts.test),)
        elif isinstance(parts, ColdItems):
            rounds = (Round(parts.early, parts.validation, parts.train, parts.test),)
        else:
            rounds = tuple(Round(f.validation_train, f.validation, f.train, f.test) for f in parts)
        return cls(rounds, side or SideInformation(rounds[0].train.n_items), seed)


@dataclass(frozen=True, eq=False)
class Result:
    """How one model did and what it cost. `settings`: what was chosen in each round, in words.

    `fit_seconds` are of the clock, `cpu_seconds` of the processor over all threads: what others take meanwhile is not in them.
    """

    model: str
    evaluation: Evaluation
    settings: tuple[str, ...]
    fit_seconds: float
    score_ms: float
    peak_mb: float
    cpu_seconds: float


def measure(name: str, contest: Contest) -> Result:
    """`compete` in a fresh process, on one BLAS thread for a small catalogue.

    Errors: those of the model; MemoryError where the process was killed.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        try:
            return alone.submit(_compete_alone, name, contest).result()
        except BrokenProcessPool as error:
            raise MemoryError(f"the process of {name} was killed, most likely for want of memory") from error


def _compete_alone(name: str, contest: Contest) -> Result:
    """Small products gain nothing from more BLAS threads, and wait long for each other where cores are shared."""
    small = contest.rounds[0].train.n_items <= lineup.SMALL
    with threadpool_limits(1 if small else None, "blas"):
        return compete(name, contest)


def compete(name: str, contest: Contest) -> Result:
    """Choose, fit and score one model in this process; the peak is that of this process so far."""
    fit_seconds, cpu_seconds, evaluations, words, milliseconds = 0.0, 0.0, [], [], [np.empty(0)]
    for number, this in enumerate(contest.rounds):
        rng = np.random.default_rng([contest.seed, number])
        start, cpu = time.perf_counter(), time.process_time()
        fitted, setting = _prepare(name, this, contest, rng)
        fit_seconds += time.perf_counter() - start
        cpu_seconds += time.process_time() - cpu
        evaluations.append(evaluate(fitted, this.test, train=this.train, k=contest.k))
        milliseconds.append(score_times(fitted, this.test.histories, rng, _TIMED // len(contest.rounds) + 1))
        words.append(setting)
        del fitted
    median = float(np.median(np.concatenate(milliseconds)))
    return Result(name, pool(evaluations), tuple(words), fit_seconds, median, peak_mb(), cpu_seconds)


def score_times(fitted: Fitted, histories: Histories, rng: np.random.Generator, count: int) -> np.ndarray:
    """float64[<= count]: milliseconds to score one learner over every item, on one thread."""
    rows = rng.choice(len(histories), size=min(count, len(histories)), replace=False)
    with threadpool_limits(1):
        fitted.score(histories.take(rows[:1]))
        return np.array([_milliseconds(fitted, histories.take(row[None])) for row in rows])


def peak_mb() -> float:
    """Highest resident memory of this process in MB (2**20 bytes).

    VmHWM and not `ru_maxrss`, which a spawned process inherits from its parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def _milliseconds(fitted: Fitted, one: Histories) -> float:
    start = time.perf_counter()
    fitted.score(one)
    return (time.perf_counter() - start) * 1000


def _prepare(name: str, this: Round, contest: Contest, rng: np.random.Generator) -> tuple[Fitted, str]:
    if name == lineup.BLEND:
        return _blend(this, contest, rng)
    if name == lineup.RANKER:
        return _ranker(this, contest, rng)
    models = lineup.settings(name, this.early.n_items, contest.side)
    if is_settled(models):  # no trial, and so no fit on the early part
        return models[0].fit(this.train, rng=rng), words(models[0])
    model, fitted = settle(models, this.early, this.validation, rng=rng, k=contest.k)
    return fitted if this.train is this.early else model.fit(this.train, rng=rng), words(model)


def _choose(name: str, this: Round, contest: Contest, rng: np.random.Generator) -> tuple[Model, Fitted]:
    """The setting that validation prefers and its fit on the early part."""
    models = lineup.settings(name, this.early.n_items, contest.side)
    return settle(models, this.early, this.validation, rng=rng, k=contest.k)


def _blend(this: Round, contest: Contest, rng: np.random.Generator) -> tuple[Fitted, str]:
    """Parts chosen one by one, then their weights, all on validation; parts without weight are not fitted again."""
    found, parts = _validated(lineup.BLENDED, this, contest, rng)
    if this.train is not this.early:
        found = FittedBlend({name: part.fit(this.train, rng=rng) for name, part in parts.items()}, found.weights)
    return found, " + ".join(f"{found.weights[name]:g} {words(part)}" for name, part in parts.items())


def _validated(
    names: Sequence[str], this: Round, contest: Contest, rng: np.random.Generator
) -> tuple[FittedBlend, dict[str, Model]]:
    """The blend of these models that validation prefers, as fitted on the early part, and the settings of its parts."""
    parts = {name: _choose(name, this, contest, rng) for name in _able(names, this.early, contest)}
    asked = this.validation or Task(Histories.of([], this.early.n_items), np.empty(0, np.int32), np.empty(0, np.int32))
    fitted = {name: part for name, (_, part) in parts.items()}
    weights = choose_weights(fitted, asked.histories, asked.targets, rng=rng, k=contest.k)
    return FittedBlend({name: fitted[name] for name in weights}, weights), {name: parts[name][0] for name in weights}


def _ranker(this: Round, contest: Contest, rng: np.random.Generator) -> tuple[Fitted, str]:
    """Parts and the weights of their blend chosen on validation; trees the ranker finds within what it learns from."""
    blend, parts = _validated(lineup.RANKED, this, contest, rng)
    model = RankerConfig().over(list(parts.values()), contest.side, blend.weights)
    found = model.fit(this.train, rng=rng, fitted=blend.parts if this.train is this.early else None)
    used = " + ".join(f"{blend.weights[name]:g} {words(part)}" for name, part in parts.items())
    return found, f"{found.note}; over {used}"


def _able(names: Sequence[str], early: Interactions, contest: Contest) -> Iterator[str]:
    return (name for name in names if lineup.missing(name, early, contest.side) is None)


def words(model: Model) -> str:
    """A model's settings as `name(field=value, ...)`."""
    config = getattr(model, "config", model)
    fields = config.model_dump() if hasattr(config, "model_dump") else {}
    return f"{model.name}({', '.join(f'{key}={value}' for key, value in fields.items())})"
