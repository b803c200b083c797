"""A company of six items and three learners, its bundle and its store: small enough to know every answer."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from features.catalogue import Catalogue, Item, ItemType, Learner, Role, Skill
from features.events import Event, Verb
from features.interactions import Histories, Interactions
from features.store import EventStore
from features.vocabulary import Vocabulary
from serving.prepared import Prepared, prepare
from serving.runtime import Runtime
from serving.settings import Settings
from training.bundle import Pointer, Provenance, load_bundle, write_bundle, write_pointer
from training.models.popularity import Popularity

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TENANT = "acme"
KEY = {"Authorization": "Bearer test-key"}
CUSTOMERS = "customer-care"

ITEMS = (
    Item(id="calm", title="Calm calls", skills={"listening": 3}, duration_s=600, languages=("en",)),
    Item(id="data", title="Reading data", skills={"analysis": 2}, duration_s=1800, type=ItemType.VIDEO),
    Item(id="more", title="More data", skills={"analysis": 4}, duration_s=1800, prerequisites=("data",)),
    Item(id="safe", title="Fire safety", valid_for="P1Y", duration_s=900),
    Item(id="lead", title="Leading well", audiences=("leaders",), duration_s=900),
    Item(id="soon", title="Coming soon", available_from=NOW + timedelta(days=1)),
)
SKILLS = (Skill(id="listening", name="Listening"), Skill(id="analysis", name="Analysis"))
ROLE = Role(id="agent", name="Agent", expects={"listening": 3, "analysis": 2})
LEARNERS = (
    Learner(id="ana", audiences=(CUSTOMERS,), role_id="agent"),
    Learner(id="ben", audiences=("leaders",)),
    Learner(id="off", audiences=(CUSTOMERS,), personalisation=False),
)
TAKEN = ((0, 1), (0, 3), (0, 1, 2), (0,), (4,))
"""Histories of the training table: calm 4, data 2, more 1, safe 1, lead 1, soon 0."""


def event(learner: str, verb: Verb | str, thing: str, *, at: datetime = NOW - timedelta(days=2), **more: Any) -> Event:
    """An event recorded as it occurred."""
    event_id = more.pop("event_id", f"{learner}-{verb}-{thing}-{at.isoformat()}")
    fields = {"recorded_at": at, **more}
    return Event(tenant=TENANT, event_id=event_id, learner_id=learner, verb=verb, object_id=thing, occurred_at=at, **fields)


def publish(
    bundles: Path,
    *,
    tenant: str = TENANT,
    items: tuple[Item, ...] = ITEMS,
    recipe: Mapping[str, Any] | None = None,
    previous: str | None = None,
) -> Path:
    """Fit popularity on `TAKEN`, write the bundle and point to it."""
    histories = Histories.of(TAKEN, len(items), at=[[np.datetime64("2026-01-01")] * len(row) for row in TAKEN])
    interactions = Interactions.of_histories(histories)
    folder = write_bundle(
        bundles / tenant,
        tenant=tenant,
        model=Popularity().fit(interactions, rng=np.random.default_rng(0)),
        vocabulary=Vocabulary([item.id for item in items]),
        catalogue=Catalogue({i.id: i for i in items}, {s.id: s for s in SKILLS}, {ROLE.id: ROLE}),
        audiences=(CUSTOMERS, "leaders"),
        population={"popularity": interactions.item_counts().astype(np.float32)},
        provenance=Provenance(recipe=dict(recipe or {}), data_digest="d", split_digest="s", data_until=NOW),
    )
    write_pointer(bundles, tenant, Pointer(bundle=folder.name, previous=previous))
    return folder


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    publish(tmp_path / "bundles")
    return tmp_path / "bundles"


@pytest.fixture
def stock(bundles: Path) -> Prepared:
    folder = next(path for path in (bundles / TENANT).iterdir() if path.is_dir())
    return prepare(load_bundle(folder))


@pytest.fixture
def settings(tmp_path: Path, bundles: Path) -> Settings:
    return Settings(
        store=f"sqlite:///{tmp_path}/events.db",
        bundles=bundles,
        spool=tmp_path / "spool",
        dev_key="test-key",
        dev_tenant=TENANT,
        poll_s=0.05,
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[EventStore]:
    opened = EventStore.open(settings.store)
    opened.tenant(TENANT).put([*ITEMS, *SKILLS, ROLE, *LEARNERS], at=datetime(2025, 1, 1, tzinfo=UTC))
    yield opened
    opened.close()


@pytest.fixture
def client(settings: Settings, store: EventStore) -> Iterator[TestClient]:
    """The whole service, BentoML's application included, without a socket."""
    from serving import service

    service.pages.runtime = Runtime(settings)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened
