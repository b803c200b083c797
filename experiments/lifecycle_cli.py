"""Commands that start, stop and change the experiments which the service follows."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from experiments.assignment.phases import Phase, Record
from experiments.design import Design, load_design
from experiments.design_cli import (
    DEFAULT_FOLDER,
    DEFAULT_LAKE,
    AnywayOption,
    FolderOption,
    Kept,
    LakeOption,
    PolicyOption,
    judge,
    past_of,
    traffic_of,
)
from experiments.lifecycle import readable, reallocate, same, start, stop
from experiments.plan import plan
from features.store.opening import shown, sqlite_file
from features.terminal import DEFAULT_STORE, JsonOption, StoreOption, TenantOption, fail, opened, plainly

_Bundles = Annotated[
    Path, typer.Option(envvar="NEXTWISE_BUNDLES", show_envvar=False, help="Published bundles; else NEXTWISE_BUNDLES.")
]
_Name = Annotated[str, typer.Argument(help="Name of the experiment.")]


def start_command(
    design: Annotated[Path, typer.Argument(help="The design, a TOML file.")],
    tenant: TenantOption,
    folder: FolderOption = DEFAULT_FOLDER,
    bundles: _Bundles = Path("bundles"),
    store: StoreOption = DEFAULT_STORE,
    lake: LakeOption = DEFAULT_LAKE,
    policy: PolicyOption = None,
    anyway: AnywayOption = False,
    new_phase: Annotated[bool, typer.Option(help="End what runs of it under another design, and go on with this one.")] = False,
    unknown_tenant: Annotated[bool, typer.Option(help="Begin for a tenant that has neither bundle nor rows, yet.")] = False,
) -> None:
    """Freeze a design and begin: running services follow within a second.

    Refused where this tenant's own past and traffic say that the minimum effect cannot be found within the horizon; where
    nothing is known yet, that is said.
    """
    with plainly():
        read = load_design(design)
        if not unknown_tenant:
            _check_tenant(tenant, bundles, store)
        _check_variants(read, tenant, bundles)
        if not same(folder, tenant, read):
            _check_power(read, Kept(tenant, store, lake, policy, folder), anyway=anyway)
        begun = start(folder, tenant, read, at=datetime.now(UTC), new_phase=new_phase)
    words = "Started" if begun.new else "Nothing to do, this runs already:"
    typer.echo(f"{words} {read.name}, phase {len(begun.record.phases)}, design {read.digest}.")
    for reason in _unread(read):
        typer.echo(f"`report` cannot read this design: {reason}. What is measured elsewhere is read with `analyze`.", err=True)


def stop_command(name: _Name, tenant: TenantOption, folder: FolderOption = DEFAULT_FOLDER) -> None:
    """End an experiment: from the next request on nobody is in it."""
    with plainly():
        record = stop(folder, tenant, name, at=datetime.now(UTC))
    typer.echo(f"Stopped {name} after {_days(record.phases[-1]):.1f} days in phase {len(record.phases)}.")


def reallocate_command(
    name: _Name,
    tenant: TenantOption,
    arms: Annotated[str | None, typer.Option(help="Shares as arm=share, comma separated; 0 pauses an arm.")] = None,
    traffic: Annotated[float | None, typer.Option(help="The share of all units that takes part.")] = None,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Go on with other shares, as a new phase; as few units as possible change their arm."""
    with plainly():
        record = reallocate(
            folder,
            tenant,
            name,
            at=datetime.now(UTC),
            allocation=None if arms is None else shares_of(arms),
            traffic=traffic,
        )
    shares = ", ".join(f"{arm} {share:g}" for arm, share in record.phases[-1].design.allocation.items())
    typer.echo(f"{name} is in phase {len(record.phases)}: {shares}, of {record.phases[-1].design.traffic:g} of the units.")


def list_command(tenant: TenantOption, folder: FolderOption = DEFAULT_FOLDER, as_json: JsonOption = False) -> None:
    """List the experiments of a tenant: what runs, since when, with which shares.

    Exit code 1 where a record cannot be followed, after the others.
    """
    records, faults = readable(folder, tenant)
    table = Table("experiment", "state", "phase", "started", "days", "arms", "traffic", "design")
    for record in records:
        table.add_row(*_row(record))
    if as_json:
        typer.echo("[" + ", ".join(record.model_dump_json(exclude_defaults=True) for record in records) + "]")
    elif records or not faults:
        Console().print(table if records else f"No experiment of {tenant} is recorded in {folder}.")
    if faults:
        fail("\n".join(faults))


def shares_of(text: str) -> dict[str, float]:
    """The shares of `arm=share,arm=share`. Raises ValueError."""
    try:
        return {arm.strip(): float(share) for arm, share in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise ValueError(f"{text}: {error}; write for example control=0.5,treatment=0.5") from None


def _row(record: Record) -> tuple[str, ...]:
    phase = record.phases[-1]
    return (
        record.name,
        "runs" if phase.stopped_at is None else "stopped",
        str(len(record.phases)),
        f"{phase.started_at:%Y-%m-%d %H:%M}",
        f"{_days(phase):.1f} of {phase.design.horizon_days}",
        ", ".join(f"{arm} {share:g}" for arm, share in phase.design.allocation.items()),
        f"{phase.design.traffic:g}",
        phase.digest,
    )


def _days(phase: Phase) -> float:
    return ((phase.stopped_at or datetime.now(UTC)) - phase.started_at).total_seconds() / 86_400


def _check_tenant(tenant: str, bundles: Path, store: str) -> None:
    """Raises ValueError for one that no service can rank for: mostly a name that was mistyped."""
    if (bundles / tenant).is_dir():
        return
    file = sqlite_file(store)
    if file is None or file.exists():  # a look must not make a store
        with opened(store) as found:
            if tenant in found.tenants():
                return
    raise ValueError(
        f"tenant {tenant} has no bundle in {bundles} and nothing in the store {shown(store)}: nobody would be in this"
        " experiment. Correct --tenant, --bundles or --store, or say --unknown-tenant"
    )


def _check_power(design: Design, kept: Kept, *, anyway: bool) -> None:
    """Ends the command where it would be in vain, as `design` says."""
    found = plan(design, past_of(design, kept), traffic_of(design, kept))
    if found.primary is None:
        typer.echo(f"Power is not checked: {design.primary.metric}: {found.unknown[design.primary.metric]}.", err=True)
    elif found.there is None:
        typer.echo("Power is not checked: there is no traffic yet, and no planned_units.", err=True)
    elif found.primary.units is None:
        typer.echo("Power is not checked: no minimum_effect is registered that could be found.", err=True)
    judge(found, anyway=anyway)


def _unread(design: Design) -> list[str]:
    """Why a report would be refused, which is told now and not when the experiment is over."""
    from experiments.metrics.catalogue import METRICS  # only here: ibis is slow to import
    from experiments.metrics.exposures import SEGMENTS
    from experiments.outcomes.measures import metrics_of

    metrics = [
        f"metric {name!r} is not defined; there are {', '.join(METRICS)}"
        for name in sorted(metrics_of(design))
        if name not in METRICS
    ]
    return metrics + [
        f"segment {name!r} is not known of learners; there are {', '.join(SEGMENTS)}"
        for name in design.segments
        if name not in SEGMENTS
    ]


def _check_variants(design: Design, tenant: str, bundles: Path) -> None:
    """Raises ValueError where the service could not give an arm what the design says."""
    from experiments.preview import check_policies  # only here: it needs what serves

    check_policies(design)
    for arm, variant in design.variants.items():
        place = bundles / tenant / (variant.bundle or "")
        if variant.bundle is not None and not (place / "manifest.json").is_file():
            raise ValueError(f"field variants.{arm}.bundle: {place} holds no bundle; publish it, or name one that is there")
