"""Proposals: the skills that a text model thinks an item teaches, with a confidence. Derived data, never the catalogue.

They lie in the lake until a person accepts them into the catalogue, and travel in the bundle, so that evidence through a
proposed skill counts for less than through a given one.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from features.catalogue import Catalogue, Level
from features.events import Id


class Proposal(BaseModel):
    """One skill of one item: the level it would give (0-5) and how likely it is that the item teaches the skill (0..1)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    level: Level
    confidence: Annotated[float, Field(gt=0, le=1)]


Proposals = Mapping[str, Mapping[str, Proposal]]
"""Item id -> skill id -> proposal, for items that have no skills in the catalogue."""

_FILE: TypeAdapter[dict[Id, dict[Id, Proposal]]] = TypeAdapter(dict[Id, dict[Id, Proposal]])


def usable(proposals: Proposals, catalogue: Catalogue) -> dict[str, dict[str, Proposal]]:
    """Those for items of the catalogue that still name no skills, and for skills that it knows, in order of id."""
    found = {
        item: {skill: own[skill] for skill in sorted(own) if skill in catalogue.skills}
        for item, own in sorted(proposals.items())
        if item in catalogue.items and not catalogue.items[item].skills
    }
    return {item: own for item, own in found.items() if own}


def to_json(proposals: Proposals) -> str:
    """One JSON document; equal proposals give equal bytes."""
    body = {item: {skill: one.model_dump() for skill, one in own.items()} for item, own in proposals.items()}
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str | bytes) -> dict[str, dict[str, Proposal]]:
    """The proposals of a document. Raises ValueError naming the first thing that is none."""
    try:
        return _FILE.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise ValueError(f"{where}: {first['msg']}") from None


def proposals_file(lake: Path, tenant: str) -> Path:
    """Where a tenant's proposals lie in the lake."""
    return lake / "proposals" / f"tenant={tenant}" / "proposals.json"


def write_proposals(lake: Path, tenant: str, proposals: Proposals) -> Path:
    """Replace a tenant's proposals in the lake; a reader never meets half a file."""
    path = proposals_file(lake, tenant)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{os.getpid()}-{path.name}")
    staging.write_text(to_json(proposals) + "\n", encoding="utf-8")
    staging.replace(path)
    return path


def read_proposals(lake: Path, tenant: str, catalogue: Catalogue) -> dict[str, dict[str, Proposal]]:
    """What of a tenant's proposals is `usable` with this catalogue; empty where none were made. ValueError: not readable."""
    path = proposals_file(lake, tenant)
    if not path.is_file():
        return {}
    try:
        return usable(from_json(path.read_bytes()), catalogue)
    except ValueError as error:
        raise ValueError(f"{path} is not readable ({error}); run `python -m features propose --tenant {tenant}`") from None
