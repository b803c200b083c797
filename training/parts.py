"""What a recipe makes of a training table: its models, the choices that validation makes, the blend and the ranker."""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training import lineup
from training.choose import settle
from training.config import RANKER, Config
from training.models.base import Fitted, Model
from training.models.blend import FittedBlend, choose_weights
from training.models.families import FAMILIES, Bindable, Settings
from training.models.ranker import FittedRanker
from training.splits import Task

_TIMED = 32  # histories whose scoring is timed one by one

Sides = Callable[[str | None], SideInformation]
"""What is known of the table's items, in its item order, with texts as the encoder of that name reads them (None: no texts)."""


@dataclass(frozen=True)
class Choices:
    """What validation chose: the settings of each model that the recipe leaves open, and the weights by part.

    `weights` of the blend, `beneath` those of the blend that the ranker's trees start from (empty without a ranker).
    """

    settings: Mapping[str, Settings]
    weights: Mapping[str, float]
    beneath: Mapping[str, float] = field(default_factory=dict)


def choose_settings(
    config: Config,
    train: Interactions,
    validation: Task | None,
    sides: Sides,
    settings: Mapping[str, Settings] | None,
    parts: Mapping[str, Fitted] | None = None,
) -> Choices:
    """The settings that the recipe leaves open (searched where `settings` is None) and the weights, on validation.

    `parts` fitted on `train` are used again. Without validation: the first settings of each grid, and equal weights.
    """
    task = validation if validation is not None else _nothing(train)
    task = task.organic() if config.data.use == "organic" else task
    fitted = dict(parts or {})
    if settings is None:
        found = {name: _search(config, name, train, task, sides) for name in config.models.left_open}
        settings = {name: model for name, (model, _) in found.items()}
        fitted |= {name: best for name, (_, best) in found.items()}
    missing = [name for name in config.parts(config.serves) if name not in fitted]
    fitted |= fit_parts(config, settings, train, sides, names=missing)
    weights = _weights(config, config.blend.parts, fitted, task)
    if config.ranker is None:
        return Choices(settings, weights)
    same = set(config.ranker.parts) == set(config.blend.parts)
    return Choices(settings, weights, weights if same else _weights(config, config.ranker.parts, fitted, task))


def _weights(config: Config, names: Sequence[str], fitted: Mapping[str, Fitted], task: Task) -> dict[str, float]:
    able = {name: fitted[name] for name in names}
    rng = np.random.default_rng([config.seed, zlib.crc32(b"weights")])
    return choose_weights(able, task.histories, task.targets, rng=rng, k=config.evaluation.k)


def fit_parts(
    config: Config,
    settings: Mapping[str, Settings],
    train: Interactions,
    sides: Sides,
    *,
    names: Sequence[str] | None = None,
    costs: dict[str, float] | None = None,
    timed: Histories | None = None,
) -> dict[str, Fitted]:
    """The configured models by name (or those in `names`), each with a generator of its own; `costs` is filled when given."""
    parts: dict[str, Fitted] = {}
    for name in config.models.names if names is None else names:
        parts[name] = _model(config, name, settings, sides).fit(train, rng=generator(config, name))
        if costs is not None and timed is not None:
            costs[name] = score_ms(parts[name], timed)
    return parts


def blended(config: Config, parts: Mapping[str, Fitted], weights: Mapping[str, float]) -> FittedBlend:
    """The blend as it is served: its linear part keeps the strongest entries of each row."""
    return FittedBlend({name: parts[name] for name in weights}, dict(weights)).compact(config.bundle.row_entries)


def ranked(
    config: Config, choices: Choices, train: Interactions, sides: Sides, parts: Mapping[str, Fitted]
) -> FittedRanker | None:
    """The recipe's ranker with the settings chosen so far, over the `parts` fitted on `train`; None without one."""
    if config.ranker is None:
        return None
    models = [_model(config, name, choices.settings, sides) for name in choices.beneath]
    ranker = config.ranker.settings.over(models, sides(config.encoder), choices.beneath)
    found = ranker.fit(train, rng=generator(config, RANKER), fitted=parts)
    return found.compact(config.bundle.row_entries)


def _model(config: Config, name: str, settings: Mapping[str, Settings], sides: Sides) -> Model:
    found: Settings | None = settings[name] if name in settings else getattr(config.models, name)
    assert found is not None, f"[models.{name}] is not configured"
    return found.bind(sides(config.encoder)) if isinstance(found, Bindable) else found


def _search(config: Config, name: str, train: Interactions, task: Task, sides: Sides) -> tuple[Settings, Fitted]:
    """The best settings of a model's grid on validation, and that model fitted; the first of the grid without validation."""
    bindable = isinstance(FAMILIES[name].default, Bindable)
    side = sides(config.encoder) if bindable else SideInformation(train.n_items)
    model, fitted = settle(
        lineup.settings(name, train.n_items, side), train, task, rng=generator(config, name), k=config.evaluation.k
    )
    return lineup.unbound(model), fitted


def generator(config: Config, name: str) -> np.random.Generator:
    """A generator that depends on the seed and the model, not on which other models are fitted."""
    return np.random.default_rng([config.seed, zlib.crc32(name.encode())])


def score_ms(fitted: Fitted, histories: Histories) -> float:
    found = []
    for row in range(min(_TIMED, len(histories))):
        one = histories.take(np.array([row]))
        start = time.perf_counter()
        fitted.score(one)
        found.append(1000 * (time.perf_counter() - start))
    return float(np.median(found)) if found else float("nan")


def _nothing(train: Interactions) -> Task:
    none = np.array([], dtype=np.int32)
    return Task(train.take(none), none, none)
