"""The command `refresh`: what each step says, one summary, and an exit code that a scheduler can act on."""

import errno
import json
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from features.events import Tenant
from features.terminal import DEFAULT_STORE, StoreOption

if TYPE_CHECKING:
    from training.refresh import Options, Places, Step, Summary


class Exit(IntEnum):
    """Exit codes; those from 64 on are named as in sysexits.h. The champion serves on whichever it is."""

    DONE = 0
    BAD_DATA = 1
    USAGE = 2
    DRIFT = 3
    UNAVAILABLE = 69
    SOFTWARE = 70
    IOERR = 74
    TEMPFAIL = 75


_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}
_DISK_WORDS = (
    "No space left",
    "disk is full",
    "disk I/O error",
    "File too large",
    "could not extend file",
    "readonly database",
    "unable to open database file",
)
_DOWN = (
    "OperationalError",
    "InterfaceError",
    "ConnectionError",
    "ConnectTimeout",
    "MaxRetryError",
    "TimeoutError",
    "ReadTimeout",
)
_WRONG = ("is not a database URL", "no store on", "needs its driver")
_BAD = ("DataError", "ConfigError", "BundleError", "TrackingError", "TextModelError", "SparkError", "DeviceError")


def _tenant(value: str) -> str:
    try:
        return str(TypeAdapter(Tenant).validate_python(value))
    except ValidationError as error:
        raise typer.BadParameter("a tenant is a-z, 0-9 and -, at most 63 characters") from error


def refresh(
    tenant: Annotated[str, typer.Option("--tenant", callback=_tenant, help="Whose data, runs and bundles.")],
    store: StoreOption = DEFAULT_STORE,
    lake: Annotated[Path, typer.Option(help="Folder of the lake.")] = Path("var/lake"),
    config: Annotated[Path, typer.Option(help="The recipe, a TOML file.")] = Path("training/configs/default.toml"),
    tracking: Annotated[str, typer.Option(help="MLflow's store, a database or server URI.")] = "sqlite:///var/mlflow.db",
    artifacts: Annotated[Path, typer.Option(help="Where MLflow keeps files of a new experiment.")] = Path("var/mlartifacts"),
    bundles: Annotated[Path, typer.Option(help="Where published bundles lie.")] = Path("bundles"),
    journal: Annotated[Path, typer.Option(help="Where hints and reports of refreshes lie.")] = Path("var/refresh"),
    max_age: Annotated[float, typer.Option(min=0, help="Fit after so many days, though nothing is new.")] = 30,
    keep: Annotated[int, typer.Option(min=2, help="How many bundles stay published.")] = 10,
    force: Annotated[bool, typer.Option("--force", help="Fit though nothing is new.")] = False,
    stop_on_drift: Annotated[bool, typer.Option("--stop-on-drift", help="Exit 3 before the gate when data drifted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON summary; progress goes to standard error.")] = False,
) -> None:
    """Bring what serves up to date: materialize, check, fit, evaluate, drift, gate, publish. Safe to kill and to repeat."""
    try:
        from training.refresh import Options, Places

        places = Places(tenant, store, lake, config, tracking, artifacts, bundles, journal)
        options = Options(force=force, max_age_days=max_age, stop_on_drift=stop_on_drift, keep=keep)
        found = _watched(places, options, as_json)
    except Exception as error:
        code = exit_code(error)
        if code is Exit.SOFTWARE:
            traceback.print_exc()
        _complain(error, code)
        raise typer.Exit(code) from error
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
    else:
        _print(found)
    raise typer.Exit(Exit.DRIFT if found.ending == "stopped by drift" else Exit.DONE)


def exit_code(error: BaseException) -> Exit:
    """What kind of failure this is, judged by the error and by those it came from."""
    chain = list(_causes(error))
    names = {kind.__name__ for one in chain for kind in type(one).__mro__}
    said = " ".join(str(one) for one in chain)
    if "LockedError" in names:
        return Exit.TEMPFAIL
    if any(isinstance(one, OSError) and one.errno in _DISK for one in chain) or any(word in said for word in _DISK_WORDS):
        return Exit.IOERR
    if names & set(_DOWN) or "failed with exception" in said:
        return Exit.UNAVAILABLE
    if names & set(_BAD):
        return Exit.BAD_DATA
    if "SchemaError" in names or any(words in said for words in _WRONG):
        return Exit.USAGE
    return Exit.SOFTWARE


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


_WORDS = {
    Exit.BAD_DATA: "nothing was published",
    Exit.USAGE: "nothing was published",
    Exit.UNAVAILABLE: "a store or MLflow did not answer; nothing was published, run again when it does",
    Exit.SOFTWARE: "an error of the program; nothing was published",
    Exit.IOERR: "the disk is full, failing or not writable; nothing was published, make room or give access and run again",
    Exit.TEMPFAIL: "nothing was done",
}


def _complain(error: Exception, code: Exit) -> None:
    text = f"Error: {error}\n{_WORDS[code]} (exit code {int(code)}); what served before serves on"
    Console(stderr=True).print(text, style="red", highlight=False, soft_wrap=True, markup=False)


def _watched(places: "Places", options: "Options", as_json: bool) -> "Summary":
    from training.refresh import refresh as run

    console = Console(stderr=True) if as_json else Console()
    if not console.is_terminal:
        return run(places, options, _Lines(as_json))
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        return run(places, options, _Bar(bar))


class _Lines:
    """One plain line a step, for a log file."""

    def __init__(self, to_stderr: bool) -> None:
        self._to_stderr = to_stderr

    def begin(self, step: str) -> None:
        typer.echo(f"{step} ...", err=self._to_stderr)

    def detail(self, words: str) -> None:
        return

    def end(self, step: "Step") -> None:
        typer.echo(_line(step), err=self._to_stderr)


class _Bar:
    """What happens now on a moving line, and what is done above it."""

    def __init__(self, bar: Progress) -> None:
        self._bar, self._task, self._step = bar, bar.add_task("start", total=None), ""

    def begin(self, step: str) -> None:
        self._step = step
        self._bar.update(self._task, description=step)

    def detail(self, words: str) -> None:
        self._bar.update(self._task, description=f"{self._step}: {escape(words)}")

    def end(self, step: "Step") -> None:
        self._bar.console.print(escape(_line(step)), highlight=False, soft_wrap=True)


def _line(step: "Step") -> str:
    return f"{step.name:<12} {step.seconds:6.1f} s  {step.words}"


def _print(found: "Summary") -> None:
    for one in (found.drift or {}).get("findings", ()):
        if one["drifted"]:
            typer.echo(f"drift: {one['group']}, {one['name']}: {one['words']}")
    if found.removed:
        typer.echo(f"{len(found.removed)} old bundles removed")
    typer.echo(f"{found.ending}: {found.tenant} serves {found.bundle or 'nothing'}, in {found.seconds:.1f} s")
