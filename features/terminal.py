"""What the commands of this room share: options, the opened store, progress on the terminal, and how they fail."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, NoReturn

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import DBAPIError, OperationalError

from features.store import EventStore, TenantSession
from features.store.opening import UrlError, shown


def tenant_name(value: str) -> str:
    """The name, where it may be one of a tenant; else it ends the command."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", value):
        raise typer.BadParameter(f"{value!r} is not a tenant: lower-case letters, digits and hyphens, at most 63")
    return value


TenantOption = Annotated[
    str, typer.Option("--tenant", callback=tenant_name, help="Whose data: lower-case letters, digits, hyphens.")
]
StoreOption = Annotated[
    str,
    typer.Option(
        "--store", envvar="NEXTWISE_STORE", show_envvar=False, help="Database URL of the event store; else NEXTWISE_STORE."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DEFAULT_STORE: Final = "sqlite:///var/events.db"


def fail(message: str, *, code: int = 1) -> NoReturn:
    """Says what is wrong and ends the command: 1 for bad data, 2 for wrong usage."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def opened(store: str) -> Iterator[EventStore]:
    """The store at a URL, closed afterwards; one that cannot be used ends the command."""
    try:
        found = EventStore.open(store)
    except (ValueError, ImportError, OSError, DBAPIError) as error:
        later = isinstance(error, OperationalError) and store.startswith("postgresql")  # a server may be up again
        fail(f"the store {shown(store)} cannot be opened: {getattr(error, 'orig', error)}", code=1 if later else 2)
    try:
        yield found
    except DBAPIError as error:
        fail(f"the store {shown(store)} cannot be used: {error.orig}")
    finally:
        found.close()


def is_there(store: str) -> bool:
    """Whether there may be a store at a URL: a file is looked for and not made, a server is taken at its word."""
    try:
        url = sa.make_url(store)
    except (ValueError, sa.exc.ArgumentError):
        return True  # opening it will say what is wrong
    return not url.drivername.startswith("sqlite") or not url.database or Path(url.database).is_file()


@contextmanager
def session(store: str, tenant: str) -> Iterator[TenantSession]:
    """The tenant's session of the store at a URL, as `opened` has it."""
    with opened(store) as found:
        yield found.tenant(tenant)


@contextmanager
def usable(store: str) -> Iterator[None]:
    """What cannot be done with the store at a URL ends the command in words."""
    try:
        yield
    except (UrlError, ImportError) as error:
        fail(str(error), code=2)
    except (ValueError, OSError) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"the store {shown(store)} cannot be used: {error.orig}")


@contextmanager
def plainly() -> Iterator[None]:
    """What cannot be read or done ends the command in words, without a trace."""
    try:
        yield
    except (ValueError, OSError) as error:
        fail(str(error))


@contextmanager
def progress(title: str) -> Iterator[Callable[[int], None]]:
    """Shows that work goes on; the function given is called with the number of rows just done."""
    parts = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=None)
        yield lambda rows: shown.advance(task, rows)
