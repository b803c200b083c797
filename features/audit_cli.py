"""`python -m features audit verify | show`: is the audit log whole, and what does it say?"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from features.audit import INSTALLATION, AuditRow, Verdict, verify
from features.columns import instant
from features.store.chain import chain, chains
from features.terminal import DEFAULT_STORE, JsonOption, StoreOption, fail, session, usable
from features.view import viewed

app = typer.Typer(help="The audit log: who did what to whose data.", no_args_is_help=True, add_completion=False)

_TenantOption = Annotated[str | None, typer.Option("--tenant", help="The chain of this tenant.")]
_InstallationOption = Annotated[
    bool, typer.Option("--installation", help="The chain of what is no one tenant's: whole backups, restores, migrations.")
]


@app.command("verify")
def verify_command(
    tenant: _TenantOption = None,
    installation: _InstallationOption = False,
    anchor: Annotated[
        list[str] | None, typer.Option(help="SEQ:HASH that an earlier run printed for this chain: it must still be in it.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Walk each chain, or one, and name the first row that is wrong; exit code 1 then. Keep what it prints elsewhere."""
    one = _named(tenant, installation)
    if anchor and one is None:
        fail("--anchor is of one chain: name it with --tenant or --installation", code=2)
    anchors = dict(map(_anchor, anchor or ()))
    with _viewed(store) as connection:
        found = {name: verify(chain(connection, name), anchors) for name in (chains(connection) if one is None else [one])}
    if as_json:
        typer.echo(json.dumps({name: asdict(verdict) for name, verdict in found.items()}, indent=1))
    else:
        for name, verdict in found.items():
            typer.echo(f"{name or 'installation'}: {_said(verdict)}")
        if not found:
            typer.echo("The audit log has no row yet.")
    if any(verdict.broken for verdict in found.values()):
        raise typer.Exit(1)


@app.command("show")
def show_command(
    tenant: _TenantOption = None,
    installation: _InstallationOption = False,
    learner: Annotated[str | None, typer.Option(help="Only rows about this learner, by id or alias.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only rows after this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 100,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show the rows of one chain, oldest first."""
    one = _named(tenant, installation)
    if one is None:
        fail("name a chain with --tenant or --installation", code=2)
    with _viewed(store):
        pass  # there is a store, and of this version: to open one makes what is not there
    with session(store, one) as opened:
        rows = list(opened.audit(after=after, limit=limit, learner_id=learner))
    if as_json:
        typer.echo(json.dumps([_as_json(row) for row in rows], indent=1, ensure_ascii=False))
    else:
        for line in _table(rows):
            typer.echo(line)


@contextmanager
def _viewed(store: str) -> Iterator[sa.Connection]:
    with usable(store), viewed(store) as connection:
        yield connection


def _named(tenant: str | None, installation: bool) -> str | None:
    if tenant is not None and installation:
        fail("--tenant and --installation exclude one another: give one", code=2)
    return INSTALLATION if installation else tenant


def _anchor(text: str) -> tuple[int, str]:
    found = re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", text)
    if found is None:
        fail(f"--anchor: {text!r} is no SEQ:HASH as `audit verify` prints it", code=2)
    return int(found[1]), found[2]


def _said(verdict: Verdict) -> str:
    newest = f", newest {verdict.newest}" if verdict.newest else ""
    if verdict.broken:
        return f"BROKEN: {verdict.broken} ({verdict.rows:,} rows before are whole{newest})"
    return f"{verdict.rows:,} rows, whole{newest}"


def _as_json(row: AuditRow) -> dict[str, Any]:
    return asdict(row) | {"at": instant(row.at).isoformat(), "details": json.loads(row.details)}


def _table(rows: Iterable[AuditRow]) -> Iterator[str]:
    """A line for each row: number, when, who, what, on whom (the first of the pseudonym), how it went, counts."""
    for row in rows:
        whom = "" if row.subject is None else f" {row.subject[:12]}"
        counts = ", ".join(f"{name} {_plain(value)}" for name, value in json.loads(row.details).items())
        outcome = "" if row.outcome == "done" else f" ({row.outcome})"
        yield f"{row.seq}  {instant(row.at):%Y-%m-%d %H:%M:%S} UTC  {row.by}  {row.action}{whom}{outcome}  {counts}".rstrip()


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
