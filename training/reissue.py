"""The champion's model with today's catalogue and proposals for it: same arrays, same vocabulary, another bundle.

A bundle carries the catalogue it obeys. Where the gate keeps the champion, what was retired, renamed or restricted since must
not wait for a better model. Items that are new to the catalogue come with the next model: this one cannot score them.
"""

import tempfile
from pathlib import Path

from features.catalogue import Catalogue
from features.proposals import Proposals, to_json
from training.adopt import register
from training.bundle import Bundle, write_bundle
from training.promote import rolled_back
from training.tracking import CHALLENGER, CHAMPION, Registry, Version

SOURCE_RUN = "reissue.run"
"""Tag of a reissued version: the run that fitted and measured its model."""


def reissue(
    registry: Registry, champion: Version, bundle: Bundle, catalogue: Catalogue, proposals: Proposals
) -> Version | None:
    """Register the champion's model with `catalogue` and `proposals`, and move the alias to it; None where it has both.

    A bundle that a person rolled back is not made again.
    """
    if bundle.manifest.catalogue_digest == catalogue.digest and to_json(bundle.proposals) == to_json(proposals):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        folder = _write(Path(scratch), bundle, catalogue, proposals)
        if folder.name in rolled_back(registry):
            return None
        tags = {name: value for name, value in champion.tags.items() if name.startswith(("gate.", "data."))}
        tags |= {SOURCE_RUN: source_run(champion), "reissue.of": champion.bundle, "model": champion.tags.get("model", "")}
        role = champion.tags.get("role", CHALLENGER)
        found = register(registry, folder, bundle, what="reissue", tags=tags, role=role)
    registry.point(CHAMPION, found)
    return found


def source_run(version: Version) -> str:
    """The run that measured a version's model."""
    return version.tags.get(SOURCE_RUN) or version.run_id


def _write(parent: Path, bundle: Bundle, catalogue: Catalogue, proposals: Proposals) -> Path:
    manifest = bundle.manifest
    return write_bundle(
        parent,
        tenant=manifest.tenant,
        model=bundle.model,
        vocabulary=bundle.vocabulary,
        catalogue=catalogue,
        audiences=manifest.audiences,
        roles=manifest.roles,
        org_units=manifest.org_units,
        population=bundle.population,
        calibration=bundle.calibration,
        proposals=proposals,
        provenance=manifest.provenance,
    )
