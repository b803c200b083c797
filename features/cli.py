"""The command line of this room: synthesize, ingest, check, materialize."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import DBAPIError

from features.checks import Check, check, failed
from features.ingest import SHOWN, Advance, Ingested, ingest, refused_file, summary
from features.readers import read
from features.store import EventStore, TenantSession

app = typer.Typer(
    help="Learning logs in, a clean lake out.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


class Format(StrEnum):
    """What kind of files these are."""

    MARS = "mars"
    EVENTS = "events"
    SEQUENCES = "sequences"


def _tenant(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", value):
        raise typer.BadParameter(f"{value!r} is not a tenant: lower-case letters, digits and hyphens, at most 63")
    return value


TenantOption = Annotated[
    str, typer.Option("--tenant", callback=_tenant, help="Whose data: lower-case letters, digits, hyphens.")
]
StoreOption = Annotated[str, typer.Option("--store", help="Database URL of the event store.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DEFAULT_STORE = "sqlite:///var/events.db"


@app.command("ingest")
def ingest_command(
    path: Annotated[Path, typer.Argument(exists=True, help="A folder or file of the format.")],
    tenant: TenantOption,
    format: Annotated[Format, typer.Option(help="mars: CSV folder; events: JSON lines; sequences: not storable.")],
    timezone: Annotated[str | None, typer.Option(help="Zone of times without one, for example Europe/Paris.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Keep the good rows, count and write down the bad.")] = False,
    refused: Annotated[
        Path | None, typer.Option(help="Where refused rows go with --skip-bad.", show_default="var/refused/TENANT-SOURCE.jsonl")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Read files into the event store. Without --skip-bad one bad row means that nothing is stored."""
    now, started = datetime.now(UTC), time.perf_counter()
    target = refused or refused_file(tenant, path)
    try:
        reading = read(format.value, path, tenant=tenant, timezone=timezone, now=now)
    except ValueError as error:
        _fail(str(error), code=2 if "time zone" in str(error) else 1)
    if skip_bad:
        _check_target(target, [*reading.files, Path(store.removeprefix("sqlite:///"))])
    with _session(store, tenant) as session, _progress("Checking, then storing rows") as advance:
        found = ingest(session, reading, now=now, skip_bad=skip_bad, refused=target, advance=advance)
        if found.stored:
            facts = {"source": path.resolve().name, "format": format.value, "timezone": timezone, "at": now.isoformat()}
            session.record_import({**facts, **summary(found)})
    if as_json:
        typer.echo(json.dumps(summary(found), indent=1))
    else:
        _print_ingested(found, time.perf_counter() - started)
    _print_refusals(found, skip_bad, target)
    if not found.stored:
        raise typer.Exit(1)


@app.command("check")
def check_command(tenant: TenantOption, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """Report PASS or FAIL on what is stored; exit code 1 when a check fails."""
    with _session(store, tenant) as session:
        checks = check(session, now=datetime.now(UTC))
    _print_checks(checks, as_json)


@app.command("materialize")
def materialize_command(
    tenant: TenantOption,
    store: StoreOption = DEFAULT_STORE,
    lake: Annotated[Path, typer.Option(help="Folder of the lake.")] = Path("var/lake"),
    as_json: JsonOption = False,
) -> None:
    """Write the tenant's events and catalogue as Parquet, then check them; exit code 1 when a check fails."""
    from features.lake import materialize  # pyarrow is needed here only

    with _session(store, tenant) as session, _progress("Writing Parquet") as _:
        try:
            report = materialize(session, lake)
        except (ValueError, OSError) as error:
            _fail(str(error))
        checks = check(session, now=datetime.now(UTC))
    counted = Check("lake", report.events == session.counts().events, f"{report.events:,} events in {report.days} days")
    if not as_json:
        typer.echo(f"{report.days_written} of {report.days} days written under {lake}, digest {report.digest[:12]}")
    _print_checks([counted, *checks], as_json, lake=asdict(report))


class PopulationTable(StrEnum):
    """The tables of `features.population.TABLES`."""

    VERBS = "verbs"
    POPULARITY = "popularity"
    AUDIENCES = "audiences"
    COMPLETION = "completion"
    ACTIVE = "active"
    SKILLS = "skills"


@app.command("population")
def population_command(
    table: Annotated[PopulationTable, typer.Argument(help="Which table.")],
    tenant: TenantOption,
    lake: Annotated[Path, typer.Option(help="Folder of the lake.")] = Path("var/lake"),
    rows: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", help="All rows, as CSV.")] = False,
) -> None:
    """Show a table of the whole population from the lake: verbs, popularity, completion, active learners, skills taught."""
    from features import population  # DuckDB is needed here only

    try:
        found = population.TABLES[table.value](population.connect(lake, tenant))
    except ValueError as error:
        _fail(str(error))
    frame = (found if as_csv else found.limit(rows)).to_pyarrow().to_pandas()
    typer.echo(frame.to_csv(index=False) if as_csv else frame.to_string(index=False), nl=not as_csv)


@app.command("synthesize")
def synthesize_command(
    folder: Annotated[Path, typer.Argument(help="Where the files are written.", file_okay=False)],
    parameters: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A parameter file (TOML).")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
) -> None:
    """Generate a fictional organisation with its catalogue and 14 months of events, ready for `ingest --format events`."""
    from features.synthetic import synthesize

    try:
        with _progress("Generating an organisation"):
            synthesize(folder, parameters, seed)
    except ValueError as error:
        _fail(str(error))
    typer.echo(f"{', '.join(path.name for path in sorted(folder.glob('*.jsonl')))} written to {folder}")


def _check_target(target: Path, used: Iterable[Path]) -> None:
    """Refuses a file for refused rows that cannot be written or that would overwrite what is read."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _fail(f"--refused {target}: the folder cannot be made: {error}", code=2)
    if target.is_dir():
        _fail(f"--refused {target} is a folder: name a file", code=2)
    for path in used:
        if target.exists() and path.exists() and target.samefile(path):
            _fail(f"--refused {target} would overwrite {path}, which is read: name another file", code=2)


# -- output --


@contextmanager
def _session(store: str, tenant: str) -> Iterator[TenantSession]:
    try:
        opened = EventStore.open(store)
    except (ValueError, ImportError, OSError, DBAPIError) as error:
        _fail(f"the store {store!r} cannot be opened: {getattr(error, 'orig', error)}", code=2)
    try:
        yield opened.tenant(tenant)
    except DBAPIError as error:
        _fail(f"the store {store!r} cannot be used: {error.orig}")
    finally:
        opened.close()


@contextmanager
def _progress(title: str) -> Iterator[Advance]:
    parts = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda rows: progress.advance(task, rows)


def _print_ingested(found: Ingested, seconds: float) -> None:
    for note in found.notes:
        typer.echo(f"note: {note}")
    if not found.stored:
        return
    put = found.catalogue
    parts = f"{put.inserted:,} new, {put.changed:,} changed, {put.unchanged:,} unchanged"
    typer.echo(f"catalogue: {parts}, {found.catalogue_refused:,} refused")
    parts = f"{found.accepted:,} accepted + {found.duplicates:,} duplicate + {found.refused:,} refused"
    typer.echo(f"{found.rows:,} rows = {parts}, in {seconds:.1f} s")


def _print_refusals(found: Ingested, skip_bad: bool, target: Path) -> None:
    for refusal in found.first:
        typer.echo(str(refusal), err=True)
    if found.bad > len(found.first):
        typer.echo(f"... and {found.bad - SHOWN:,} more", err=True)
    if found.bad and skip_bad:
        typer.echo(f"{found.bad:,} refused rows are listed in {target}", err=True)
    if not found.stored:
        hint = "correct them, or give --skip-bad to keep the good rows" if not skip_bad else "there is no good row"
        typer.echo(f"Nothing was stored: {found.bad:,} bad rows; {hint}.", err=True)


def _print_checks(checks: Sequence[Check], as_json: bool, **more: object) -> None:
    if as_json:
        typer.echo(json.dumps({**more, "checks": [asdict(one) for one in checks]}, indent=1))
    else:
        for one in checks:
            typer.echo(str(one))
    if failed(checks):
        raise typer.Exit(1)


def _fail(message: str, *, code: int = 1) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)
