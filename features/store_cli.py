"""Commands that look after the store as a whole: migrate, backup, restore."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from features.backup import Backup, back_up, restore
from features.erasures import erasures_of, write_erasures
from features.migrate import migrate
from features.store.opening import shown
from features.terminal import DEFAULT_STORE, JsonOption, StoreOption, progress, usable


def migrate_command(store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """Bring a store of an older version to the one this program works with. Back it up first."""
    with usable(store):
        found = migrate(store)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    elif found.before == found.after:
        typer.echo(f"The store is of version {found.after} already.")
    else:
        typer.echo(f"The store was brought from version {found.before} to {found.after}.")


def backup_command(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where it is written; never over a file that is there.")],
    store: StoreOption = DEFAULT_STORE,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's rows.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write what the store holds at this moment to one file, while others go on writing."""
    with usable(store), progress("Writing rows") as advance:
        found = back_up(store, file, tenant=tenant, advance=advance)
    _print(found, as_json, f"written to {file}")


def restore_command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file that `backup` wrote.")],
    store: StoreOption = DEFAULT_STORE,
    erasures: Annotated[
        str | None, typer.Option(help="Erase again who was erased since: the URL of the old store, or a file of `erasures`.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fill an empty store from a backup, of whichever database, and compare what was stored with it."""
    with usable(store), progress("Storing rows") as advance:
        since = None if erasures is None else erasures_of(erasures)
        found = restore(file, store, erasures=since, advance=advance)
    _print(found, as_json, f"restored to {shown(store)}")
    if since is None:
        typer.echo(_COME_BACK, err=True)


def erasures_command(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where they are written, over an older file.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write who was erased, as hashes with their key, to a file for `restore --erasures`. Keep it apart from the store."""
    with usable(store):
        found = write_erasures(store, file)
    typer.echo(f"{len(found.erasures):,} erased names of {len(found.keys):,} tenants written to {file}")


_COME_BACK: Final = (
    "Warning: learners who were erased after this backup was made are in the restored store again, unless nobody was. Before "
    "anybody reads it, restore once more into another empty store with --erasures URL_OF_THE_OLD_STORE, or with a file that "
    "`python -m features erasures` wrote."
)


def _print(found: Backup, as_json: bool, what: str) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
        return
    rows = ", ".join(f"{number:,} {table}" for table, number in found.rows.items())
    typer.echo(f"{rows} {what}, version {found.version}, SHA-256 {found.sha256[:12]}")
