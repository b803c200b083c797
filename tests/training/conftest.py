"""A tiny organisation for the training tests: five items, and a bundle of plain counts over them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.catalogue import Catalogue, Item
from features.interactions import Histories, Interactions
from features.vocabulary import Vocabulary
from training.bundle import Provenance, write_bundle
from training.models.popularity import Popularity

ITEMS = ("excel", "outlook", "retired", "teams", "word")
"""Taken up by 4, 3, 2, 1 and 0 learners; `retired` left the catalogue's shelf at the end of 2025."""

WriteBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def tiny_bundle() -> WriteBundle:
    """`tiny_bundle(parent, tenant="acme", seed=0)` writes a bundle; another seed is another bundle."""
    return _write


def _write(parent: Path, *, tenant: str = "acme", seed: int = 0) -> Path:
    table = Interactions.of_histories(Histories.of([[0, 1, 2, 3], [0, 1, 2], [0, 1], [0]], len(ITEMS)))
    until = {"retired": "2025-12-31T00:00:00Z"}
    items = {i: Item.model_validate({"id": i, "title": i.title(), "available_until": until.get(i)}) for i in ITEMS}
    return write_bundle(
        parent,
        tenant=tenant,
        model=Popularity().fit(table, rng=np.random.default_rng(seed)),
        vocabulary=Vocabulary(ITEMS),
        catalogue=Catalogue(items=items, skills={}, roles={}),
        audiences=(),
        population={"popularity": table.item_counts().astype(np.float32)},
        provenance=Provenance(recipe={"seed": seed}, data_digest=table.digest(), split_digest=""),
    )
