"""The company's bundle, its store, and the whole service without a socket."""

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
def settings(tmp_path: Path, bundles: Path) -> Settings:
    return Settings(
        store=f"sqlite:///{tmp_path}/events.db",
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
        yield opened
