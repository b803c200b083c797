"""The small company of the serving tests, and databases that a test may stop."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))

from acme import publish

from databases import Database, File, Server
from running import ITEMS, fill


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    publish(tmp_path / "bundles", items=ITEMS)
    return tmp_path / "bundles"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL of this module's own: it is stopped and started while others use theirs."""
    opened = None
    try:
        opened = Server.begin()
    except Exception as error:
        if os.environ.get("CI"):  # where a change is judged, half of these tests must not vanish in silence
            raise
        pytest.skip(f"PostgreSQL cannot be started here: {type(error).__name__}: {error}")
    yield opened
    opened.end()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """With the small company: a file that is moved away and put back, a server that is stopped and started."""
    if request.param == "sqlite":
        found: Database = File(tmp_path / "store" / "events.db")
    else:
        found = request.getfixturevalue("server").fresh()
    fill(found.url)
    yield found
