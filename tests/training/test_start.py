"""A tenant without an event is served from its catalogue, and no event of another tenant ever changes what it gets."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from features import lake
from features.catalogue import Catalogue, Item, Learner, Role
from features.events import Event, Verb
from features.interactions import Histories, Interactions
from features.store import EventStore
from features.vocabulary import Vocabulary
from training.bundle import BundleError, load_bundle, read_pointer
from training.cli import app
from training.fit import DataError, Table
from training.inputs import read_table
from training.models.catalogue_order import FittedCatalogueOrder
from training.models.segments import Segments
from training.start import begin

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ITEMS = (Item(id="a", title="A"), Item(id="b", title="B", position=2), Item(id="c", title="C", position=1, skills={"sql": 2}))
ROLE = Role(id="analyst", name="Analyst", expects={"sql": 2})


def table(rows: list[list[int]] | None = None, items: tuple[Item, ...] = ITEMS) -> Table:
    ids = tuple(item.id for item in items)
    taken = Interactions.of_histories(Histories.of(rows or [], len(ids)))
    return Table("fresh", Vocabulary(ids), taken, (), Catalogue({i.id: i for i in items}, {}, {ROLE.id: ROLE}))


def test_a_catalogue_is_ordered_by_position_then_by_id() -> None:
    ids = Vocabulary(("a", "b", "c", "d"))
    fitted = FittedCatalogueOrder.of(table().catalogue, ids)
    assert np.argsort(-fitted.score(Histories.of([[]], 4))[0]).tolist() == [2, 1, 0, 3]
    assert FittedCatalogueOrder.from_arrays(fitted.arrays(), {}).order.tolist() == fitted.order.tolist()
    assert fitted.score(Histories.of([[0], []], 4), np.array([3, 2], dtype=np.int32)).tolist() == [[1, 4], [1, 4]]


def test_a_tenant_without_events_is_served(tmp_path: Path) -> None:
    pointer = begin(table(), tmp_path)
    bundle = load_bundle(tmp_path / "fresh" / pointer.bundle)
    assert (bundle.model.kind, bundle.manifest.provenance.recipe) == ("catalogue", {"serves": "catalogue"})
    assert bundle.population["popularity"].tolist() == [0, 0, 0]
    assert begin(table(), tmp_path) == pointer
    again = begin(table(items=ITEMS[:2]), tmp_path)
    assert again.previous == pointer.bundle


def test_where_there_is_something_to_learn_or_nothing_to_serve_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 interactions to learn from: run `python -m training fit --tenant fresh`"):
        begin(table([[0, 1]]), tmp_path)
    with pytest.raises(DataError, match=r"no item: ingest items\.jsonl"):
        begin(table(items=()), tmp_path)
    assert not (tmp_path / "fresh").exists()


def test_it_takes_the_place_of_no_model(tmp_path: Path, tiny_bundle: object) -> None:
    from training.publish import publish

    publish(tiny_bundle(tmp_path / "made", tenant="fresh"), tmp_path / "bundles", "fresh")  # type: ignore[operator]
    with pytest.raises(BundleError, match="serves already, a popularity model"):
        begin(table(), tmp_path / "bundles")


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    """Two tenants with the same item ids, learner ids and roles, and no event."""
    opened = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    for tenant in ("fresh", "other"):
        people = [Learner(id=name, role_id="analyst") for name in ("ann", "bob")]
        opened.tenant(tenant).put([*ITEMS, ROLE, *people], at=NOON)
        lake.materialize(opened.tenant(tenant), tmp_path / "lake")
    return opened


def take_up(store: EventStore, tmp_path: Path, tenant: str, *things: str) -> None:
    said = [
        Event(
            tenant=tenant,
            event_id=f"{who}-{thing}",
            learner_id=who,
            verb=Verb.STARTED,
            object_id=thing,
            occurred_at=NOON,
            recorded_at=NOON,
        )
        for who in ("ann", "bob")
        for thing in things
    ]
    store.tenant(tenant).append(said)
    lake.materialize(store.tenant(tenant), tmp_path / "lake")


def test_the_command_publishes_and_a_fit_names_it(store: EventStore, tmp_path: Path) -> None:
    folders = ["--lake", str(tmp_path / "lake"), "--bundles", str(tmp_path / "bundles")]
    found = CliRunner().invoke(app, ["start", "--tenant", "fresh", *folders])
    assert found.exit_code == 0, found.output
    assert "3 items by catalogue order and role gaps; nothing to measure yet" in found.output
    assert read_pointer(tmp_path / "bundles", "fresh").previous is None
    take_up(store, tmp_path, "fresh", "a", "b")
    late = CliRunner().invoke(app, ["start", "--tenant", "fresh", *folders])
    assert late.exit_code == 1
    assert "4 interactions to learn from" in late.stderr
    store.close()


def test_no_event_crosses_tenants(store: EventStore, tmp_path: Path) -> None:
    def read() -> tuple[str, bytes]:
        own, _, _ = read_table(tmp_path / "lake", "fresh", lambda step: None)
        fitted = Segments().fit(own.interactions, rng=np.random.default_rng(0))
        arrays = b"".join(np.asarray(array).tobytes() for _, array in sorted(fitted.arrays().items()))
        return own.interactions.digest(), arrays

    before = read()
    take_up(store, tmp_path, "other", "a", "b", "c")
    assert read() == before
    take_up(store, tmp_path, "fresh", "b")
    learned = read()
    assert learned != before
    take_up(store, tmp_path, "other", "old")
    assert read() == learned
    store.close()
