"""The leaderboard: models on one file under one protocol, as a table and as JSON. Public files in, no store needed."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from features.catalogue import Catalogue
from features.interactions import Interactions
from features.readers import mars, sequences
from features.readers.attributes import read_attributes
from features.side import SideInformation, indicators
from features.text import TextModelError, encode, item_text
from training import lineup
from training.contest import Contest, Result, measure
from training.evaluate import COLD_ITEMS, COLD_LEARNERS, KNOWN_LEARNERS, NEW_LEARNERS, Estimate, Evaluation
from training.splits import ColdItems, Fold, LeaveLastOut, cold_items, digest, leave_last_out, relabel, rolling_origin

_METRICS = ("recall", "ndcg", "debiased_ndcg")
_LEGEND = """95 %: bootstrap by learner. debiased: NDCG@10, hits weighted (n_train + 1)^-.5.
fit s: with the choice on validation. MB: peak of its own process.
ms: to score one learner on one thread."""
ALONE = "the blend ranks alone"
"""How a ranker's note begins that has no trees."""
_SLICES = (NEW_LEARNERS, COLD_LEARNERS, KNOWN_LEARNERS, COLD_ITEMS)


class Format(StrEnum):
    """What kind of files `--data` holds."""

    SEQUENCES = "sequences"
    MARS = "mars"


class Protocol(StrEnum):
    """How the data are split; see `training.splits`."""

    LEAVE_LAST_OUT = "leave-last-out"
    ROLLING_ORIGIN = "rolling-origin"
    COLD_ITEMS = "cold-items"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table, what is known of its items (texts not encoded yet) and their texts in index order, None where there are none.

    `notes`: what the reader of a file has to tell.
    """

    interactions: Interactions
    side: SideInformation
    texts: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


Row = Mapping[str, Any]
Board = tuple[list[Row], list[str]]
"""One row a model, as results.json holds it, and a note for each model that could not compete."""


def leaderboard(
    format: Annotated[Format, typer.Option(help="sequences: one learner a line, items in order. mars: a folder of CSV files.")],
    data: Annotated[Path, typer.Option(exists=True, help="The file (sequences) or folder (mars).")],
    protocol: Annotated[Protocol, typer.Option(help="How to split.")] = Protocol.LEAVE_LAST_OUT,
    models: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(lineup.MODELS)}.")] = ",".join(lineup.MODELS),
    item_attributes: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="sequences: JSON, item id to a list of attribute ids.")
    ] = None,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Where to write the rows as JSON.")] = None,
    cuts: Annotated[int, typer.Option(min=8, help="Cuts in time of rolling-origin.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Draws the relabelling, the models and the intervals.")] = 0,
) -> None:
    """Compare models on one file: every unseen item ranked, settings chosen on validation, the test looked at once."""
    names = _names(models)
    if out is not None and not out.parent.is_dir():
        raise typer.BadParameter(f"the folder {out.parent} does not exist; create it first", param_hint="--out")
    if item_attributes is not None and format is not Format.SEQUENCES:
        raise typer.BadParameter(f"{format.value} has attributes of its own; leave it out", param_hint="--item-attributes")
    progress = Console(stderr=True)
    try:
        with progress.status(f"Reading {escape(str(data))}"):
            dataset = load(format, data, item_attributes)
        side = side_information(dataset, names, progress)
        rows, notes = run(dataset.interactions, side, protocol, names, cuts=cuts, seed=seed, progress=progress)
    except (ValueError, OSError, MemoryError, TextModelError) as error:
        raise _failed(error, progress) from error
    show(rows, [*dataset.notes, *notes], title=f"{data.name}, {protocol.value}", console=Console())
    if out is not None:
        try:
            out.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", "utf-8")
        except OSError as error:
            raise _failed(error, progress) from error
    if not rows:
        raise typer.Exit(1)


def load(format: Format, data: Path, item_attributes: Path | None = None) -> Dataset:
    """Errors: ValueError naming file, line or item, and field; OSError for what cannot be opened."""
    if format is Format.SEQUENCES:
        _, vocabulary, histories = sequences.read_histories(data)
        table = Interactions.of_histories(histories)
        if item_attributes is None:
            return Dataset(table, SideInformation(table.n_items))
        found = read_attributes(item_attributes, vocabulary)
        return Dataset(table, SideInformation(table.n_items, attributes=indicators(found.words)), notes=found.notes)
    _, vocabulary, histories, items = mars.read_histories(data)
    texts = tuple(item_text(items[key]) for key in vocabulary.ids)
    side = SideInformation.of_catalogue(Catalogue(items, {}, {}), vocabulary)
    return Dataset(Interactions.of_histories(histories), side, texts)


def side_information(dataset: Dataset, models: Sequence[str], console: Console) -> SideInformation:
    """The dataset's, with its texts encoded only if there are some and one of the models asks for them.

    Errors: TextModelError where the text model is not installed.
    """
    if dataset.texts is None or not lineup.asks_for_side(models):
        return dataset.side
    with _bar(console) as bar:
        task = bar.add_task("Encoding item texts", total=len(dataset.texts))
        text = encode(dataset.texts, progress=lambda done, total: bar.update(task, completed=done, total=total))
    return replace(dataset.side, text=text)


def run(
    interactions: Interactions,
    side: SideInformation,
    protocol: Protocol,
    models: Sequence[str],
    *,
    cuts: int = 8,
    seed: int = 0,
    progress: Console | None = None,
) -> Board:
    """Every model measured on relabelled data. `side`: what is known of the items, in the table's order.

    Errors: ValueError where the split leaves nothing to learn or to ask.
    """
    notes = {name: reason for name in models if (reason := lineup.missing(name, interactions, side))}
    relabelled, permutation = relabel(interactions, rng=np.random.default_rng(seed))
    parts = split(relabelled, protocol, cuts=cuts)
    contest = Contest.of(parts, side.take(permutation.items), seed=seed)
    common = {"protocol": protocol.value, "seed": seed, "split_digest": digest(parts), "side": side.known}
    able = [name for name in models if name not in notes]
    rows: list[Row] = [
        result_row(measure(name, contest), seed) | common for name in _tracked(able, progress or Console(quiet=True))
    ]
    return rows, [*(f"{name}: skipped, {reason}" for name, reason in notes.items()), *told(rows)]


def told(rows: Sequence[Row]) -> list[str]:
    """What the figures of a table do not say: a ranker that ranked without trees, a model that had no score for anything."""
    found = []
    for row in rows:
        alone = [setting.split("; over ")[0] for setting in row["settings"] if setting.startswith(ALONE)]
        if alone:
            of = "" if len(row["settings"]) == 1 else f" ({len(alone)} of {len(row['settings'])} rounds)"
            found.append(f"{row['model']}: {alone[0]}{of}")
        if row["coverage"] == 0:
            found.append(f"{row['model']}: has no score for any item, these data taught it nothing")
    return found


def split(interactions: Interactions, protocol: Protocol, *, cuts: int = 8) -> LeaveLastOut | ColdItems | tuple[Fold, ...]:
    """The split of a protocol. Errors: ValueError where it leaves nothing to learn from or nobody to ask."""
    if protocol is Protocol.ROLLING_ORIGIN:
        return rolling_origin(interactions, cuts=cuts)
    if protocol is Protocol.COLD_ITEMS:
        return cold_items(interactions)
    parts = leave_last_out(interactions)
    if not len(parts.test):
        raise ValueError("no learner has two distinct items, so there is no last one to ask for")
    if not len(parts.train.items):
        raise ValueError("no learner has three distinct items, so leaving out the last two leaves nothing to learn from")
    return parts


def show(rows: Sequence[Row], notes: Sequence[str], *, title: str, console: Console) -> None:
    """Print the table, best NDCG first, and the notes below it."""
    table = Table(
        title=Text(title, "table.title"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("model", no_wrap=True)
    for column in ("R@10", "NDCG@10", "95 %", "debiased", "cover", "fit s", "MB", "ms"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: -row["ndcg_at_10"]):
        table.add_row(row["model"], *_cells(row))
    console.print(table)
    for note in (*notes, _LEGEND):
        console.print(note, highlight=False, markup=False)


def _failed(error: Exception, console: Console) -> typer.Exit:
    console.print(f"Error: {error}", style="red", highlight=False, soft_wrap=True, markup=False)
    return typer.Exit(1)


def _names(models: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    unknown = [name for name in names if name not in lineup.MODELS]
    if unknown or not names:
        what = f"unknown model {', '.join(map(repr, unknown))}" if unknown else "no model named"
        raise typer.BadParameter(f"{what}; known: {', '.join(lineup.MODELS)}", param_hint="--models")
    return names


def result_row(result: Result, seed: int) -> dict[str, Any]:
    """A result as results.json holds it, with its intervals."""
    found: dict[str, Any] = {"model": result.model}
    for metric in _METRICS:
        found |= _figures(f"{metric}_at_{result.evaluation.k}", result.evaluation, metric, seed)
    found["coverage"] = _finite(result.evaluation.metric("coverage"))
    costs = {name: getattr(result, name) for name in ("fit_seconds", "cpu_seconds", "peak_mb", "score_ms")}
    found |= {name: round(value, 4) for name, value in costs.items()}
    slices = {name: _slice(result.evaluation.within(name), seed) for name in _SLICES}
    learners = len(np.unique(result.evaluation.learner))
    return found | {"targets": len(result.evaluation), "learners": learners, "slices": slices, "settings": result.settings}


def _slice(evaluation: Evaluation, seed: int) -> dict[str, Any]:
    return {"targets": len(evaluation)} | _figures(f"ndcg_at_{evaluation.k}", evaluation, "ndcg", seed)


def _figures(key: str, evaluation: Evaluation, metric: str, seed: int) -> dict[str, float | None]:
    """A value with the ends of its interval; None where there is none to state."""
    interval = evaluation.estimate(metric, seed=seed)
    low, high = (interval.low, interval.high) if isinstance(interval, Estimate) else (None, None)
    return {key: _finite(evaluation.metric(metric)), f"{key}_low": low, f"{key}_high": high}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cells(row: Row) -> list[str]:
    low, high = row["ndcg_at_10_low"], row["ndcg_at_10_high"]
    return [
        *(f"{row[key]:.4f}" for key in ("recall_at_10", "ndcg_at_10")),
        "-" if low is None else f"{low:.4f}-{high:.4f}",
        f"{row['debiased_ndcg_at_10']:.4f}",
        f"{row['coverage']:.3f}",
        f"{row['fit_seconds']:.1f}",
        f"{row['peak_mb']:,.0f}",
        f"{row['score_ms']:.2f}",
    ]


def _tracked(names: Sequence[str], console: Console) -> Iterator[str]:
    """The names in turn, with a line that says which is being measured and for how long."""
    with _bar(console) as bar:
        task = bar.add_task("", total=len(names))
        for name in names:
            bar.update(task, description=f"Fitting and scoring {name}")
            yield name
            bar.advance(task)


def _bar(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)
