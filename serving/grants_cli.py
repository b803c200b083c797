"""`python -m serving grants add | list | revoke`: which tenant may use what of another one's catalogue."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from features.grants import Grant
from features.migrate import exists
from features.store import EventStore, UnknownGrantError
from features.store.opening import UrlError, shown
from features.terminal import JsonOption, fail, opened, tenant_name
from serving.settings import Settings

app = typer.Typer(
    help="Let a tenant use items of another one's catalogue; learners and events are never shared.",
    no_args_is_help=True,
    add_completion=False,
)

StoreOption = Annotated[str | None, typer.Option("--store", help="Database URL of the event store; else NEXTWISE_STORE.")]


@app.command("add")
def add_command(
    grantor: Annotated[str, typer.Option("--from", callback=tenant_name, help="Whose items.")],
    tenant: Annotated[str, typer.Option("--to", callback=tenant_name, help="Who may use them.")],
    everything: Annotated[bool, typer.Option("--all", help="All of them, also those to come.")] = False,
    provider: Annotated[str | None, typer.Option(help="Those of this provider, also those to come.")] = None,
    item: Annotated[list[str] | None, typer.Option(help="This item, by its id; once for each.")] = None,
    store: StoreOption = None,
) -> None:
    """Grant items of a tenant to another one: all, those of a provider, or single ones. Ranked after its next refresh."""
    if [everything, provider is not None, bool(item)].count(True) != 1:
        fail("say what is granted: --all, --provider NAME, or --item ID once for each", code=2)
    with _store(store) as found:
        grant = found.grants().add(grantor, tenant, at=datetime.now(UTC), provider=provider, items=item or None)
        own = [one for one in found.tenant(grantor).catalogue().items.values() if one.granted_by is None]
        count = sum(grant.covers(one) for one in own)
    typer.echo(
        f"Grant {grant.grant_id}: {tenant} may use {_what(grant)} of {grantor}, {count:,} items now. "
        f"Next: python -m features materialize --tenant {tenant}, and python -m training refresh for it."
    )


@app.command("list")
def list_command(
    tenant: Annotated[str | None, typer.Option(help="Only grants from or to this tenant.")] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """List grants, also those that have ended."""
    with _store(store) as found:
        grants = found.grants().listed(tenant)
    if as_json:
        typer.echo(json.dumps([_as_json(grant) for grant in grants], indent=1, ensure_ascii=False))
    elif grants:
        _print_table(grants)
    else:
        typer.echo("There is no grant: make one with `grants add`.")


@app.command("revoke")
def revoke_command(grant_id: Annotated[int, typer.Argument(help="Its number in the list.")], store: StoreOption = None) -> None:
    """End a grant: from the next request on its items are shown to nobody there."""
    now = datetime.now(UTC)
    with _store(store) as found:
        try:
            grant = found.grants().revoke(grant_id, at=now)
        except UnknownGrantError as error:
            fail(f"{error}; `grants list` has all")
    when = "is revoked" if grant.until == now else f"had ended already, {_moment(grant.until)}"
    typer.echo(f"Grant {grant_id} ({_what(grant)} of {grant.grantor} to {grant.tenant}) {when}.")


@contextmanager
def _store(store: str | None) -> Iterator[EventStore]:
    """The store; what cannot be done ends the command in words."""
    url = Settings().store if store is None else store
    try:
        if not exists(url):
            fail(f"there is no store at {shown(url)}; name it with --store or NEXTWISE_STORE")
    except UrlError as error:
        fail(str(error), code=2)
    with opened(url) as found:
        try:
            yield found
        except ValueError as error:
            fail(str(error))


def _what(grant: Grant) -> str:
    if grant.items is not None:
        return ", ".join(sorted(grant.items))
    return "all items" if grant.provider is None else f"the items of {grant.provider}"


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _as_json(grant: Grant) -> dict[str, Any]:
    return {
        "grant_id": grant.grant_id,
        "from": grant.grantor,
        "to": grant.tenant,
        "provider": grant.provider,
        "items": None if grant.items is None else sorted(grant.items),
        "since": grant.since.isoformat(),
        "until": None if grant.until is None else grant.until.isoformat(),
    }


def _print_table(grants: Sequence[Grant]) -> None:
    """One line a grant, however long."""
    rows = [("grant", "from", "to", "since", "until", "what")]
    rows += [
        (str(one.grant_id), one.grantor, one.tenant, _moment(one.since), _moment(one.until) or "now", _what(one))
        for one in grants
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
