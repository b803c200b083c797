"""Settings are chosen on validation, by NDCG at k, and the fit that won is the one that goes on."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories, Interactions
from training.evaluate import evaluate
from training.models.base import Fitted, Model
from training.splits import Task


@runtime_checkable
class Searching(Protocol):
    """A model whose settings are where a search of its own begins."""

    def search(
        self,
        train: Interactions,
        histories: Histories,
        targets: NDArray[np.int32],
        *,
        rng: np.random.Generator,
        k: int = 10,
    ) -> tuple[Model, Fitted]:
        """The settings that rank targets (int32[n]) best after n histories, and their fit on `train`."""
        ...


@dataclass(frozen=True)
class Trial:
    """One setting and how it did on validation; seconds include fit and scoring."""

    model: Model
    ndcg: float
    recall: float
    seconds: float


@dataclass(frozen=True)
class Choice:
    """The winning setting, its fit on the training part, and the table of all trials in the order tried."""

    model: Model
    fitted: Fitted
    table: tuple[Trial, ...]


def choose(models: Sequence[Model], train: Interactions, validation: Task, *, rng: np.random.Generator, k: int = 10) -> Choice:
    """Fit every setting on `train`, keep the one with the best validation NDCG@k (the first of equals).

    Two fits at most are held at a time. Each setting draws from a generator of its own, so the order tried changes nothing
    but which of two equals wins. Errors: ValueError for no settings.
    """
    if not models:
        raise ValueError("no settings to choose from")
    best: Choice | None = None
    table: list[Trial] = []
    for model, own in zip(models, rng.spawn(len(models)), strict=True):
        fitted, trial = _try(model, train, validation, own, k)
        if best is None or trial.ndcg > max(t.ndcg for t in table):
            best = Choice(model, fitted, ())
        table.append(trial)
        del fitted
    assert best is not None
    return Choice(best.model, best.fitted, tuple(table))


def settle(
    models: Sequence[Model], train: Interactions, validation: Task | None, *, rng: np.random.Generator, k: int = 10
) -> tuple[Model, Fitted]:
    """The setting that validation prefers, and its fit on `train`: how leaderboard and recipe both come to a model.

    A single setting needs no trial, unless a search begins there; without anything to validate on, the first stands.
    """
    if is_settled(models) or validation is None or not len(validation):
        return models[0], models[0].fit(train, rng=rng)
    first = models[0]
    if len(models) == 1 and isinstance(first, Searching):
        return first.search(train, validation.histories, validation.targets, rng=rng, k=k)
    choice = choose(models, train, validation, rng=rng, k=k)
    return choice.model, choice.fitted


def is_settled(models: Sequence[Model]) -> bool:
    """Whether nothing is left to choose: a single setting that no search begins from."""
    return len(models) == 1 and not isinstance(models[0], Searching)


def _try(model: Model, train: Interactions, validation: Task, rng: np.random.Generator, k: int) -> tuple[Fitted, Trial]:
    start = time.perf_counter()
    fitted = model.fit(train, rng=rng)
    found = evaluate(fitted, validation, train=train, k=k)
    return fitted, Trial(model, found.metric("ndcg"), found.metric("recall"), time.perf_counter() - start)
