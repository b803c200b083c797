"""The champion's model with today's catalogue: same arrays, same vocabulary, another bundle.

A bundle carries the catalogue it obeys. Where the gate keeps the champion, what was retired, renamed or restricted since must
not wait for a better model. Items that are new to the catalogue come with the next model: this one cannot score them.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from features.catalogue import Catalogue
from features.proposals import usable
from training.bundle import Bundle, write_bundle
from training.promote import rolled_back
from training.tracking import CHALLENGER, CHAMPION, Registry, Version

SOURCE_RUN = "reissue.run"
"""Tag of a reissued version: the run that fitted and measured its model."""


def reissue(registry: Registry, champion: Version, bundle: Bundle, catalogue: Catalogue) -> Version | None:
    """Register the champion's model with `catalogue` and move the alias to it; None where it has that catalogue already.

    A bundle that a person rolled back is not made again.
    """
    if bundle.manifest.catalogue_digest == catalogue.digest:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        folder = _write(Path(scratch), bundle, catalogue)
        if folder.name in rolled_back(registry):
            return None
        tags = {name: value for name, value in champion.tags.items() if name.startswith(("gate.", "data."))}
        tags |= {SOURCE_RUN: source_run(champion), "reissue.of": champion.bundle, "model": champion.tags.get("model", "")}
        at = (bundle.manifest.provenance.data_until or datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
        with registry.run(f"reissue {bundle.manifest.tenant}") as run:
            role = champion.tags.get("role", CHALLENGER)
            found = run.register(folder, role=role, example=_example(bundle, at), at=at, tags=tags)
    registry.point(CHAMPION, found)
    return found


def source_run(version: Version) -> str:
    """The run that measured a version's model."""
    return version.tags.get(SOURCE_RUN) or version.run_id


def _write(parent: Path, bundle: Bundle, catalogue: Catalogue) -> Path:
    manifest = bundle.manifest
    return write_bundle(
        parent,
        tenant=manifest.tenant,
        model=bundle.model,
        vocabulary=bundle.vocabulary,
        catalogue=catalogue,
        audiences=manifest.audiences,
        population=bundle.population,
        proposals=usable(bundle.proposals, catalogue),
        provenance=manifest.provenance,
    )


def _example(bundle: Bundle, at: str) -> dict[str, object]:
    counts = bundle.population.get("popularity", np.zeros(len(bundle.vocabulary), dtype=np.float32))
    top = np.argsort(-counts, kind="stable")[:2]
    return {"learner_id": "example", "history": [bundle.vocabulary.ids[i] for i in top], "history_at": [at] * len(top)}
