"""An organisation of a size to serve: a ranker's bundle, a store with its learners' histories, and the rivals' factors."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse

from benchmarks.scoring_bundle import ROLE, TENANT, drawn, write
from features.catalogue import Learner
from features.events import Event, Verb
from features.interactions import Interactions
from features.store import EventStore
from training.bundle import Pointer, write_pointer

FACTORS, PASSES = 64, 3
_AT_ONCE = 5_000


@dataclass(frozen=True)
class World:
    """`store`: its URL; `bundles`, `factors`: folders; `learners`: the indices that are asked for."""

    store: str
    bundles: Path
    factors: Path
    learners: tuple[int, ...]
    tenant: str = TENANT


def name_of(learner: int) -> str:
    """The id of a learner."""
    return f"learner {learner}"


def world(folder: Path, items: int, learners: int, asked: int) -> World:
    """Written under `folder`. Only those asked for are in the store: others' histories are never read."""
    found = drawn(learners, items)
    table = found.interactions
    bundles = folder / "bundles"
    written = write(bundles / TENANT, found)
    write_pointer(bundles, TENANT, Pointer(bundle=written.name, previous=None))
    chosen = np.sort(np.random.default_rng(7).choice(len(table), size=min(asked, len(table)), replace=False))
    url = f"sqlite:///{folder}/events.db"
    _store(url, table, chosen.tolist())
    _factors(folder / "factors", table)
    return World(url, bundles, folder / "factors", tuple(chosen.tolist()))


def _store(url: str, table: Interactions, chosen: list[int]) -> None:
    now = datetime.now(UTC)
    store = EventStore.open(url)
    try:
        session = store.tenant(TENANT)
        session.put(
            [Learner(id=name_of(row), role_id=ROLE, audiences=("everybody",)) for row in chosen], at=now - timedelta(days=1)
        )
        events = [event for row in chosen for event in _events(table, row, now)]
        for at in range(0, len(events), _AT_ONCE):
            session.append(events[at : at + _AT_ONCE])
    finally:
        store.close()


def _events(table: Interactions, row: int, now: datetime) -> list[Event]:
    items = table.take(np.array([row])).items.tolist()
    return [
        Event(
            tenant=TENANT,
            event_id=f"{row}-{at}",
            learner_id=name_of(row),
            verb=Verb.COMPLETED,
            object_id=f"item {item}",
            occurred_at=now - timedelta(days=len(items) - at),
            recorded_at=now - timedelta(hours=1),
            source="api",
        )
        for at, item in enumerate(items)
    ]


def _factors(folder: Path, table: Interactions) -> None:
    folder.mkdir()
    histories = sparse.csr_matrix(table.matrix(), dtype=np.float32)
    model = AlternatingLeastSquares(factors=FACTORS, iterations=PASSES, random_state=1, num_threads=1)
    model.fit(histories, show_progress=False)
    np.savez(folder / "factors.npz", users=model.user_factors, items=model.item_factors)
    sparse.save_npz(folder / "histories.npz", histories)
