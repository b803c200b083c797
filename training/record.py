"""Writing an outcome down: the bundles on disk, then one MLflow run with everything a later reader asks for."""

import json
import resource
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, JsonValue

from training import card as cards
from training.bundle import Provenance, load_bundle, write_bundle
from training.calibration import calibrate, reliability
from training.config import RANKER, Config
from training.estimates import Estimate, Inconclusive
from training.evaluate import ORGANIC, Evaluation
from training.fit import Incumbent, Outcome, Report
from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.families import Settings
from training.models.probability import Calibration
from training.summary import Row, loop, rows, slices
from training.tracking import BASELINE, CHALLENGER, Registry, Run, Version

RANKS = "ranks.npz"


@dataclass(frozen=True)
class Recorded:
    """What a fit left behind: the rows of each protocol, and the two registered versions."""

    rows: tuple[tuple[Row, ...], ...]
    challenger: Version
    baseline: Version


def record(
    outcome: Outcome,
    registry: Registry,
    run: Run,
    *,
    fit_seconds: float,
    source: str,
    timezone: str | None,
    against: Version | None,
) -> Recorded:
    """Log what was found to `run`, and register what ships (alias `challenger`) and the best baseline.

    `source` is the TOML as written, `against` the champion that the outcome was compared with.
    """
    measured = outcome.config.evaluation
    tables = tuple(tuple(rows(report, resamples=measured.bootstrap, seed=measured.seed)) for report in outcome.reports)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundles = {
            CHALLENGER: _bundle(outcome, outcome.shipped, outcome.serves, timezone, folder),
            BASELINE: _bundle(outcome, outcome.baseline, outcome.baseline_name, timezone, folder),
        }
        _log_recipe(run, outcome, source)
        _log_splits(run, outcome)
        _log_figures(run, outcome, tables, folder)
        _log_loop(run, outcome)
        _log_ranker(run, outcome)
        _log_reliability(run, outcome, folder)
        run.metrics({"fit_seconds": fit_seconds, "peak_mb": peak_mb(), "bundle_mb": megabytes(bundles[CHALLENGER])})
        _log_curves(run, outcome)
        tags = _tags(outcome, against)
        run.tags(_run_tags(outcome))
        found: dict[str, Version] = {}
        for role, path in bundles.items():
            card, about = _card(run, outcome, tables, role, path, fit_seconds)
            given: dict[str, Any] = {"example": _example(outcome), "at": _at(outcome), "tags": tags[role]}
            found[role] = run.register(path, role=role, card=card, description=about, **given)
    registry.point(CHALLENGER, found[CHALLENGER])
    return Recorded(tables, found[CHALLENGER], found[BASELINE])


def incumbent(folder: Path) -> Incumbent | None:
    """The recipe behind a bundle; None where this program cannot read it (an older recipe)."""
    recipe = load_bundle(folder).manifest.provenance.recipe
    try:
        return Incumbent(Config.model_validate(recipe["config"]), str(recipe["serves"]))
    except (KeyError, ValueError):
        return None


def save_ranks(path: Path, report: Report) -> None:
    """Every target's rank by model, for comparisons to come: arrays by name, no person (learners are shuffled row numbers)."""
    pooled = report.pooled()
    first = next(iter(pooled.values()))
    ranks: dict[str, Any] = {f"rank.{name}": evaluation.rank for name, evaluation in pooled.items()}
    ranks |= {ORGANIC: first.slices[ORGANIC]} if ORGANIC in first.slices else {}
    np.savez_compressed(path, k=first.k, target=first.target, learner=first.learner, weight=first.weight, **ranks)


def load_ranks(path: Path) -> dict[str, Evaluation]:
    """The pooled evaluations that `save_ranks` wrote, by model."""
    with np.load(path, allow_pickle=False) as found:
        same = (found["target"], found["learner"], found["weight"])
        names = [name.removeprefix("rank.") for name in found.files if name.startswith("rank.")]
        slices = {ORGANIC: found[ORGANIC]} if ORGANIC in found.files else {}
        return {name: Evaluation(found[f"rank.{name}"], *same, slices, None, int(found["k"])) for name in names}


def peak_mb() -> float:
    """The largest resident size of this process so far, in MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def megabytes(folder: Path) -> float:
    """The size of all files below a folder, in MB (10^6 bytes)."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _bundle(outcome: Outcome, model: Fitted, serves: str, timezone: str | None, parent: Path) -> Path:
    table = outcome.table
    numbers = sum(array.nbytes for array in model.arrays().values())
    return write_bundle(
        parent,
        tenant=table.tenant,
        model=model,
        vocabulary=table.items,
        catalogue=table.catalogue,
        audiences=table.audiences,
        roles=table.roles,
        org_units=table.org_units,
        population={"popularity": table.interactions.item_counts().astype(np.float32)},
        calibration=_calibration(outcome) if serves == outcome.serves else None,
        proposals=table.proposals,
        retrain_by=outcome.retrain_by,
        provenance=Provenance(
            recipe=_recipe(outcome, serves),
            data_digest=table.interactions.digest(),
            split_digest=outcome.reports[0].digest,
            data_until=outcome.data_until,
            timezone=timezone,
            costs={"arrays_mb": numbers / 1e6},
        ),
    )


def _calibration(outcome: Outcome) -> Calibration | None:
    found = calibrate(outcome.reports[0].windows[outcome.serves])
    return None if isinstance(found, Inconclusive) else found


def _recipe(outcome: Outcome, serves: str) -> dict[str, JsonValue]:
    ships = serves == outcome.serves
    parts = outcome.weights if ships else (serves,)
    settings = outcome.choices.settings
    chosen: dict[str, JsonValue] = {name: settings_of(model) for name, model in settings.items() if name in parts}
    chosen |= {"weights": dict(outcome.weights)} if ships else {}
    chosen |= {RANKER: outcome.note} if ships and outcome.note else {}
    return {"config": outcome.config.model_dump(mode="json"), "serves": serves, "chosen": chosen}


def settings_of(model: Settings) -> dict[str, JsonValue]:
    """A model's settings by name."""
    assert isinstance(model, BaseModel)
    return dict(model.model_dump(mode="json"))


def _log_recipe(run: Run, outcome: Outcome, source: str) -> None:
    recipe = _recipe(outcome, outcome.serves)
    run.params({**outcome.config.model_dump(mode="json", exclude_none=True), "chosen": recipe["chosen"]})
    run.text(source, "config.toml")
    run.text(json.dumps(recipe, indent=1, sort_keys=True) + "\n", "config.json")


def _log_splits(run: Run, outcome: Outcome) -> None:
    table = outcome.table.interactions
    facts = {"learners": table.shape[0], "items": table.shape[1], "interactions": len(table.items)}
    run.inputs("everything", table.digest(), context="fit", facts=facts)
    for report in outcome.reports:
        name = report.protocol.replace(" ", "-")
        run.inputs(name, report.digest, context="split", facts={"parts": len(report.train)})
        for number, train in enumerate(report.train, start=1):
            given = {"interactions": len(train.items), "cut": report.cuts[number - 1] if report.cuts else "none"}
            run.inputs(f"{name}-train-{number}", train.digest(), context="train", facts=given)
        for number, (validation, test) in enumerate(report.asked, start=1):
            for context, found in (("validation", validation), ("test", test)):
                if found:
                    run.inputs(f"{name}-{context}-{number}", found, context=context, facts={"fold": number})


def _log_figures(run: Run, outcome: Outcome, tables: Sequence[Sequence[Row]], folder: Path) -> None:
    from training.plots import save_plots  # altair takes a second to import: a refresh without news does without

    flat = [row.flat() for table in tables for row in table]
    within = [row for report in outcome.reports for row in slices(report)]
    columns = {column: [row.get(column, float("nan")) for row in [*flat, *within]] for column in flat[0]}
    run.table(columns, "evaluation.json")
    for report, table in zip(outcome.reports, tables, strict=True):
        prefix = report.protocol.replace(" ", "_")
        run.metrics(_metrics(prefix, table))
        into = folder / f"plots_{prefix}"
        into.mkdir()
        for path in save_plots(table, report.cuts, into):
            run.file(path, f"plots/{prefix}")
    save_ranks(folder / RANKS, outcome.reports[0])
    run.file(folder / RANKS)


def _log_curves(run: Run, outcome: Outcome) -> None:
    """By epoch, how each served part was learned that keeps a curve (`training.models.base.Learned`)."""
    shipped = outcome.shipped
    blend = shipped if isinstance(shipped, FittedBlend) else shipped.blend
    for name, part in blend.parts.items():
        for what, values in getattr(part, "curve", {}).items():
            run.curve(f"{name}.{what}", values)


def _card(
    run: Run, outcome: Outcome, tables: Sequence[Sequence[Row]], role: str, bundle: Path, fit_seconds: float
) -> tuple[Path, str]:
    """The card of a bundle: written to the run as page and JSON, a file for the model, a paragraph for the version."""
    serves = outcome.serves if role == CHALLENGER else outcome.baseline_name
    score_ms = outcome.reports[0].costs.get(serves, float("nan"))
    costs = {"fit_seconds": fit_seconds, "peak_mb": peak_mb(), "bundle_mb": megabytes(bundle), "score_ms": score_ms}
    known = {name: value for name, value in costs.items() if np.isfinite(value)}
    chosen: Any = _recipe(outcome, serves)["chosen"]
    found = cards.card(outcome, tables, serves=serves, bundle=bundle.name, costs=known, chosen=chosen)
    folder = bundle.parent / f"card_{role}"
    folder.mkdir()
    page = folder / "model_card.md"
    page.write_text(cards.markdown(found), "utf-8")
    into = "" if role == CHALLENGER else f"{role}/"
    run.text(page.read_text("utf-8"), f"{into}model_card.md")
    run.text(json.dumps(found, indent=1, allow_nan=False) + "\n", f"{into}model_card.json")
    return page, cards.description(found)


def _run_tags(outcome: Outcome) -> dict[str, str]:
    """What runs are filtered and grouped by."""
    table, data = outcome.table.interactions, outcome.config.data
    return {
        "kind": "fit",
        "tenant": outcome.table.tenant,
        "data.digest": table.digest(),
        "data.use": data.use,
        "split.digest": outcome.reports[0].digest,
        "baseline": outcome.baseline_name,
        "serves": outcome.serves,
        "blend": " ".join(outcome.choices.weights),
        **({RANKER: outcome.note} if outcome.note else {}),
    }


def _log_ranker(run: Run, outcome: Outcome) -> None:
    """What the trees that ship look at, the most telling first; nothing where no trees ship."""
    gains = cards.gains(outcome)
    if gains:
        run.table({"feature": list(gains), "gain_share": list(gains.values())}, "feature_importance.json")


def _log_loop(run: Run, outcome: Outcome) -> None:
    """How much was recommended, and what that does to what serves."""
    table, measured = outcome.table.interactions, outcome.config.evaluation
    run.metrics({"data.interactions": len(table.items), "data.recommended": int(np.count_nonzero(table.recommended))})
    for report in outcome.reports:
        found = loop(report, resamples=measured.bootstrap, seed=measured.seed)
        for name, one in {} if found is None else {"all": found.every, "organic": found.organic}.items():
            if isinstance(one, Estimate):
                at = f"{report.protocol.replace(' ', '_')}.loop.{name}"
                run.metrics({at: one.value, f"{at}_low": one.low, f"{at}_high": one.high})


def _log_reliability(run: Run, outcome: Outcome, folder: Path) -> None:
    """How far the probabilities of what ships can be believed; nothing where no window follows one that a map was fitted in."""
    from training.plots import reliability_plot

    measured = outcome.config.evaluation
    found = reliability(outcome.reports[0].windows[outcome.serves], seed=measured.seed, resamples=measured.bootstrap)
    run.text(json.dumps(asdict(found), indent=1) + "\n", "calibration.json")
    figures = {"calibration.error": found.error, "calibration.brier": found.brier, "calibration.better": found.better}
    for name, one in figures.items():
        if isinstance(one, Estimate):
            run.metrics({name: one.value, f"{name}_low": one.low, f"{name}_high": one.high})
    if found.bins:
        path = folder / "reliability.svg"
        reliability_plot(found, outcome.serves).save(str(path))
        run.file(path, "plots")


def _metrics(prefix: str, table: Sequence[Row]) -> dict[str, float]:
    kept = ("recall", "ndcg", "debiased_ndcg", "coverage", "score_ms")
    # MLflow takes no comma in a name.
    found = {f"{prefix}.{row.model.replace(', ', '_')}.{name}": row.flat()[name] for row in table for name in kept}
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def _tags(outcome: Outcome, against: Version | None) -> dict[str, Mapping[str, str]]:
    """Tags by role. `gate.*` are what `promote` needs to know of this fit."""
    shared = {
        "data.digest": outcome.table.interactions.digest(),
        "gate.protocol": outcome.reports[0].protocol,
        "gate.baseline": outcome.baseline_name,
    }
    compared = {
        "gate.compared_with": against.bundle if against else "",
        "gate.champion_row": outcome.champion_row or "",
    }
    ranker = {RANKER: outcome.note} if outcome.note else {}
    challenger = shared | compared | ranker | {"model": outcome.serves}
    return {CHALLENGER: challenger, BASELINE: shared | {"model": outcome.baseline_name}}


def _example(outcome: Outcome) -> dict[str, Any]:
    """An input example: the two most popular items as a history, nobody's own."""
    top = np.argsort(-outcome.table.interactions.item_counts(), kind="stable")[:2]
    at = _at(outcome)
    return {"learner_id": "example", "history": [outcome.table.items.ids[i] for i in top], "history_at": [at, at]}


def _at(outcome: Outcome) -> str:
    return (outcome.data_until or datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
