"""`python -m experiments report`: an experiment that ran here, from the store to a page."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from experiments.assignment.phases import Record, RecordError, read_record, record_file
from experiments.design_cli import DEFAULT_FOLDER
from experiments.lifecycle import readable
from features.lock import LockedError, held
from features.terminal import DEFAULT_STORE, StoreOption, TenantOption, fail, progress, session

if TYPE_CHECKING:
    from experiments.analysis import Reading


def report_command(
    name: Annotated[str, typer.Argument(help="Name of the experiment.")],
    tenant: TenantOption,
    out: Annotated[
        Path | None, typer.Option(help="Folder for NAME.html, NAME.json and index.html; else var/reports/TENANT.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    lake: Annotated[Path, typer.Option(help="Folder of the lake.")] = Path("var/lake"),
    folder: Annotated[
        Path,
        typer.Option("--folder", envvar="NEXTWISE_EXPERIMENTS", show_envvar=False, help="Records; else NEXTWISE_EXPERIMENTS."),
    ] = DEFAULT_FOLDER,
    tracking: Annotated[str, typer.Option(help="MLflow's store, a database or server URI.")] = "sqlite:///var/mlflow.db",
    artifacts: Annotated[Path, typer.Option(help="Where MLflow keeps files of a new experiment.")] = Path("var/mlartifacts"),
    as_it_lies: Annotated[bool, typer.Option("--as-it-lies", help="Read the lake as it is, not the store first.")] = False,
) -> None:
    """Read an experiment that runs or ran here, and write one page with the verdict, its numbers, and the index of all.

    Brings the lake up to date with the store first. Exit code 1 where the data must be mended before anything can be said,
    2 where the experiment or its design cannot be read.
    """
    from experiments.report.index import index  # duckdb and pandas are needed here only
    from experiments.report.page import page
    from experiments.stored import read_stored

    place = out or Path("var/reports") / tenant
    try:
        record = read_record(record_file(folder, tenant, name))
        if not as_it_lies:
            _refresh(store, lake, tenant)
        with progress(f"Reading {name}"):
            reading = read_stored(lake, record)
        files = [place / f"{name}.html", place / f"{name}.json"]
        _write(files[0], page(reading))
        _write(files[1], json.dumps(_numbers(reading, record, lake), indent=2, allow_nan=False) + "\n")
        _write(place / "index.html", index(tenant, readable(folder, tenant)[0], place))
    except RecordError as error:
        fail(str(error), code=2)
    except ValueError as error:  # a metric or segment that nothing defines, a lake that is not there
        fail(f"{name}: {error}", code=2)
    _track(reading, tenant, files, tracking, artifacts)
    typer.echo(reading.verdict.sentence)
    typer.echo(f"Written: {files[0]}, {files[1].name}, index.html")
    if reading.verdict.kind == "broken" and (not reading.health.failed or any(one.of_data for one in reading.health.failed)):
        raise typer.Exit(1)


def _refresh(store: str, lake: Path, tenant: str) -> None:
    """The lake brought up to date with the store."""
    from features.lake import materialize

    with session(store, tenant) as opened, progress("Writing Parquet"):
        try:
            with held(lake, tenant, store, work="report"):
                materialize(opened, lake)
        except LockedError as error:
            fail(f"{error}; try again when it is done, or read the lake with --as-it-lies", code=75)
        except OSError as error:
            fail(str(error))


def _numbers(reading: "Reading", record: Record, lake: Path) -> dict[str, Any]:
    from experiments.report.numbers import as_json
    from features.lake import read_at

    phase = record.phases[-1]
    return {
        "tenant": record.tenant,
        "phase": len(record.phases),
        "started_at": phase.started_at.isoformat(),
        "stopped_at": None if phase.stopped_at is None else phase.stopped_at.isoformat(),
        "read_at": read_at(lake, record.tenant).isoformat(),
        **as_json(reading),
    }


def _track(reading: "Reading", tenant: str, files: list[Path], tracking: str, artifacts: Path) -> None:
    """In MLflow where there is one; a report does not fail for want of it."""
    database = Path(tracking.removeprefix("sqlite:///"))
    if tracking.startswith("sqlite:///") and not database.is_file():
        typer.echo(f"Not logged to MLflow: there is no {database} yet.", err=True)
        return
    try:
        from experiments.report.tracked import track

        track(reading, tenant, files, tracking, artifacts)
    except Exception as error:  # whatever a server, a database or a missing package comes up with
        typer.echo(f"Not logged to MLflow: {str(error).splitlines()[0] if str(error) else type(error).__name__}", err=True)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}; name another folder with --out", code=2)
