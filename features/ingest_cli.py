"""The command `ingest`: files of any format into the event store."""

import json
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from features.ingest import Ingested, ingest, refused_file, summary
from features.ingest_csv import ingest_csv
from features.readers import read
from features.readers.base import Import, Reading
from features.readers.csv_events import CsvFile
from features.readers.csv_map import CsvMap, MapError, pairs, read_map
from features.store import GrantedError, TakenError, VersionError
from features.terminal import DEFAULT_STORE, JsonOption, StoreOption, TenantOption, fail, progress, session
from features.work_cli import dry_run as show
from features.work_cli import strangers, work_reading


class Format(StrEnum):
    """What kind of files these are."""

    MARS = "mars"
    EVENTS = "events"
    CSV = "csv"
    XAPI = "xapi"
    WORK = "work"
    SEQUENCES = "sequences"


_CSV = "Only for csv"


def _csv(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=_CSV, show_default=False)


def ingest_command(
    path: Annotated[Path, typer.Argument(exists=True, help="A folder or file of the format.")],
    tenant: TenantOption,
    format: Annotated[
        Format,
        typer.Option(
            help="mars: CSV folder; events: JSON lines; csv: any table; xapi: statements; work: rows of a CRM, tickets ..; "
            "sequences: not storable."
        ),
    ],
    timezone: Annotated[str | None, typer.Option(help="Zone of times without one, for example Europe/Paris.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only for work: show what each rule would understand.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Keep the good rows, count and write down the bad.")] = False,
    refused: Annotated[
        Path | None, typer.Option(help="Where refused rows go with --skip-bad.", show_default="var/refused/TENANT-SOURCE.jsonl")
    ] = None,
    columns: Annotated[list[str] | None, _csv("--map", help="FIELD=COLUMN, once for each field.")] = None,
    mapping: Annotated[
        Path | None, _csv("--mapping", help="A TOML file that says the same as these options; for work the file of rules.")
    ] = None,
    verb: Annotated[str | None, _csv("--verb", help="The verb of every row.")] = None,
    verbs: Annotated[list[str] | None, _csv("--verb-map", help="WORD=VERB: the file's word for a verb.")] = None,
    separator: Annotated[str | None, _csv("--separator", help="One character, or comma, semicolon, tab, bar.")] = None,
    encoding: Annotated[str | None, _csv("--encoding", help="utf-8 (default), cp1252, latin-1, utf-16 ..")] = None,
    time_format: Annotated[
        str | None, _csv("--time-format", help="iso (default), epoch-s, epoch-ms, or a pattern such as '%d/%m/%Y %H:%M'.")
    ] = None,
    decimal: Annotated[str | None, _csv("--decimal", help="point (default) or comma.")] = None,
    score_scale: Annotated[str | None, _csv("--score-scale", help="Highest score, or lowest-highest: 100, 1-5.")] = None,
    progress_scale: Annotated[str | None, _csv("--progress-scale", help="The same for progress.")] = None,
    duration_unit: Annotated[str | None, _csv("--duration-unit", help="ms, s (default), min, h, or hms for 1:30:00.")] = None,
    source: Annotated[str | None, _csv("--source", help="What the rows are marked as coming from (csv).")] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Read files into the event store. Without --skip-bad one bad row means that nothing is stored."""
    now, started = datetime.now(UTC), time.perf_counter()
    target = refused or refused_file(tenant, path)
    flags = {
        "verb": verb,
        "separator": separator,
        "encoding": encoding,
        "time_format": time_format,
        "decimal": decimal,
        "score_scale": score_scale,
        "progress_scale": progress_scale,
        "duration_unit": duration_unit,
        "source": source,
    }
    facts = {"source": path.resolve().name, "format": format.value, "timezone": timezone, "at": now.isoformat()}
    if dry_run and format is not Format.WORK:
        fail(f"--dry-run is for --format work, not for {format.value}", code=2)
    if format is Format.CSV:
        csv_map = _csv_map(mapping, {**flags, "timezone": timezone}, columns or [], verbs or [])
        given = CsvFile(path, csv_map, tenant, now)
        facts["timezone"] = csv_map.timezone
        if skip_bad:
            _check_target(target, [path, _database(store)])
        with session(store, tenant) as opened, progress("Checking, then storing rows") as advance:
            try:
                found = ingest_csv(opened, given, skip_bad=skip_bad, refused=target, facts=facts, advance=advance)
            except OSError as error:
                fail(f"{error}. Run the same command again to go on from there.")
            except KeyboardInterrupt:
                fail("interrupted. Run the same command again to go on from there.", code=130)
    elif format is Format.WORK:
        given_flags = {**flags, "timezone": timezone, "map": columns, "verb_map": verbs}
        reading, tally = work_reading(path, mapping, given_flags, Import(tenant, now))
        if dry_run:
            with session(store, tenant) as opened:
                show(reading, tally, opened)
            return
        found = _store(reading, tenant, skip_bad, target, store, facts, now)
        with session(store, tenant) as opened:
            found.notes = [*found.notes, *strangers(tally, opened)]
    else:
        _no_csv_options({**flags, "map": columns, "mapping": mapping, "verb_map": verbs}, format)
        reading = _reading(path, tenant, format, timezone, store, now)
        found = _store(reading, tenant, skip_bad, target, store, facts, now)
    if as_json:
        typer.echo(json.dumps(summary(found), indent=1))
    else:
        _print_ingested(found, time.perf_counter() - started, catalogue=format not in (Format.CSV, Format.WORK))
    _print_refusals(found, skip_bad, target)
    if not found.stored and (found.bad or format is not Format.WORK):
        raise typer.Exit(1)


def _reading(path: Path, tenant: str, format: Format, timezone: str | None, store: str, now: datetime) -> Reading:
    try:
        known = _items(store, tenant) if format is Format.XAPI else frozenset()
        return read(format.value, path, tenant=tenant, timezone=timezone, now=now, known=known)
    except ValueError as error:
        fail(str(error), code=2 if "time zone" in str(error) else 1)


def _store(
    reading: Reading, tenant: str, skip_bad: bool, target: Path, store: str, facts: dict[str, Any], now: datetime
) -> Ingested:
    if skip_bad:
        _check_target(target, [*reading.files, _database(store)])
    with session(store, tenant) as opened, progress("Checking, then storing rows") as advance:
        try:
            found = ingest(opened, reading, now=now, skip_bad=skip_bad, refused=target, advance=advance)
        except OSError as error:
            fail(f"{error}. Rows that were stored until then stay; run the same command again.")
        except KeyboardInterrupt:
            fail("interrupted. Rows that were stored until then stay; run the same command again.", code=130)
        except GrantedError as error:
            fail(str(error))
        except TakenError as error:
            fail(f"{error}. Rows that were stored until then stay; mend the file and run the same command again.")
        except VersionError as error:
            fail(f"{error}: somebody else wrote it meanwhile. Run the same command again.")
        if found.stored:
            opened.record_import({**facts, **summary(found)})
    return found


def _items(store: str, tenant: str) -> frozenset[str]:
    """Ids and aliases of the items that a statement about a part of them may be about."""
    with session(store, tenant) as opened:
        items = opened.catalogue().items.values()
    return frozenset(name for item in items for name in (item.id, *item.aliases))


def _csv_map(file: Path | None, flags: dict[str, Any], columns: Sequence[str], verbs: Sequence[str]) -> CsvMap:
    try:
        flags |= {"columns": pairs(columns, "--map"), "verbs": pairs(verbs, "--verb-map")}
        return read_map(file, flags)
    except MapError as error:
        fail(str(error), code=2)


def _no_csv_options(given: dict[str, Any], format: Format) -> None:
    used = [name.replace("_", "-") for name, value in given.items() if value]
    if used:
        fail(f"--{used[0]} is for --format csv, not for {format.value}", code=2)


def _database(store: str) -> Path:
    return Path(store.removeprefix("sqlite:///"))


def _check_target(target: Path, used: Iterable[Path]) -> None:
    """Refuses a file for refused rows that cannot be written or that would overwrite what is read."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"--refused {target}: the folder cannot be made: {error}", code=2)
    if target.is_dir():
        fail(f"--refused {target} is a folder: name a file", code=2)
    for path in used:
        if target.exists() and path.exists() and target.samefile(path):
            fail(f"--refused {target} would overwrite {path}, which is read: name another file", code=2)


def _print_ingested(found: Ingested, seconds: float, *, catalogue: bool) -> None:
    for note in found.notes:
        typer.echo(f"note: {note}")
    if found.resumed_after:
        typer.echo(f"An earlier run was ended after line {found.resumed_after:,}; this one went on from there.")
    if not (found.stored or found.stopped):
        return
    if catalogue:
        put = found.catalogue
        parts = f"{put.inserted:,} new, {put.changed:,} changed, {put.unchanged:,} unchanged"
        typer.echo(f"catalogue: {parts}, {found.catalogue_refused:,} refused")
    parts = f"{found.accepted:,} accepted + {found.duplicates:,} duplicate + {found.refused:,} refused"
    if found.suppressed:
        parts += f" + {found.suppressed:,} suppressed (of learners who were erased after them)"
    typer.echo(f"{found.rows:,} rows = {parts}, in {seconds:.1f} s")


def _print_refusals(found: Ingested, skip_bad: bool, target: Path) -> None:
    for refusal in found.first:
        typer.echo(str(refusal), err=True)
    if found.bad > len(found.first) > 0:
        typer.echo(f"... and {found.bad - len(found.first):,} more", err=True)
    if found.bad and skip_bad:
        typer.echo(f"{found.bad:,} refused rows are listed in {target}", err=True)
    if found.stopped:
        typer.echo(f"Stopped before the end: {found.stopped}. What was stored until then stays.", err=True)
    elif not found.stored and not found.bad:
        typer.echo("Nothing was stored: there is nothing to store.")
    elif not found.stored:
        hint = "correct them, or give --skip-bad to keep the good rows" if not skip_bad else "there is no good row"
        typer.echo(f"Nothing was stored: {found.bad:,} bad rows; {hint}.", err=True)
