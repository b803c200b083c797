"""`python -m serving keys add | list | rotate | revoke`: who may call the service, and what for."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from features.keys import Key, NewKey, Scope, looks_like_a_key
from features.migrate import exists
from features.store import KeyRows, UnknownKeyError
from features.store.opening import UrlError, shown
from features.terminal import JsonOption, TenantOption, fail, opened
from serving.looked import TTL_S
from serving.settings import Settings

app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True, add_completion=False)

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST: Final = timedelta(days=36_500)
_SCOPES: Final = ", ".join(Scope)


def _key_id(value: str) -> str:
    """The id, also of a whole key: one that leaked is best closed by what is at hand."""
    return value.split("_")[1] if looks_like_a_key(value) else value


StoreOption = Annotated[str | None, typer.Option("--store", help="Database URL of the event store; else NEXTWISE_STORE.")]
KeyIdArgument = Annotated[
    str, typer.Argument(callback=_key_id, help="The 8 characters after `nw_`, as `keys list` has them; or the whole key.")
]


@app.command("add")
def add_command(
    tenant: TenantOption,
    name: Annotated[str, typer.Option(help="Who gets it, such as the name of the LMS.")],
    scope: Annotated[list[str], typer.Option(help=f"What it is for, once for each: {_SCOPES} (admin is all).")],
    expires: Annotated[str | None, typer.Option(help="How long it lives, such as 90d; else without an end.")] = None,
    compat: Annotated[bool, typer.Option("--compat", help="Repair what known LMSs get wrong in xAPI statements.")] = False,
    store: StoreOption = None,
) -> None:
    """Make a key. It is printed once, alone on standard output, and cannot be shown again."""
    now, scopes = datetime.now(UTC), _scopes(scope)
    ends = None if expires is None else now + _duration(expires, "--expires", least=timedelta(seconds=1))
    with _keys(store, must_exist=False) as keys:
        made = keys.add(tenant, name, scopes, at=now, compat=compat, expires_at=ends)
    _say_new(made, f"Key {made.key.key_id} opens {_what(made.key)}")


@app.command("list")
def list_command(
    tenant: Annotated[str | None, typer.Option(help="Only the keys of this tenant.")] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """List keys: ids, what they open, and whether they still do. Never the keys themselves."""
    now = datetime.now(UTC)
    with _keys(store) as keys:
        found = keys.listed(tenant)
    if as_json:
        typer.echo(json.dumps([_as_json(key, now) for key in found], indent=1, ensure_ascii=False))
    elif found:
        _print_table(found, now)
    else:
        typer.echo(f"There is no key{'' if tenant is None else f' of tenant {tenant}'}: make one with `keys add`.")


@app.command("rotate")
def rotate_command(
    key_id: KeyIdArgument,
    grace: Annotated[str, typer.Option(help="How long the old key still opens.")] = "24h",
    store: StoreOption = None,
) -> None:
    """Make a new key like an old one, which goes on opening for a while. Printed once, alone on standard output."""
    now, length = datetime.now(UTC), _duration(grace, "--grace", least=timedelta(0))
    with _keys(store) as keys:
        made = keys.rotate(key_id, at=now, grace=length)
        old = next(key for key in keys.listed(made.key.tenant) if key.key_id == key_id)
    ends = _moment(old.expires_at)
    _say_new(made, f"Key {made.key.key_id} takes over from {key_id}, which ends {ends}; it opens {_what(made.key)}")


@app.command("revoke")
def revoke_command(key_id: KeyIdArgument, store: StoreOption = None) -> None:
    """Close a key for good. Running services refuse it some seconds later."""
    now = datetime.now(UTC)
    with _keys(store) as keys:
        key = keys.revoke(key_id, at=now)
    again = f"was revoked already, {_moment(key.revoked_at)}" if key.revoked_at != now else "is revoked"
    typer.echo(f"Key {key_id} of tenant {key.tenant} ({key.name}) {again}: services that run refuse it within {TTL_S:g} s.")


@contextmanager
def _keys(store: str | None, *, must_exist: bool = True) -> Iterator[KeyRows]:
    """The keys of a store; what cannot be done ends the command in words."""
    url = Settings().store if store is None else store
    try:
        if must_exist and not exists(url):
            fail(f"there is no store at {shown(url)}; name it with --store or NEXTWISE_STORE")
    except UrlError as error:
        fail(str(error), code=2)
    with opened(url) as found:
        try:
            yield found.keys()
        except UnknownKeyError as error:
            fail(f"{error} in {shown(url)}; `keys list` has all ids")
        except ValueError as error:
            fail(str(error))


def _scopes(names: Sequence[str]) -> frozenset[Scope]:
    unknown = sorted(set(names) - set(Scope))
    if unknown:
        fail(f"--scope: no scope is called {', '.join(map(repr, unknown))}; there are {_SCOPES}")
    return frozenset(map(Scope, names))


def _duration(text: str, option: str, *, least: timedelta) -> timedelta:
    """`90d`, `24h`, `15m`, `30s` or `2w`, of at most a hundred years."""
    found = re.fullmatch(r"([0-9]{1,8})([smhdw])", text)
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if length is None or not least <= length <= _LONGEST:
        fail(f"{option}: {text!r} is no length of time; write a number and s, m, h, d or w, such as 24h or 90d")
    return length


def _say_new(made: NewKey, what: str) -> None:
    typer.echo(f"{what}. Keep it now, it cannot be shown again:", err=True)
    typer.echo(made.text)


def _what(key: Key) -> str:
    repairs = ", with repairs" if key.compat else ""
    return f"tenant {key.tenant} for {', '.join(sorted(key.scopes))}{repairs}, {_end(key)}"


def _end(key: Key) -> str:
    return "without an end" if key.expires_at is None else f"until {_moment(key.expires_at)}"


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _state(key: Key, now: datetime) -> str:
    return "revoked" if key.revoked_at is not None else "expired" if key.expired_at(now) else "open"


def _as_json(key: Key, now: datetime) -> dict[str, Any]:
    moments = {"created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
    return {
        "key_id": key.key_id,
        "tenant": key.tenant,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "compat": key.compat,
        "state": _state(key, now),
        **{name: None if at is None else at.isoformat() for name, at in moments.items()},
    }


def _print_table(keys: Sequence[Key], now: datetime) -> None:
    """One line a key, however long."""
    rows = [("key", "tenant", "scopes", "state", "made", "ends", "name")]
    for key in keys:
        scopes = " ".join(sorted(key.scopes)) + (" +compat" if key.compat else "")
        ends = _moment(key.revoked_at or key.expires_at) or "never"
        rows.append((key.key_id, key.tenant, scopes, _state(key, now), f"{key.created_at:%Y-%m-%d}", ends, key.name))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
