"""What diversity costs and brings: `python -m benchmarks.tradeoff`.

Slates of ten for held-out learners as `serving.diversity` makes them, diversity 0 to 1, on MARS and the embedded organisation:
NDCG@10 against how unlike the items of a slate are, coverage, and entropy of providers and types. Writes
benchmarks/results/tradeoff.json, docs/tradeoff.svg, docs/reliability.svg of the same blend on the organisation, and the tables
of docs/diversity-and-calibration.md.

python -m benchmarks.tradeoff --data DIR                      where mars/ is (or the variable NEXTWISE_DATA); without it, the
                                                              organisation alone
python -m benchmarks.tradeoff --lake var/lake --tenant demo   the organisation from a lake, such as that of `make demo`
"""

import json
import random
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks.leaderboard_data import TENANT, organisation
from benchmarks.machine import machine
from benchmarks.tradeoff_page import write_page
from features.catalogue import Catalogue
from features.interactions import Interactions
from features.readers import mars
from features.side import SideInformation
from features.text import encode, item_text
from features.vocabulary import Vocabulary
from serving.contents import Floats, contents
from serving.diversity import POOL, Above, Diverse
from serving.exploration import fill
from training import metrics
from training.calibration import Reliability, Window, ask, reliability
from training.estimates import Estimate, bootstrap_ratio
from training.inputs import read_table
from training.models.base import Model, retrieve
from training.models.blend import FittedBlend, choose_weights
from training.models.content import ContentConfig
from training.models.linear import Linear
from training.models.popularity import Popularity
from training.plots import reliability_plot
from training.splits import Task, leave_last_out, relabel, rolling_origin

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "tradeoff.json"
DIVERSITY = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
K, MOST = 10, 1_000
console = Console()


@dataclass(frozen=True, eq=False)
class Log:
    """A table, what is known of its items, and by name what each item is labelled with ("" for nothing)."""

    name: str
    interactions: Interactions
    side: SideInformation
    labels: Mapping[str, tuple[str, ...]]


def main(
    data: Annotated[Path, typer.Option(envvar="NEXTWISE_DATA")] = ROOT.parent / "shared" / "data",
    lake: Annotated[Path | None, typer.Option(exists=True, help="Read the organisation here instead of making it.")] = None,
    tenant: Annotated[str, typer.Option(help="Its name in that lake.")] = TENANT,
) -> None:
    """Measure, write the results with the machine they were measured on, draw."""
    described, rows = machine(), []
    with tempfile.TemporaryDirectory() as scratch:
        logs = [_organisation(Path(scratch), lake, tenant)] + ([_mars(data / "mars")] if (data / "mars").is_dir() else [])
    for log in logs:
        rows += _curve(log)
    found = _reliability(logs[0])
    body = {"machine": described, "k": K, "slates": MOST, "rows": rows, "reliability": asdict(found)}
    RESULT.write_text(json.dumps(body, indent=1) + "\n", "utf-8")
    write_page(body, ROOT / "docs")
    reliability_plot(found, "embedded organisation").save(str(ROOT / "docs" / "reliability.svg"))


def _mars(folder: Path) -> Log:
    _, vocabulary, histories, items = mars.read_histories(folder)
    return _log("MARS EN", Interactions.of_histories(histories), Catalogue(items, {}, {}), vocabulary)


def _organisation(scratch: Path, lake: Path | None, tenant: str) -> Log:
    if lake is None:
        with console.status("Making the embedded organisation"):
            organisation(scratch)
    table, _, _ = read_table(lake or scratch / "lake", tenant, lambda step: None)
    return _log("embedded organisation", table.interactions, table.catalogue, table.items)


def _log(name: str, interactions: Interactions, catalogue: Catalogue, items: Vocabulary) -> Log:
    rows = [catalogue.items[item] for item in items.ids]
    with console.status(f"Encoding the texts of {name}"):
        text = encode([item_text(row, catalogue.skills) for row in rows])
    labels = {"provider": tuple(row.provider for row in rows), "type": tuple(row.type.value for row in rows)}
    kept = {label: values for label, values in labels.items() if len(set(values)) > 1}
    return Log(name, interactions, SideInformation.of_catalogue(catalogue, items, text=text), kept)


def _curve(log: Log) -> list[dict[str, Any]]:
    """One row a diversity for validation, which a default is chosen on, and for the test, which is shown."""
    table, renamed = relabel(log.interactions, rng=np.random.default_rng(0))
    side = log.side.take(renamed.items)
    labels = {name: _numbers([values[item] for item in renamed.items]) for name, values in log.labels.items()}
    about = contents(side.n_items, side.text, side.attributes)
    split = leave_last_out(table)
    blend = _blend(split.train, side, split.validation)
    found = []
    for part, task in (("validation", split.validation), ("test", split.test)):
        drawn = np.random.default_rng(1).permutation(len(task))[:MOST]
        asked = Task(task.histories.take(drawn), task.targets[drawn], task.learners[drawn])
        plain: NDArray[np.float64] | None = None
        for diversity in track(DIVERSITY, f"{log.name}, {part}", console=console):
            slates = _slates(blend, asked, about, diversity)
            gain = _gain(slates, asked.targets)
            plain = gain if plain is None else plain
            row = {"log": log.name, "part": part, "diversity": diversity, **_figures(slates, about, labels)}
            found.append(row | _paired(gain, plain, asked.learners) | {"slates": len(slates)})
    return found


def _blend(train: Interactions, side: SideInformation, validation: Task) -> FittedBlend:
    parts = {name: model.fit(train, rng=np.random.default_rng(0)) for name, model in _models(side).items()}
    weights = choose_weights(parts, validation.histories, validation.targets, rng=np.random.default_rng(0))
    return FittedBlend({name: parts[name] for name in weights}, weights)


def _models(side: SideInformation) -> dict[str, Model]:
    return {"linear": Linear(), "popularity": Popularity(), "content": ContentConfig().bind(side)}


def _slates(blend: FittedBlend, task: Task, about: Floats, diversity: float) -> NDArray[np.int64]:
    """int64[n, K]: the greedy slates; -1 where nothing is left."""
    found = np.full((len(task), K), -1, dtype=np.int64)
    nobody = np.full(len(about), -1)
    for start, histories in task.histories.batches(512):
        scores = metrics.unseen(blend.score(histories), histories, task.targets[start : start + len(histories)])
        for row, own in enumerate(scores):
            ordered = retrieve(own, POOL)
            above = Above(diversity, None, about, nobody)
            slots = fill(Diverse(above, ordered, own[ordered], K), K, epsilon=0, support=1, rng=random.Random(0))
            found[start + row, : len(slots)] = [slot.candidate for slot in slots]
    return found


def _gain(slates: NDArray[np.int64], targets: NDArray[np.int32]) -> NDArray[np.float64]:
    """float64[n]: NDCG of each slate."""
    hit = slates == targets[:, None]
    gain: NDArray[np.float64] = (hit / np.log2(np.arange(K) + 2)).sum(axis=1)
    return gain


def _figures(slates: NDArray[np.int64], about: Floats, labels: Mapping[str, NDArray[np.int64]]) -> dict[str, float]:
    """Of full slates: 1 - mean cosine of two items, coverage of the catalogue, and entropy of labels in bits."""
    full = slates[(slates >= 0).all(axis=1)]
    shown = about[full]
    total = np.square(shown.sum(axis=1)).sum(axis=1) - np.square(shown).sum(axis=(1, 2))
    found = {"unlike": float(1 - (total / (K * (K - 1))).mean()), "coverage": len(np.unique(full)) / len(about)}
    return found | {f"{name}_entropy": float(np.mean([_entropy(row) for row in of[full]])) for name, of in labels.items()}


def _entropy(labels: NDArray[np.int64]) -> float:
    share = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(share * np.log2(share)).sum())


def _paired(gain: NDArray[np.float64], plain: NDArray[np.float64], learners: NDArray[np.int32]) -> dict[str, float | None]:
    """NDCG, and its difference to diversity 0 with a paired interval by learner."""
    found = bootstrap_ratio(gain - plain, np.ones(len(gain)), learners, rng=np.random.default_rng(0))
    low, high = (found.low, found.high) if isinstance(found, Estimate) else (0.0, 0.0)
    return {"ndcg": float(gain.mean()), "change": float((gain - plain).mean()), "change_low": low, "change_high": high}


def _reliability(log: Log) -> Reliability:
    """Probabilities of the same kind of blend by rolling origin: its weights in each window chosen in the one before."""
    table, renamed = relabel(log.interactions, rng=np.random.default_rng(0))
    side, windows = log.side.take(renamed.items), list[Window]()
    for fold in track(rolling_origin(table), f"{log.name}, probabilities", console=console):
        assert fold.validation is not None
        before = _blend(fold.validation_train, side, fold.validation)
        chosen = FittedBlend(
            {name: _models(side)[name].fit(fold.train, rng=np.random.default_rng(0)) for name in before.weights}, before.weights
        )
        windows.append(ask(chosen, fold.test, rng=np.random.default_rng(0)))
    return reliability(windows)


def _numbers(values: list[str]) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


if __name__ == "__main__":
    typer.run(main)
