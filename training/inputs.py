"""What a fit starts from, read from the lake: the training table, its time zone, and what is known of its items."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache as memoised
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import lake as lakes
from features.proposals import read_proposals
from features.side import SideInformation
from training.fit import DataError, Table
from training.parts import Sides

Step = Callable[[str], None]
THREADS = 2
"""Of linear algebra: more share badly with other work, and the models are small."""


def read_table(lake: Path, tenant: str, step: Step) -> tuple[Table, str | None, Sides]:
    """A tenant's training table, the time zone its times were given in, and what is known of its items.

    Raises DataError where the lake is missing, empty or another tenant's.
    """
    try:
        manifest = lakes.manifest(lake, tenant)
        _, items, interactions, groups = lakes.interactions(lake, tenant)
        catalogue = lakes.catalogue(lake, tenant)
        proposals = read_proposals(lake, tenant, catalogue)
    except (ValueError, OSError) as error:
        raise DataError(str(error)) from error
    named: dict[str, Any] = {"roles": groups.roles, "org_units": groups.org_units, "read_at": _read_at(manifest)}
    table = Table(tenant, items, interactions, groups.audiences, catalogue, proposals, **named)
    return table, _timezone(manifest), _sides(table, lake / "vectors" / tenant, step)


def _timezone(manifest: Mapping[str, Any]) -> str | None:
    """The zones that imports of zone-less times were read in, None where every time had its own."""
    zones = {str(facts["timezone"]) for facts in manifest.get("imports", ()) if facts.get("timezone")}
    return ", ".join(sorted(zones)) or None


def _read_at(manifest: Mapping[str, Any]) -> datetime | None:
    """When the lake was made from the store; a lake of before that was written down does not say."""
    return datetime.fromisoformat(manifest["read_at"]) if "read_at" in manifest else None


def _sides(table: Table, cache: Path, step: Step) -> Sides:
    """Each encoder runs once, and not at all before a recipe asks for it."""

    @memoised
    def side(encoder: str | None) -> SideInformation:
        text = None if encoder is None else _encode(table, encoder, cache, step)
        return SideInformation.of_catalogue(table.catalogue, table.items, text=text, roles=table.roles)

    return side


def _encode(table: Table, encoder: str, cache: Path, step: Step) -> NDArray[np.float32]:
    from features.text import encode, item_text

    texts = [item_text(table.catalogue.items[item], table.catalogue.skills) for item in table.items.ids]
    say = lambda done, total: step(f"encode texts, {done:,} of {total:,}")  # noqa: E731
    return encode(texts, model=encoder, cache=cache, threads=THREADS, progress=say)
