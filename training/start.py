"""Serving a new tenant before anything happened there: eligibility, role gaps and the catalogue's order, and no model.

Nothing is learned, so nothing is measured: there is no run, no gate and no version in MLflow. The first fit that is
promoted and published takes its place. Nothing of another tenant is read: what they did is theirs.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from features.events import Tenant
from training.bundle import Bundle, BundleError, Pointer, Provenance, load_bundle, write_bundle
from training.fit import DataError, Table
from training.models.catalogue_order import FittedCatalogueOrder


def start(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose catalogue.")],
    lake: Annotated[Path, typer.Option(help="Where `python -m features materialize` wrote.")] = Path("var/lake"),
    bundles: Annotated[Path, typer.Option("--bundles", help="Where published bundles lie.")] = Path("bundles"),
) -> None:
    """Serve a tenant without any interaction: what is eligible, what closes a role's gaps, the catalogue's order."""
    from training.inputs import read_table

    try:
        TypeAdapter(Tenant).validate_python(tenant)
    except ValidationError as error:
        raise typer.BadParameter("a tenant is a-z, 0-9 and -, at most 63 characters") from error
    try:
        table, timezone, _ = read_table(lake, tenant, lambda step: None)
        pointer = begin(table, bundles, timezone=timezone)
    except (BundleError, DataError) as error:
        Console(stderr=True).print(f"Error: {error}", style="red", highlight=False, soft_wrap=True, markup=False)
        raise typer.Exit(1) from error
    said = f"published {pointer.bundle}: {len(table.items)} items by catalogue order and role gaps; nothing to measure yet"
    Console().print(said, highlight=False, soft_wrap=True)


def begin(table: Table, bundles: Path, *, timezone: str | None = None) -> Pointer:
    """Publish the catalogue of a table without interactions; again when the catalogue has changed.

    Raises DataError where there is no item, or something to learn from; BundleError where a fitted model serves already.
    """
    from training.publish import current_pointer, publish

    _check(table)
    current = current_pointer(bundles, table.tenant)
    if current is not None:
        _only_catalogue(load_bundle(bundles / table.tenant / current.bundle))
    with tempfile.TemporaryDirectory() as scratch:
        return publish(_write(table, Path(scratch), timezone), bundles, table.tenant)


def _check(table: Table) -> None:
    if not len(table.items):
        raise DataError("the catalogue has no item: ingest items.jsonl and materialize, then start again")
    if taken := len(table.interactions.items):
        raise DataError(f"{taken} interactions to learn from: run `python -m training fit --tenant {table.tenant}` instead")


def _only_catalogue(bundle: Bundle) -> None:
    if bundle.model.kind != FittedCatalogueOrder.kind:
        raise BundleError(f"{bundle.name} serves already, a {bundle.model.kind} model: start is for a tenant without one")


def _write(table: Table, parent: Path, timezone: str | None) -> Path:
    return write_bundle(
        parent,
        tenant=table.tenant,
        model=FittedCatalogueOrder.of(table.catalogue, table.items),
        vocabulary=table.items,
        catalogue=table.catalogue,
        audiences=table.audiences,
        roles=table.roles,
        org_units=table.org_units,
        population={"popularity": np.zeros(len(table.items), dtype=np.float32)},
        proposals=table.proposals,
        provenance=Provenance(
            recipe={"serves": "catalogue"}, data_digest=table.interactions.digest(), split_digest="", timezone=timezone
        ),
    )
