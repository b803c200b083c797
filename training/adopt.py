"""A bundle as a registered version without a fit: what a catalogue renews, and what serves though MLflow lost it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from training.bundle import Bundle, load_bundle
from training.tracking import CHALLENGER, CHAMPION, Registry, Version

ADOPTED = "adopted from the published copy"


def adopt(registry: Registry, folder: Path) -> Version:
    """Register a published bundle that no version holds, and move the alias `champion` to it: what serves is the champion.

    MLflow was deleted, restored or is another one; by this the next fit is compared with what serves. Raises BundleError.
    """
    bundle = load_bundle(folder)
    serves = str(bundle.manifest.provenance.recipe.get("serves", bundle.model.kind))
    found = register(registry, folder, bundle, what="adopt", tags={"gate.reason": ADOPTED, "model": serves})
    registry.point(CHAMPION, found)
    return found


def register(
    registry: Registry, folder: Path, bundle: Bundle, *, what: str, tags: Mapping[str, str], role: str = CHALLENGER
) -> Version:
    """Register a bundle in a run of its own, `what` and the tenant its name."""
    at = (bundle.manifest.provenance.data_until or datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    with registry.run(f"{what} {bundle.manifest.tenant}") as run:
        return run.register(folder, role=role, example=_example(bundle, at), at=at, tags=tags)


def _example(bundle: Bundle, at: str) -> dict[str, Any]:
    counts = bundle.population.get("popularity", np.zeros(len(bundle.vocabulary), dtype=np.float32))
    top = np.argsort(-counts, kind="stable")[:2]
    return {"learner_id": "example", "history": [bundle.vocabulary.ids[i] for i in top], "history_at": [at] * len(top)}
