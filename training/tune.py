"""A sweep: every family gets the same number of trials, each judged on validation, remembered in a study that can go on.

No figure that `fit` reports is touched: with times, trials are fitted on what was known one window before the first cut and
asked for that window, which ends where the first test begins, and no learner's last item takes part at all. Without times
they are fitted and asked as leave-last-out does for validation. Trial n of a family draws from a generator of its own, so a
sweep that was stopped goes on as if it had not been.
"""

import os
import platform
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import optuna
from pydantic import BaseModel

from features.interactions import Interactions
from training.config import SECTIONS, Config
from training.evaluate import evaluate
from training.fit import DataError, Table, select, taught
from training.models.base import Model
from training.models.families import Bindable
from training.parts import Sides
from training.search_spaces import SPACES, Choice, Integers, Space, Value
from training.splits import Task, before_every_test, relabel

if TYPE_CHECKING:
    from training.tracking import Run

State = optuna.trial.TrialState
Settings = Mapping[str, Value]
_EXPECTED = (ValueError, ArithmeticError, MemoryError, np.linalg.LinAlgError, RuntimeError)
"""What a setting may fail with: such a trial is spent, the sweep goes on."""
_FIRST_LOOK = 3  # a trial that may be pruned is fitted on every third learner before all


@dataclass(frozen=True, eq=False)
class Question:
    """What every trial is asked: fit on `train`, rank the targets of `validation`. `sides` follow the table's items."""

    train: Interactions
    validation: Task
    sides: Sides


@dataclass(frozen=True)
class Budget:
    """What each family may spend: `trials`, and `seconds` in this run (None: no limit)."""

    trials: int
    seconds: float | None = None


@dataclass(frozen=True)
class Swept:
    """One family's sweep so far. `settings`, `ndcg`, `recall` are the best trial's; None where no trial came through."""

    family: str
    spent: int
    pruned: int
    failed: int
    trial: int | None
    settings: Settings
    ndcg: float | None
    recall: float | None


def question(table: Table, config: Config, sides: Sides) -> Question:
    """What a sweep over this table asks. Raises DataError where nothing is left to learn from or to ask."""
    chosen = select(table.interactions, config)
    relabelled, renamed = relabel(chosen, rng=np.random.default_rng(config.evaluation.seed))
    try:
        train, validation = before_every_test(relabelled, cuts=config.evaluation.cuts, ask=config.evaluation.ask)
    except ValueError as error:
        raise DataError(f"{error} (evaluation.cuts = {config.evaluation.cuts})") from error
    train = taught(train, config)
    validation = validation.organic() if config.data.use == "organic" else validation
    if not len(train.items) or not len(validation):
        raise DataError("nothing is left to learn from or to ask before the first cut: take fewer evaluation.cuts")
    return Question(train, validation, cache(lambda encoder: sides(encoder).take(renamed.items)))


def study_name(table: Table, config: Config, family: str, asked: Question) -> str:
    """Names what makes trials comparable: tenant, family, its space and fixed settings, data, split, metric and seed."""
    what = [
        asked.train.digest(),
        asked.validation.digest,
        config.evaluation.k,
        config.seed,
        SPACES.get(family),
        _fixed(config, family),
    ]
    return f"{table.tenant}/{family}/{zlib.crc32(repr(what).encode()):08x}"


def open_study(name: str, storage: str | None, *, prune: bool = False) -> optuna.Study:
    """The study of that name, begun or continued; trials whose process is gone are closed, so that they cost nothing."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5) if prune else optuna.pruners.NopPruner()
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True)
    for trial in study.get_trials(deepcopy=False, states=(State.RUNNING,)):
        if _is_dead(trial.user_attrs.get("process", "")):
            study.tell(trial.number, state=State.FAIL)
    return study


def sweep(
    family: str, asked: Question, config: Config, study: optuna.Study, budget: Budget, *, run: "Run", say: Callable[[str], None]
) -> Swept:
    """Tries settings of one family until its budget is spent; each trial is a run below `run`.

    Another process may sweep the same study at the same time. An exception that is no setting's fault, Ctrl-C among them,
    leaves the study as it was before that trial.
    """
    space, start = SPACES.get(family, {}), time.monotonic()
    trials = budget.trials if space else 1
    while (slot := _spent(study)) < trials and not _late(start, budget):
        say(f"{family}: trial {slot + 1} of {trials}")
        _one(family, asked, config, study, slot, run)
    return summary(family, study)


def summary(family: str, study: optuna.Study) -> Swept:
    """What a study holds. `spent` counts trials that came through, were pruned or failed by their own settings."""
    trials = study.get_trials(deepcopy=False)
    count = {state: sum(t.state == state for t in trials if not _interrupted(t)) for state in (State.PRUNED, State.FAIL)}
    done = [t for t in trials if t.state == State.COMPLETE]
    best = max(done, key=lambda t: (t.value or 0.0, -t.number), default=None)
    head = family, _spent(study), count[State.PRUNED], count[State.FAIL]
    if best is None:
        return Swept(*head, None, {}, None, None)
    return Swept(*head, best.number, dict(best.params), best.value, best.user_attrs["recall"])


def best_recipe(config: Config, swept: Sequence[Swept]) -> Config:
    """The recipe with the best settings of each family, which also become parts of its blend (all but `random`)."""
    models = {name: getattr(config.models, name) for name in config.models.names}
    found = {s.family: configured(config, s.family, s.settings) for s in swept if s.trial is not None}
    parts = (*config.blend.parts, *(name for name in found if name not in config.blend.parts and name != "random"))
    body = config.model_dump(exclude_none=True)
    body["models"] = {name: _section(model) for name, model in (models | found).items()}
    return Config.model_validate(body | {"blend": {"parts": parts}})


def configured(config: Config, family: str, settings: Settings) -> BaseModel:
    """A family's section of a recipe: what it says itself, or the defaults, with these settings."""
    found: BaseModel = SECTIONS[family].model_validate(_fixed(config, family) | dict(settings))
    return found


def _one(family: str, asked: Question, config: Config, study: optuna.Study, slot: int, run: "Run") -> None:
    space = SPACES.get(family, {})
    if slot == 0 and space:
        study.enqueue_trial(_start(config, family, space))
    study.sampler = optuna.samplers.TPESampler(seed=_seed(config, family, slot))
    trial = study.ask()
    trial.set_user_attr("process", _process())
    settings: Settings = {name: _suggest(trial, name, values) for name, values in space.items()}
    try:
        with run.child(f"{family} {slot + 1}", tags={"tune.family": family, "tune.study": study.study_name}) as child:
            state, value, said = _judged(trial, asked, config, family, settings)
            child.params(configured(config, family, settings).model_dump(mode="json"))
            child.metrics(said | ({} if value is None else {"validation_ndcg": value}))
            child.tags(
                {"tune.state": state.name.lower(), **({"tune.error": trial.user_attrs["error"]} if state == State.FAIL else {})}
            )
            child.status = "FAILED" if state == State.FAIL else "FINISHED"
        study.tell(trial, value if state == State.COMPLETE else None, state=state)
    except BaseException:
        study.tell(trial, state=State.FAIL, skip_if_finished=True)
        raise


def _judged(
    trial: optuna.Trial, asked: Question, config: Config, family: str, settings: Settings
) -> tuple[Any, float | None, dict[str, float]]:
    """(state, NDCG, what else there is to say in figures) of one trial."""
    start, model = time.perf_counter(), _model(config, family, settings, asked.sides)
    rng = np.random.default_rng([config.seed, zlib.crc32(family.encode())])
    try:
        if isinstance(trial.study.pruner, optuna.pruners.MedianPruner):
            some = asked.train.holding(asked.train.take(np.arange(0, len(asked.train), _FIRST_LOOK)))
            trial.report(_score(model, some, asked, config, rng)[0], step=0)
            if trial.should_prune():
                return State.PRUNED, None, {"seconds": time.perf_counter() - start}
        # A copy: what a model keeps beside a table (shared halves of a grid) goes with the trial.
        ndcg, recall = _score(model, replace(asked.train), asked, config, rng)
    except _EXPECTED as error:
        trial.set_user_attr("error", f"{type(error).__name__}: {error}"[:500])
        return State.FAIL, None, {"seconds": time.perf_counter() - start}
    trial.set_user_attr("recall", recall)
    return State.COMPLETE, ndcg, {"validation_recall": recall, "seconds": time.perf_counter() - start}


def _score(model: Model, train: Interactions, asked: Question, config: Config, rng: np.random.Generator) -> tuple[float, float]:
    found = evaluate(model.fit(train, rng=rng), asked.validation, train=asked.train, k=config.evaluation.k)
    ndcg = found.metric("ndcg")
    if not np.isfinite(ndcg):
        raise ArithmeticError(f"NDCG is {ndcg}")
    return ndcg, found.metric("recall")


def _model(config: Config, family: str, settings: Settings, sides: Sides) -> Model:
    section: Any = configured(config, family, settings)
    if isinstance(section, Bindable):
        return section.bind(sides(getattr(section, "encoder", config.encoder)))
    model: Model = section
    return model


def _fixed(config: Config, family: str) -> dict[str, Any]:
    """A family's settings before a sweep: those of the recipe, or the defaults."""
    section = getattr(config.models, family, None)
    return section.model_dump() if isinstance(section, BaseModel) else SECTIONS[family]().model_dump()


def _start(config: Config, family: str, space: Space) -> dict[str, Value]:
    """The first trial: where the recipe stands, so that a sweep never ends below it (on validation)."""
    now = _fixed(config, family)
    return {name: values.nearest(now[name]) for name, values in space.items()}


def _suggest(trial: optuna.Trial, name: str, values: Any) -> Value:
    if isinstance(values, Choice):
        return cast(Value, trial.suggest_categorical(name, values.values))
    suggest = trial.suggest_int if isinstance(values, Integers) else trial.suggest_float
    return cast(Value, suggest(name, values.low, values.high, log=values.log))


def _section(model: Any) -> Any:
    return model.model_dump() if isinstance(model, BaseModel) else model


def _seed(config: Config, family: str, slot: int) -> int:
    return int(np.random.SeedSequence([config.seed, zlib.crc32(family.encode()), slot]).generate_state(1)[0])


def _spent(study: optuna.Study) -> int:
    """Trials that used a part of the budget: not the interrupted ones, and not those of a process still at it."""
    done = study.get_trials(deepcopy=False, states=(State.COMPLETE, State.PRUNED, State.FAIL))
    return sum(not _interrupted(trial) for trial in done)


def _interrupted(trial: optuna.trial.FrozenTrial) -> bool:
    return trial.state == State.FAIL and "error" not in trial.user_attrs


def _late(start: float, budget: Budget) -> bool:
    return budget.seconds is not None and time.monotonic() - start >= budget.seconds


def _process() -> str:
    return f"{platform.node()} {os.getpid()}"


def _is_dead(process: str) -> bool:
    """Whether a process of this machine is gone; of another machine's nobody here can tell."""
    node, _, number = process.rpartition(" ")
    if node != platform.node() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
