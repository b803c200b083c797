"""A service that signs, on both databases, with a clock that a test may move."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from acme import ITEMS, KEY, LEARNERS, ROLE, SKILLS, TENANT, Clock
from pydantic import SecretStr
from starlette.testclient import TestClient

from features.store import EventStore
from serving import service
from serving.runtime import Runtime
from serving.settings import Settings

SECRET = "s" * 32


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(store_url: str) -> Iterator[EventStore]:
    """The store of the service."""
    opened = EventStore.open(store_url)
    opened.tenant(TENANT).put([*ITEMS, *SKILLS, ROLE, *LEARNERS], at=datetime.fromisoformat("2025-01-01T00:00:00+00:00"))
    yield opened
    opened.close()


@pytest.fixture
def signing(settings: Settings, kept: EventStore, store_url: str, clock: Clock) -> Iterator[TestClient]:
    more = {"store": store_url, "token_secret": SecretStr(SECRET)}
    service.pages.runtime = Runtime(settings.model_copy(update=more), clock=clock)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


@pytest.fixture
def slate(signing: TestClient) -> Any:
    """The answer to a request for an offline slate of ana's."""
    answer = signing.post("/v1/recommendations", json={"learner_id": "ana", "limit": 3, "offline": True})
    assert answer.status_code == 200, answer.text
    return answer.json()


Did = Callable[..., dict[str, Any]]


@pytest.fixture
def did(slate: Any) -> Did:
    """One row of what was done, half an hour after the slate was given unless a test says otherwise."""
    item = slate["rows"][0]["items"][0]["item_id"]

    def row(event_id: str, what: str = "shown", at: datetime | None = None, **more: Any) -> dict[str, Any]:
        moment = at or datetime.fromisoformat(slate["offline"]["issued_at"]).replace(minute=30)
        return {"event_id": event_id, "item_id": item, "did": what, "occurred_at": moment.isoformat(), **more}

    return row
