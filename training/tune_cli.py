"""The command `tune`: equal budgets for every family, a study that can go on, and the best settings as a recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from features.events import Tenant
from training.config import Config, ConfigError, read_config
from training.models.families import FAMILIES

if TYPE_CHECKING:
    from training.fit import Table as TrainingTable
    from training.tracking import Run
    from training.tune import Budget, Question, Swept

_BAD = (
    "DataError",
    "DeviceError",
    "MlflowException",
    "OperationalError",
    "SparkError",
    "StorageInternalError",
    "TextModelError",
    "TrackingError",
)


def _tenant(value: str) -> str:
    try:
        return str(TypeAdapter(Tenant).validate_python(value))
    except ValidationError as error:
        raise typer.BadParameter("a tenant is a-z, 0-9 and -, at most 63 characters") from error


def tune(
    tenant: Annotated[str, typer.Option("--tenant", callback=_tenant, help="Whose data and runs.")],
    models: Annotated[str, typer.Option(help="Model families, comma-separated.")] = "linear,als,recent",
    trials: Annotated[int, typer.Option(min=1, help="Trials of each family, those of earlier runs included.")] = 30,
    seconds: Annotated[float | None, typer.Option(min=1, help="At most this long a family in this run.")] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Give up on a setting that is below the median on a third.")] = False,
    config: Annotated[Path, typer.Option(help="The recipe to start from.")] = Path("training/configs/default.toml"),
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Where to write the tuned recipe.")] = None,
    lake: Annotated[Path, typer.Option(help="Where `python -m features materialize` wrote.")] = Path("var/lake"),
    storage: Annotated[str, typer.Option(help="Optuna's studies, a database URL.")] = "sqlite:///var/tuning.db",
    tracking: Annotated[
        str, typer.Option("--tracking", help="MLflow's store, a database or server URI.")
    ] = "sqlite:///var/mlflow.db",
    artifacts: Annotated[Path, typer.Option("--artifacts", help="Where MLflow keeps files of a new experiment.")] = Path(
        "var/mlartifacts"
    ),
) -> None:
    """Search settings of model families on validation, with as many trials for each, and write the best as a recipe."""
    names = _families(models)
    if out is not None and not out.parent.is_dir():
        raise typer.BadParameter(f"the folder {out.parent} does not exist; create it first", param_hint="--out")
    console = Console()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("read the lake", total=None)
            say = lambda text: bar.update(task, description=text)  # noqa: E731
            recipe, found = _tuned(tenant, names, trials, seconds, prune, config, lake, storage, tracking, artifacts, say)
    except KeyboardInterrupt:
        _complain("stopped; what was tried is kept: run the same command to go on")
        raise typer.Exit(1) from None
    except Exception as error:
        if not isinstance(error, ConfigError) and type(error).__name__ not in _BAD:
            raise
        _complain(f"Error: {error}")
        raise typer.Exit(1) from error
    console.print(_table(found, trials))
    if out is not None:
        out.write_text(recipe, "utf-8")
        console.print(f"Next: python -m training fit --tenant {tenant} --config {out}", highlight=False)


def _tuned(
    tenant: str,
    names: Sequence[str],
    trials: int,
    seconds: float | None,
    prune: bool,
    config: Path,
    lake: Path,
    storage: str,
    tracking: str,
    artifacts: Path,
    say: Any,
) -> "tuple[str, list[Swept]]":
    """The tuned recipe as TOML, and what each family came to."""
    recipe = read_config(config)
    from threadpoolctl import threadpool_limits

    from training.inputs import THREADS, read_table
    from training.tracking import Registry
    from training.tune import Budget, best_recipe, question

    table, _, sides = read_table(lake, tenant, say)
    asked = question(table, recipe, sides)
    if storage.startswith("sqlite:///"):
        Path(storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    registry, budget = Registry(tenant, tracking, artifacts), Budget(trials, seconds)
    tags = {"kind": "tune", "data.digest": table.interactions.digest(), "validation.digest": asked.validation.digest}
    with registry.run(f"tune {tenant}: {', '.join(names)}", tags=tags) as run, threadpool_limits(THREADS):
        run.params({"trials": trials, "seconds": seconds, "prune": prune, "storage": storage, "seed": recipe.seed})
        found = [_family(name, table, asked, recipe, budget, storage, prune, run, say) for name in names]
        best = best_recipe(recipe, found)
        text = toml(best, header=_header(tenant, found, len(asked.validation), recipe))
        run.text(text, "recipe.toml")
        run.metrics({f"best.{one.family}.validation_ndcg": one.ndcg for one in found if one.ndcg is not None})
    return text, found


def _family(
    name: str,
    table: "TrainingTable",
    asked: "Question",
    recipe: Config,
    budget: "Budget",
    storage: str,
    prune: bool,
    run: "Run",
    say: Any,
) -> "Swept":
    from training.tune import configured, open_study, study_name, sweep

    study = open_study(study_name(table, recipe, name, asked), storage, prune=prune)
    with run.child(f"tune {name}", tags={"kind": "tune family", "tune.family": name, "tune.study": study.study_name}) as child:
        found = sweep(name, asked, recipe, study, budget, run=child, say=say)
        child.params({"trials": budget.trials, "spent": found.spent, "pruned": found.pruned, "failed": found.failed})
        if found.ndcg is not None and found.recall is not None:
            child.params({"best": configured(recipe, name, found.settings).model_dump(mode="json")})
            child.metrics({"validation_ndcg": found.ndcg, "validation_recall": found.recall})
    return found


def toml(config: Config, *, header: Sequence[str] = ()) -> str:
    """A recipe as TOML that `read_config` reads back equal, `header` above it as comments."""
    lines = [f"# {line}" for line in header]
    body = config.model_dump(exclude_none=True)
    models = body.pop("models")
    lines += [f"{key} = {_value(value)}" for key, value in body.items() if not isinstance(value, Mapping)]
    for name, section in body.items():
        if isinstance(section, Mapping):
            lines += _lines(name, section)
    lines += _lines("models", {name: value for name, value in models.items() if not isinstance(value, Mapping)})
    for name, section in models.items():
        lines += _lines(f"models.{name}", section) if isinstance(section, Mapping) else []
    return "\n".join(lines) + "\n"


def _lines(name: str, section: Mapping[str, Any]) -> list[str]:
    return ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in section.items())]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


def _header(tenant: str, found: "Sequence[Swept]", targets: int, recipe: Config) -> list[str]:
    k = recipe.evaluation.k
    lines = [f"Tuned by `python -m training tune --tenant {tenant}` on {targets:,} validation targets before the first cut."]
    for one in found:
        best = f"NDCG@{k} {one.ndcg:.4f} in trial {one.trial}" if one.ndcg is not None else "no trial came through"
        lines.append(f"{one.family}: {best}; {one.spent} trials, {one.pruned} pruned, {one.failed} failed")
    return lines


def _table(found: "Sequence[Swept]", trials: int) -> Table:
    """80 columns: what each family came to. The figures of trials chosen on are no estimate of what comes."""
    caption = f"{trials} trials a family. On validation, where the best was chosen: fit measures what it is worth."
    table = Table(title="Best on validation", title_justify="left", caption=caption, caption_justify="left", box=SIMPLE)
    for name in ("model", "NDCG", "recall", "spent", "pruned", "failed", "settings"):
        table.add_column(name, justify="left" if name in ("model", "settings") else "right")
    for one in found:
        figures = ["-" if value is None else f"{value:.4f}" for value in (one.ndcg, one.recall)]
        settings = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in one.settings.items())
        table.add_row(one.family, *figures, str(one.spent), str(one.pruned), str(one.failed), settings)
    return table


def _families(models: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    unknown = [name for name in names if name not in FAMILIES]
    if unknown or not names:
        what = f"unknown model {', '.join(map(repr, unknown))}" if unknown else "no model named"
        raise typer.BadParameter(f"{what}; known: {', '.join(FAMILIES)}", param_hint="--models")
    return names


def _complain(text: str) -> None:
    Console(stderr=True).print(text, style="red", highlight=False, soft_wrap=True, markup=False)
