"""The command line of training: fit, promote, publish, rollback, refresh, tune, leaderboard."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from pydantic import TypeAdapter, ValidationError
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from features.events import Tenant
from training.bundle import BundleError
from training.config import ConfigError, read_config
from training.leaderboard import leaderboard
from training.refresh_cli import refresh
from training.start import start
from training.tune_cli import tune

if TYPE_CHECKING:
    from training.fit import Incumbent, Outcome
    from training.record import Recorded
    from training.summary import Row
    from training.tracking import Registry, Version

# MLflow, torch and the lake are imported when a verb needs them: `--help` answers at once.

app = typer.Typer(no_args_is_help=True, add_completion=False, help="From tables to a published bundle.")
app.command()(leaderboard)
app.command()(refresh)
app.command()(start)
app.command()(tune)
console = Console()

Step = Callable[[str], None]
FOLLOW_SECONDS = 2.0


def _tenant(value: str) -> str:
    try:
        return str(TypeAdapter(Tenant).validate_python(value))
    except ValidationError as error:
        raise typer.BadParameter("a tenant is a-z, 0-9 and -, at most 63 characters") from error


TenantName = Annotated[str, typer.Option("--tenant", callback=_tenant, help="Whose data, runs and bundles.")]
Tracking = Annotated[str, typer.Option("--tracking", help="MLflow's store, a database or server URI.")]
Artifacts = Annotated[Path, typer.Option("--artifacts", help="Where MLflow keeps files of a new experiment.")]
Bundles = Annotated[Path, typer.Option("--bundles", help="Where published bundles lie.")]
TRACKING, ARTIFACTS, BUNDLES = "sqlite:///var/mlflow.db", Path("var/mlartifacts"), Path("bundles")


@app.command()
def fit(
    tenant: TenantName,
    config: Annotated[Path, typer.Option(help="The recipe, a TOML file.")] = Path("training/configs/default.toml"),
    lake: Annotated[Path, typer.Option(help="Where `python -m features materialize` wrote.")] = Path("var/lake"),
    tracking: Tracking = TRACKING,
    artifacts: Artifacts = ARTIFACTS,
) -> None:
    """Fit and compare all configured models, and register the ranker, or the blend, as challenger."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with _errors(), Progress(*columns, console=console, transient=True) as bar:
        recipe = read_config(config)
        step = _stages(bar)
        step("read the lake")
        from threadpoolctl import threadpool_limits

        from training.fit import fit as run_fit
        from training.inputs import THREADS, read_table
        from training.record import record
        from training.tracking import CHAMPION, Registry

        table, timezone, sides = read_table(lake, tenant, step)
        step("open MLflow")
        registry = Registry(tenant, tracking, artifacts)
        against = registry.aliased(CHAMPION)
        incumbent = _incumbent(registry, against)
        start = time.perf_counter()
        with registry.run(f"fit {tenant}") as run, threadpool_limits(THREADS):
            outcome = run_fit(table, recipe, sides=sides, champion=incumbent, step=step)
            step("record the run in MLflow")
            seconds = time.perf_counter() - start
            source = config.read_text("utf-8")
            found = record(outcome, registry, run, fit_seconds=seconds, source=source, timezone=timezone, against=against)
    for rows in found.rows:
        console.print(_table(rows))
    _say_fit(tenant, outcome, found)


@app.command()
def promote(
    tenant: TenantName,
    reason: Annotated[str, typer.Option(help="Your own words, kept beside the gate's.")] = "",
    tracking: Tracking = TRACKING,
) -> None:
    """Let the gate decide whether the challenger becomes champion, and say why."""
    with _errors(), console.status("Compare with what serves"):
        from training.promote import promote as run_promote
        from training.tracking import Registry

        verdict, served = run_promote(Registry(tenant, tracking), note=reason)
    style = "green" if verdict.promote else "yellow"
    console.print(f"[{style}]{verdict.words}[/]: {verdict.reason}", highlight=False)
    console.print(
        f"champion: version {served.number}, bundle {served.bundle}. Next: python -m training publish --tenant {tenant}"
    )


@app.command()
def publish(
    tenant: TenantName,
    bundles: Bundles = BUNDLES,
    follow: Annotated[bool, typer.Option("--follow", help="Mirror MLflow's alias until stopped.")] = False,
    tracking: Tracking = TRACKING,
) -> None:
    """Copy the champion's bundle, verify it where it will be read, and move the pointer."""
    with _errors():
        from training.tracking import Registry

        registry = Registry(tenant, tracking)
        if not follow:
            with console.status("Copy and verify the champion's bundle"):
                _publish(registry, bundles, tenant)
        while follow:
            _mirror(registry, bundles, tenant)
            time.sleep(FOLLOW_SECONDS)


@app.command()
def shadow(
    tenant: TenantName,
    bundles: Bundles = BUNDLES,
    end: Annotated[bool, typer.Option("--end", help="Score no challenger any longer.")] = False,
    tracking: Tracking = TRACKING,
) -> None:
    """Let the service score the challenger beside what serves: shown to nobody, its disagreement is in /metrics."""
    with _errors(), console.status("Copy and verify the challenger's bundle"):
        from training.publish import end_shadow
        from training.publish import shadow as run_shadow
        from training.tracking import CHALLENGER, Registry, TrackingError

        if end:
            said = "no challenger is scored any longer" if end_shadow(bundles, tenant) else "there was none: nothing to do"
        else:
            registry = Registry(tenant, tracking)
            version = registry.aliased(CHALLENGER)
            if version is None:
                raise TrackingError(f"{registry.name} has no challenger; run `python -m training fit --tenant {tenant}` first")
            with tempfile.TemporaryDirectory() as scratch:
                pointer = run_shadow(registry.fetch_bundle(version, Path(scratch)), bundles, tenant)
            said = f"{pointer.bundle} (version {version.number}) is scored beside what serves"
    console.print(said, highlight=False)


@app.command()
def rollback(tenant: TenantName, bundles: Bundles = BUNDLES, tracking: Tracking = TRACKING) -> None:
    """Point at the previous bundle again, and move MLflow's alias with it."""
    with _errors(), console.status("Move back to the previous bundle"):
        from training.promote import rollback as run_rollback
        from training.tracking import Registry

        pointer, version = run_rollback(Registry(tenant, tracking), bundles, tenant)
    console.print(f"serving {pointer.bundle} again; alias champion is version {version.number}", highlight=False)


def _incumbent(registry: "Registry", version: "Version | None") -> "Incumbent | None":
    from training.record import incumbent

    if version is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        found = incumbent(registry.fetch_bundle(version, Path(scratch)))
    if found is None:
        console.print("[yellow]the champion's recipe is of another version of this program: it stays until it is replaced[/]")
    return found


def _publish(registry: "Registry", bundles: Path, tenant: str) -> None:
    """Publish the champion unless the pointer is on it already; says what moved."""
    from training.publish import current_pointer
    from training.publish import publish as run_publish
    from training.tracking import CHAMPION, TrackingError

    version = registry.aliased(CHAMPION)
    if version is None:
        raise TrackingError(f"{registry.name} has no champion; run `python -m training promote --tenant {tenant}` first")
    before = current_pointer(bundles, tenant)
    with tempfile.TemporaryDirectory() as scratch:
        pointer = run_publish(registry.fetch_bundle(version, Path(scratch)), bundles, tenant)
    said = f"{pointer.bundle} serves already: nothing to do" if before == pointer else f"published {pointer.bundle}"
    console.print(f"{said} (version {version.number}) in {bundles / tenant}", highlight=False)


def _mirror(registry: "Registry", bundles: Path, tenant: str) -> None:
    """Publish when the alias has moved; what goes wrong is said, and tried again at the next look."""
    from training.publish import current_pointer
    from training.tracking import CHAMPION

    try:
        version, pointer = registry.aliased(CHAMPION), current_pointer(bundles, tenant)
        if version is not None and (pointer is None or pointer.bundle != version.bundle):
            _publish(registry, bundles, tenant)
    except Exception as error:
        if not _expected(error):
            raise
        _complain(error)


def _table(rows: "tuple[Row, ...]") -> Table:
    """80 columns: the interval of NDCG, points of the rest (all intervals are in MLflow)."""
    title = f"{rows[0].protocol}: {rows[0].targets:,} held-out items"
    found = Table(title=title, title_justify="left", caption="95 %: bootstrap by learner", caption_justify="left", box=SIMPLE)
    for name in ("model", "recall", "NDCG", "95 %", "debiased", "cover", "ms"):
        found.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for row in rows:
        _, low, high = row.metrics["ndcg"]
        shown = [f"{row.metrics[name][0]:.3f}" for name in ("recall", "ndcg", "debiased_ndcg")]
        interval = "-" if np.isnan(low) else f"{low:.3f}-{high:.3f}"
        cost = "-" if np.isnan(row.score_ms) else f"{row.score_ms:.2f}"
        found.add_row(row.model, shown[0], shown[1], interval, shown[2], f"{row.coverage:.3f}", cost)
    return found


def _say_fit(tenant: str, outcome: "Outcome", found: "Recorded") -> None:
    if outcome.note:
        console.print(f"ranker: {outcome.note}", highlight=False)
    weights = ", ".join(f"{name} {weight:g}" for name, weight in outcome.choices.weights.items())
    console.print(f"blend, chosen on validation: {weights}", highlight=False)
    for name, model in outcome.choices.settings.items():
        console.print(f"{name}, chosen on validation: {model}", highlight=False)
    console.print(
        f"challenger: {outcome.serves}, version {found.challenger.number}, bundle {found.challenger.bundle}", highlight=False
    )
    console.print(f"best baseline: {outcome.baseline_name}, version {found.baseline.number}", highlight=False)
    console.print(f"Next: python -m training promote --tenant {tenant}", highlight=False)


def _stages(bar: Progress) -> Step:
    """One line that changes; where output is no terminal (a log, a pipe), a line for each stage."""
    task = bar.add_task("start", total=None)
    if not console.is_terminal:
        return lambda text: console.print(text, markup=False, highlight=False)
    return lambda text: bar.update(task, description=text)


@contextmanager
def _errors() -> Iterator[None]:
    """Errors of data and configuration as words and exit code 1; Ctrl-C ends a follower quietly."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except Exception as error:
        if not _expected(error):
            raise
        _complain(error)
        raise typer.Exit(1) from error


def _complain(error: Exception) -> None:
    Console(stderr=True).print(f"Error: {error}", style="red", highlight=False, soft_wrap=True, markup=False)


def _expected(error: Exception) -> bool:
    if isinstance(error, BundleError | ConfigError):
        return True
    return type(error).__name__ in (
        "DataError",
        "TrackingError",
        "TextModelError",
        "MlflowException",
        "SparkError",
        "DeviceError",
    )
