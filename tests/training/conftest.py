"""A tiny organisation for the training tests: five items, and a bundle of plain counts over them."""

import shutil
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import nightly

from features.catalogue import Catalogue, Item
from features.interactions import Histories, Interactions
from features.vocabulary import Vocabulary
from training.bundle import Provenance, write_bundle
from training.fit import Table
from training.models.popularity import Popularity

ITEMS = ("excel", "outlook", "retired", "teams", "word")
"""Taken up by 4, 3, 2, 1 and 0 learners; `retired` left the catalogue's shelf at the end of 2025."""

WriteBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def tiny_bundle() -> WriteBundle:
    """`tiny_bundle(parent, tenant="acme", seed=0)` writes a bundle; another seed is another bundle."""
    return _write


def _write(parent: Path, *, tenant: str = "acme", seed: int = 0, retrain_by: date | None = None) -> Path:
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
        retrain_by=retrain_by,
    )


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an MLflow that holds nothing, to be copied: making one takes two seconds."""
    from training.tracking import Registry

    folder = tmp_path_factory.mktemp("mlflow")
    Registry("nobody", f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts").versions()
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def refreshed(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Path:
    """A site after its first refresh: copy it (`nightly.copy`), do not work in it."""
    from training.refresh import STEPS

    site = nightly.Site(tmp_path_factory.mktemp("first"))
    shutil.copyfile(empty_mlflow, site.folder / "mlflow.db")
    nightly.fill(site, nightly.walks())
    first = site.refresh()
    assert (first.ending, first.verdict) == ("published", "promoted")
    assert [step.name for step in first.steps] == [*STEPS[:-1]]
    return site.folder


@pytest.fixture(scope="session")
def club_table() -> Table:
    """60 learners in two clubs over 24 items: each walks its club's 12 items round in order from a random start, over a year.

    What comes next is plain to a model that looks at the history, and to no other. The first item of all, `i00`, is taken up
    by everybody at some time, so that popularity knows something too.
    """
    rng = np.random.default_rng(3)
    rows, times = [], []
    for learner in range(60):
        club, first, length = learner % 2, int(rng.integers(12)), int(rng.integers(4, 10))
        walk = [club * 12 + (first + step) % 12 for step in range(length)]
        rows.append(list(dict.fromkeys([*walk[: length // 2], 0, *walk[length // 2 :]])))
        days = np.sort(rng.choice(365, size=len(rows[-1]), replace=False))
        times.append([np.datetime64("2025-01-01T08:00:00", "us") + np.timedelta64(int(day), "D") for day in days])
    ids = tuple(f"i{number:02d}" for number in range(24))
    histories = Histories.of(rows, 24, at=times, audience=[learner % 2 for learner in range(60)])
    table = Interactions.of_histories(histories, n_audiences=2, until=np.datetime64("2026-01-01T00:00:00", "us"))
    items = {i: Item(id=i, title=f"Lesson {i}") for i in ids}
    return Table("clubs", Vocabulary(ids), table, ("even", "odd"), Catalogue(items, {}, {}))
