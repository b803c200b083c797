"""The command line of this room: synthesize, ingest, check, materialize."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.audit_cli import app as audit
from features.checks import Check, check, failed
from features.ingest_cli import ingest_command
from features.lock import LockedError, held
from features.propose_cli import accept_command, propose_command
from features.rights_cli import erase_command, export_command
from features.star_cli import star_command
from features.store_cli import backup_command, erasures_command, migrate_command, restore_command
from features.terminal import DEFAULT_STORE, JsonOption, StoreOption, TenantOption, fail, progress, session

if TYPE_CHECKING:
    from features.lake import WriteDays

app = typer.Typer(
    help="Learning logs in, a clean lake out.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


class Writer(StrEnum):
    """What writes the days of the lake."""

    ARROW = "arrow"
    SPARK = "spark"


class Reader(StrEnum):
    """What computes the population tables."""

    DUCKDB = "duckdb"
    SPARK = "spark"


app.add_typer(audit, name="audit")
app.command("ingest")(ingest_command)
app.command("migrate")(migrate_command)
app.command("backup")(backup_command)
app.command("restore")(restore_command)
app.command("erasures")(erasures_command)
app.command("erase")(erase_command)
app.command("export-learner")(export_command)
app.command("star")(star_command)
app.command("propose")(propose_command)
app.command("accept")(accept_command)


@app.command("check")
def check_command(tenant: TenantOption, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """Report PASS or FAIL on what is stored; exit code 1 when a check fails."""
    with session(store, tenant) as opened:
        checks = check(opened, now=datetime.now(UTC))
    _print_checks(checks, as_json)


@app.command("materialize")
def materialize_command(
    tenant: TenantOption,
    store: StoreOption = DEFAULT_STORE,
    lake: Annotated[Path, typer.Option(help="Folder of the lake.")] = Path("var/lake"),
    engine: Annotated[Writer, typer.Option(help="arrow: this process; spark: as docs/spark.md says.")] = Writer.ARROW,
    as_json: JsonOption = False,
) -> None:
    """Write the tenant's events and catalogue as Parquet, then check them; exit code 1 when a check fails."""
    from features.lake import materialize, write_days  # pyarrow is needed here only

    with session(store, tenant) as opened, progress("Writing Parquet") as _:
        try:
            write = _write_days_on_spark(store) if engine is Writer.SPARK else write_days
            with held(lake, tenant, store, work="materialize"):
                report = materialize(opened, lake, write=write)
        except LockedError as error:
            fail(str(error), code=75)  # EX_TEMPFAIL, as `training refresh` has it
        except (ValueError, OSError) as error:
            fail(str(error))
        checks = check(opened, now=datetime.now(UTC), may_begin=True)
    counted = Check("lake", report.events == opened.counts().events, f"{report.events:,} events in {report.days} days")
    if not as_json:
        typer.echo(f"{report.days_written} of {report.days} days written under {lake}, digest {report.digest[:12]}")
    _print_checks([counted, *checks], as_json, lake=asdict(report))


def _write_days_on_spark(store: str) -> "WriteDays":
    from features import spark

    return spark.write_days(spark.session(), store)


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
    engine: Annotated[Reader, typer.Option(help="What computes the table: docs/spark.md.")] = Reader.DUCKDB,
) -> None:
    """Show a table of the whole population from the lake: verbs, popularity, completion, active learners, skills taught."""
    from features import population  # DuckDB is needed here only

    try:
        people = population.connect(lake, tenant, engine=engine.value)
    except ValueError as error:
        fail(str(error))
    found = population.TABLES[table.value](people)
    frame = people.fetch(found if as_csv else found.limit(rows)).to_pandas()
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
        with progress("Generating an organisation"):
            synthesize(folder, parameters, seed)
    except ValueError as error:
        fail(str(error))
    typer.echo(f"{', '.join(path.name for path in sorted(folder.glob('*.jsonl')))} written to {folder}")


def _print_checks(checks: Sequence[Check], as_json: bool, **more: object) -> None:
    if as_json:
        typer.echo(json.dumps({**more, "checks": [asdict(one) for one in checks]}, indent=1))
    else:
        for one in checks:
            typer.echo(str(one))
    if failed(checks):
        raise typer.Exit(1)
