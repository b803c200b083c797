"""The small company of the serving tests, and databases that a test may stop."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))

from acme import ITEMS as OF_ACME
from acme import LEARNERS, ROLE, SKILLS, TENANT, publish
from databases import Database, File, Server
from running import ITEMS, fill, settings_of

from features.store import EventStore
from serving.settings import Settings


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    publish(tmp_path / "bundles", items=ITEMS)
    return tmp_path / "bundles"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL of these tests' own: it is stopped and started while others use theirs."""
    try:
        opened = Server.begin()
    except Exception as error:
        if os.environ.get("CI"):  # where a change is judged, half of these tests must not vanish in silence
            raise
        pytest.skip(f"PostgreSQL cannot be started here: {type(error).__name__}: {error}")
    yield opened
    opened.end()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """With the small company: a file that is moved away and put back, a server that is stopped and started."""
    if request.param == "sqlite":
        found: Database = File(tmp_path / "store" / "events.db")
    else:
        found = request.getfixturevalue("server").fresh()
    fill(found.url)
    return found


@pytest.fixture
def settings(store_url: str, bundles: Path, tmp_path: Path) -> Settings:
    """Of a service in this process, on either database."""
    return settings_of(tmp_path, store_url, bundles)


@pytest.fixture
def store(settings: Settings) -> Iterator[EventStore]:
    opened = EventStore.open(settings.store)
    opened.tenant(TENANT).put([*OF_ACME, *SKILLS, ROLE, *LEARNERS], at=datetime(2025, 1, 1, tzinfo=UTC))
    yield opened
    opened.close()
