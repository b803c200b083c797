"""What every store test begins with: an empty store, on SQLite and on PostgreSQL, and the rows of one tenant."""

from collections.abc import Iterator

import pytest

from features.store import EventStore, TenantSession


@pytest.fixture
def store(store_url: str) -> Iterator[EventStore]:
    opened = EventStore.open(store_url)
    yield opened
    opened.close()


@pytest.fixture
def acme(store: EventStore) -> TenantSession:
    return store.tenant("acme")
