"""The company's bundle, its store, and the whole service without a socket."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode puts no test folder on the path

from acme import ITEMS, KEY, LEARNERS, NOW, ROLE, SKILLS, TENANT, publish

from features.store import EventStore
from serving.prepared import Prepared, prepare
from serving.runtime import Runtime
from serving.settings import Settings
from training.bundle import load_bundle


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    publish(tmp_path / "bundles")
    return tmp_path / "bundles"


@pytest.fixture
def stock(bundles: Path) -> Prepared:
    folder = next(path for path in (bundles / TENANT).iterdir() if path.is_dir())
    return prepare(load_bundle(folder))


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """URL of an empty database: a file of SQLite, or as NEXTWISE_TEST_STORE says, on a real PostgreSQL."""
    if os.environ.get("NEXTWISE_TEST_STORE", "sqlite") == "postgresql":
        found: str = request.getfixturevalue("postgresql_url")
        return found
    return f"sqlite:///{tmp_path}/events.db"


@pytest.fixture
def file(settings: Settings) -> Path:
    """The store's file, for a test that takes it away; `tests/trouble` takes away servers."""
    if not settings.store.startswith("sqlite:///"):
        pytest.skip("about a file of SQLite")
    return Path(settings.store.removeprefix("sqlite:///"))


@pytest.fixture
def settings(tmp_path: Path, bundles: Path, place: str) -> Settings:
    return Settings(
        store=place,
        bundles=bundles,
        spool=tmp_path / "spool",
        experiments=tmp_path / "experiments",
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

    service.pages.runtime = Runtime(settings, clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        if not settings.store.startswith("sqlite"):
            opened.get("/readyz")  # as who routes requests to it does: connections to a server are open then
        yield opened
