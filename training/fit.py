"""The fit: walk forward in time with every model, choose on the past alone, then fit what serves on everything.

Settings and weights for a cut are chosen in the window before it, which by then is past; nothing of a window that is scored
takes part in choosing for it. What is shipped is chosen in the last window, after the last figure was taken.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Literal

import numpy as np

from features.catalogue import Catalogue
from features.interactions import Histories, Interactions
from features.proposals import Proposals
from features.vocabulary import Vocabulary
from training.calibration import Window, ask
from training.config import BLEND, RANKER, Config
from training.evaluate import Evaluation, evaluate, pool
from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.ranker import FittedRanker
from training.parts import Choices, Sides, blended, choose_settings, fit_parts, generator, ranked, score_ms
from training.splits import Fold, Task, digest, known_before, leave_last_out, relabel, rolling_origin

CHAMPION = "champion"
OTHER_USE: Mapping[str, Literal["all", "organic"]] = {"all": "organic", "organic": "all"}
"""What the contrast of what a recipe serves is learned from: the report's row `contrast(config)`."""
ROLLING, LAST_OUT = "rolling origin", "leave last out"
WINDOWS = "windows"
CHOOSE_EVERY = 4  # cuts between two searches of the grids; weights are chosen at every cut
Step = Callable[[str], None]
"""Told what begins now."""


class DataError(Exception):
    """A table that nothing can be learned from; the message says what is missing."""


@dataclass(frozen=True, eq=False)
class Table:
    """One tenant's training table, items, audiences, roles and org units as its arrays count them.

    `proposals` go into the bundle as they are. `read_at`: when the store was read; None where nobody knows.
    """

    tenant: str
    items: Vocabulary
    interactions: Interactions
    audiences: tuple[str, ...]
    catalogue: Catalogue
    proposals: Proposals = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    org_units: tuple[str, ...] = ()
    read_at: datetime | None = None


@dataclass(frozen=True, eq=False)
class Report:
    """One protocol: by model the evaluations of its folds, in the order of `cuts` (empty where order is all there is).

    `asked`: digests of each fold's validation ("" where it has none) and test. `costs`: milliseconds to score one history
    against all items (median), by model; what a fit costs is the leaderboard's to measure, where every model starts alone.
    `windows`: what blend and ranker said of each fold's test (of validation and test where order is all there is), by row,
    for probabilities.
    """

    protocol: str
    digest: str
    cuts: tuple[np.datetime64, ...]
    folds: Mapping[str, tuple[Evaluation, ...]]
    train: tuple[Interactions, ...]
    costs: Mapping[str, float]
    asked: tuple[tuple[str, str], ...] = ()
    windows: Mapping[str, tuple[Window, ...]] = field(default_factory=dict)

    def pooled(self) -> dict[str, Evaluation]:
        """One evaluation a model, every target counting once."""
        return {name: pool(folds) for name, folds in self.folds.items()}

    def best(self, names: Sequence[str]) -> str:
        """The one of `names` with the highest pooled NDCG (the first of equals)."""
        pooled = self.pooled()
        return max(names, key=lambda name: pooled[name].metric("ndcg"))


@dataclass(frozen=True)
class Incumbent:
    """The champion as the registry knows it: its recipe and which of its models serves."""

    config: Config
    serves: str


@dataclass(frozen=True, eq=False)
class Outcome:
    """All that a fit found. `reports[0]` is what the gate looks at; `champion_row` names the champion's row there.

    `ranker`: None where the recipe has none. Where its trees do not help it ships nothing: the blend does.
    """

    table: Table
    config: Config
    reports: tuple[Report, ...]
    choices: Choices
    blend: FittedBlend
    baseline_name: str
    baseline: Fitted
    champion_row: str | None
    ranker: FittedRanker | None = None

    @property
    def serves(self) -> str:
        """The row of the reports that ships."""
        return BLEND if self.ranker is None or self.ranker.trees is None else RANKER

    @property
    def shipped(self) -> FittedBlend | FittedRanker:
        """What ships, fitted on everything."""
        return self.blend if self.ranker is None or self.ranker.trees is None else self.ranker

    @property
    def weights(self) -> Mapping[str, float]:
        """The weights of the parts behind what ships."""
        return self.blend.weights if self.ranker is None or self.ranker.trees is None else self.ranker.blend.weights

    @property
    def data_until(self) -> datetime | None:
        """The latest time at which something of the data became known; None where they have no times."""
        at = self.table.interactions.until
        return None if np.isnat(at) else at.astype("datetime64[us]").item().replace(tzinfo=UTC)

    @property
    def retrain_by(self) -> date | None:
        """The day (UTC) by whose end what was learned here is to be learned anew; None where no time is known."""
        read = self.table.read_at or self.data_until
        return None if read is None else (read.astimezone(UTC) + timedelta(days=self.config.data.retrain_days)).date()

    @property
    def note(self) -> str:
        """What the ranker says of its trees, or why the blend ships in its place; empty where the recipe has no ranker."""
        return "" if self.ranker is None else self.ranker.note


def fit(table: Table, config: Config, *, sides: Sides, champion: Incumbent | None = None, step: Step = print) -> Outcome:
    """Evaluate all configured models and fit blend, ranker and the best baseline on everything.

    Raises DataError where there is too little to learn from or to cut.
    """
    table = replace(table, interactions=select(table.interactions, config))
    check(taught(table.interactions, config), use=config.data.use)
    relabelled, renamed = relabel(table.interactions, rng=np.random.default_rng(config.evaluation.seed))
    moved: Sides = cache(lambda encoder: sides(encoder).take(renamed.items))
    reports: list[Report] = []
    choices: Choices | None = None
    row: str | None = None
    if not np.isnat(relabelled.at).any():
        rolling, choices = walk(_folds(relabelled, config), config, moved, step)
        if champion is not None:
            rolling, row = add_champion(rolling, relabelled, config, champion, moved, step)
        reports.append(rolling)
    last_out, chosen = hold_out(relabelled, config, moved, step)
    reports += [last_out] if last_out is not None else []
    if not reports:
        raise DataError("no learner has two items: nothing can be held out; gather more events")
    choices = choices or chosen
    baseline = reports[0].best(config.baselines)
    step("fit on everything")
    everything, names = taught(table.interactions, config), dict.fromkeys((*choices.weights, *choices.beneath, baseline))
    parts = fit_parts(config, choices.settings, everything, sides, names=tuple(names))
    blend, ranker = blended(config, parts, choices.weights), ranked(config, choices, everything, sides, parts)
    found = Outcome(table, config, tuple(reports), choices, blend, baseline, parts[baseline], row, ranker)
    step(f"{RANKER}: {found.note}" if ranker is not None else "fitted")
    return found


def select(interactions: Interactions, config: Config) -> Interactions:
    """The interactions in `[data] since, until`; with `until` the table knows what was recorded before then."""
    keep = np.ones(len(interactions.items), dtype=bool)
    until = interactions.until
    if config.data.since is not None:
        keep &= interactions.at >= _instant(config.data.since)
    if config.data.until is not None:
        until = _instant(config.data.until)
        keep &= known_before(interactions, until)
    return interactions.holding(interactions.where(keep), until=until)


def check(interactions: Interactions, *, use: Literal["all", "organic"] = "all") -> None:
    """Raises DataError unless two learners took up two items; `use` says which of the interactions these are."""
    learners, items = np.count_nonzero(interactions.lengths), np.count_nonzero(interactions.item_counts())
    kind = "interactions" if use == "all" else "organic interactions"
    if learners < 2 or items < 2:
        raise DataError(
            f"{len(interactions.items)} {kind} of {learners} learners with {items} items: "
            "a fit needs at least 2 learners and 2 items. Only items of the catalogue count (items.jsonl); "
            "ingest what is missing and materialize again. Before there is any, `python -m training start` serves the catalogue"
        )


def taught(table: Interactions, config: Config) -> Interactions:
    """What a recipe learns from of a table."""
    return table.organic() if config.data.use == "organic" else table


def contrast(config: Config) -> str:
    """The row of what the recipe serves, learned from organic interactions alone (or from all, where it takes the organic)."""
    return f"{config.serves}, {OTHER_USE[config.data.use]}"


def walk(folds: Sequence[Fold], config: Config, sides: Sides, step: Step, *, contrasted: bool = True) -> tuple[Report, Choices]:
    """Every model, blend and ranker at every cut, and the choices that the last window makes for what comes after it.

    Where interactions were recommended, and unless not `contrasted`, with a row that shows what these do to what serves.
    """
    first = folds[0]
    step("choose settings before the first cut")
    choices = choose_settings(config, taught(first.validation_train, config), first.validation, sides, None)
    found: dict[str, list[Evaluation]] = {}
    windows: dict[str, list[Window]] = {}
    costs: dict[str, float] = {}
    led = contrasted and any(fold.train.recommended.any() for fold in folds)
    for number, fold in enumerate(folds, start=1):
        step(f"cut {number} of {len(folds)}")
        costs, train = {}, taught(fold.train, config)
        parts = fit_parts(config, choices.settings, train, sides, costs=costs, timed=fold.test.histories)
        for name, fitted in _rows(config, parts, choices, train, sides, costs, fold.test.histories):
            found.setdefault(name, []).append(evaluate(fitted, fold.test, train=fold.train, k=config.evaluation.k))
            if contrasted and name in (BLEND, RANKER):
                windows.setdefault(name, []).append(ask(fitted, fold.test, rng=generator(config, WINDOWS)))
        if led:
            other = _contrast(config, choices, fold.train, fold.test, sides, found[config.serves][-1])
            found.setdefault(contrast(config), []).append(other)
        search = number % CHOOSE_EVERY == 0 or number == len(folds)
        # The next fold's validation is this test without what was recorded after the next cut.
        past = folds[number].validation if number < len(folds) else fold.test
        choices = choose_settings(config, train, past, sides, None if search else choices.settings, parts)
    rows = {name: tuple(evaluations) for name, evaluations in found.items()}
    cuts, trains = tuple(fold.cut for fold in folds), tuple(fold.train for fold in folds)
    asked = tuple((fold.validation.digest if fold.validation is not None else "", fold.test.digest) for fold in folds)
    said = {name: tuple(asks) for name, asks in windows.items()}
    return Report(ROLLING, digest(folds), cuts, rows, trains, costs, asked, said), choices


def hold_out(interactions: Interactions, config: Config, sides: Sides, step: Step) -> tuple[Report | None, Choices]:
    """Leave-last-out: chosen on the second-last item of each learner, scored on the last, no refit in between."""
    step("leave last out")
    split = leave_last_out(interactions)
    train = taught(split.train, config)
    choices = choose_settings(config, train, split.validation, sides, None)
    if not len(split.test):
        return None, choices
    costs: dict[str, float] = {}
    parts = fit_parts(config, choices.settings, train, sides, costs=costs, timed=split.test.histories)
    made = dict(_rows(config, parts, choices, train, sides, costs, split.test.histories))
    rows = {name: (evaluate(fitted, split.test, train=split.train, k=config.evaluation.k),) for name, fitted in made.items()}
    if split.train.recommended.any():
        own = rows[config.serves][0]
        rows[contrast(config)] = (_contrast(config, choices, split.train, split.test, sides, own),)
    asked = ((split.validation.digest, split.test.digest),)
    windows = {
        name: tuple(ask(made[name], task, rng=generator(config, WINDOWS)) for task in (split.validation, split.test))
        for name in (BLEND, RANKER)
        if name in made
    }
    return Report(LAST_OUT, digest(split), (), rows, (split.train,), costs, asked, windows), choices


def add_champion(
    report: Report, interactions: Interactions, config: Config, champion: Incumbent, sides: Sides, step: Step
) -> tuple[Report, str]:
    """The report with the champion's recipe as a row of its own, unless one of its rows is that recipe already."""
    for name in dict.fromkeys((config.serves, BLEND, *config.baselines)):
        if config.procedure(name) == champion.config.procedure(champion.serves):
            return report, name
    theirs = champion.config.only(champion.serves).measured_as(config)
    say: Step = lambda text: step(f"champion: {text}")  # noqa: E731
    other, _ = walk(_folds(interactions, config), theirs, sides, say, contrasted=False)
    return replace(report, folds={**report.folds, CHAMPION: other.folds[champion.serves]}), CHAMPION


def _contrast(config: Config, choices: Choices, train: Interactions, test: Task, sides: Sides, own: Evaluation) -> Evaluation:
    """What serves by the same settings and weights, learned from the other use of `train`; `own` where that is equal."""
    if not train.recommended.any():
        return own
    other = config.learning_from(OTHER_USE[config.data.use])
    learned = taught(train, other)
    parts = fit_parts(other, choices.settings, learned, sides, names=tuple(choices.weights))
    ranker = ranked(other, choices, learned, sides, parts)
    found = blended(other, parts, choices.weights) if ranker is None or ranker.trees is None else ranker
    return evaluate(found, test, train=train, k=config.evaluation.k)


def _rows(
    config: Config,
    parts: Mapping[str, Fitted],
    choices: Choices,
    train: Interactions,
    sides: Sides,
    costs: dict[str, float],
    timed: Histories,
) -> Iterator[tuple[str, Fitted]]:
    """Every part alone, the blend, then the ranker: the blend once more where its trees do not help."""
    yield from parts.items()
    blend = blended(config, parts, choices.weights)
    costs[BLEND] = score_ms(blend, timed)
    yield BLEND, blend
    ranker = ranked(config, choices, train, sides, parts)
    if ranker is not None:
        found: Fitted = blend if ranker.trees is None else ranker
        costs[RANKER] = score_ms(found, timed)
        yield RANKER, found


def _folds(interactions: Interactions, config: Config) -> tuple[Fold, ...]:
    try:
        return rolling_origin(interactions, cuts=config.evaluation.cuts, ask=config.evaluation.ask)
    except ValueError as error:
        raise DataError(f"{error} (evaluation.cuts = {config.evaluation.cuts})") from error


def _instant(moment: object) -> np.datetime64:
    return np.datetime64(str(moment).replace("+00:00", ""), "us")
