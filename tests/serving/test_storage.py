"""A store that is locked, moved or replaced: the answer still comes, and nothing is acknowledged that nobody will find."""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from acme import KEY, NOW, TENANT, event
from starlette.testclient import TestClient

from features.events import Verb
from features.store import EventStore
from serving import runtime as runtime_module
from serving import service
from serving.runtime import Runtime, StoreDownError
from serving.settings import Settings
from serving.storage import Storage

RECOMMEND, EVENTS = "/v1/recommendations", "/v1/events"
EVENT = {"event_id": "e1", "learner_id": "ana", "verb": "completed", "object_id": "calm", "occurred_at": "2026-05-31T09:00:00Z"}


def file_of(settings: Settings) -> Path:
    if not settings.store.startswith("sqlite:///"):
        pytest.skip("about a file of SQLite")
    return Path(settings.store.removeprefix("sqlite:///"))


def stored(file: Path) -> list[str]:
    with sqlite3.connect(file) as connection:
        found = [row[0] for row in connection.execute("SELECT event_id FROM events ORDER BY seq")]
    connection.close()
    return found


def fallback(client: TestClient) -> str | None:
    found: str | None = client.post(RECOMMEND, json={"learner_id": "ana"}).json()["fallback"]
    return found


def recovered(client: TestClient) -> bool:
    """Whether a full answer comes again, soon."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if fallback(client) is None:
            return True
        time.sleep(0.1)
    return False


@contextmanager
def held(file: Path, *statements: str) -> Iterator[None]:
    """Another process's connection that holds the file."""
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in statements:
        connection.execute(statement).close()
    try:
        yield
    finally:
        connection.close()


@contextmanager
def running(settings: Settings) -> Iterator[TestClient]:
    service.pages.runtime = Runtime(settings, clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as client:
        yield client


def test_a_probe_writes_and_leaves_one_row(store: EventStore, settings: Settings) -> None:
    for _ in range(3):
        store.probe()
    with store.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM heartbeat")).scalar() == 1

    def read_only(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA query_only=ON").close()

    sa.event.listen(store.engine, "connect", read_only)
    store.engine.dispose()
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        store.probe()


def test_a_store_whose_file_is_gone_is_not_ready_and_takes_nothing(client: TestClient, settings: Settings) -> None:
    file = file_of(settings)
    assert client.get("/readyz").status_code == 200
    assert client.post(EVENTS, json=EVENT).status_code == 200
    away = file.rename(file.with_name("away.db"))
    assert "is gone" in client.get("/readyz").json()["detail"]
    refused = client.post(EVENTS, json={**EVENT, "event_id": "e2"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert fallback(client) == "history_unavailable"
    assert not file.exists()
    away.rename(file)
    assert client.post(EVENTS, json={**EVENT, "event_id": "e3"}).status_code == 200
    assert client.get("/readyz").status_code == 200
    assert stored(file) == ["e1", "e3"]


def test_who_is_ready_has_opened_the_store_for_rankings_too(client: TestClient, settings: Settings) -> None:
    """Opening takes longer than a ranking waits for a history, on a server that has much to do."""
    _ = file_of(settings)
    storage = service.pages.runtime._storage
    assert not storage.reads_in_place
    assert client.get("/readyz").status_code == 200
    assert storage.reads_in_place


def test_a_store_that_is_replaced_is_opened_anew(client: TestClient, store: EventStore, settings: Settings) -> None:
    file = file_of(settings)
    store.close()
    other = EventStore.open(f"sqlite:///{file.parent}/other.db")
    other.tenant(TENANT).append([event("ana", Verb.COMPLETED, "data", event_id="theirs")])
    other.close()
    assert client.post(EVENTS, json=EVENT).status_code == 200
    os.link(file, file.with_name("old.db"))
    file.with_name("other.db").replace(file)
    assert client.post(EVENTS, json={**EVENT, "event_id": "e2"}).status_code == 200
    assert stored(file) == ["theirs", "e2"]
    assert client.get("/readyz").status_code == 200
    assert fallback(client) is None
    assert stored(file.with_name("old.db")) == ["e1"]


def test_what_moves_while_it_is_written_is_not_acknowledged(settings: Settings, store: EventStore) -> None:
    storage, file = Storage(settings.store, read_wait_s=0.05), file_of(settings)

    def move(opened: EventStore) -> None:
        opened.probe()
        file.rename(file.with_name("away.db"))

    with pytest.raises(OSError, match="was moved while"):
        storage.write(move)
    storage.close()


def test_a_store_held_by_another_process_holds_up_nobody(settings: Settings, store: EventStore) -> None:
    store.close()
    with held(file_of(settings), "PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE"), running(settings) as client:
        took = []
        for _ in range(3):
            began = time.monotonic()
            live = threading.Thread(target=lambda: client.get("/livez"))
            live.start()
            live.join(1.0)
            assert not live.is_alive()  # the event loop answers
            assert fallback(client) == "history_unavailable"
            took.append(time.monotonic() - began)
        assert max(took) < 4.0  # the decision log waits for its first commit only
        assert min(took) < 0.3  # later ones wait for nothing
    with running(settings) as client:
        assert recovered(client)


def test_reading_waits_far_less_than_an_answer_may(settings: Settings, store: EventStore) -> None:
    storage = Storage(settings.store, read_wait_s=0.05)

    def busy_ms(opened: EventStore) -> int:
        with opened.engine.connect() as connection:
            return int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one())

    assert not storage.reads_in_place  # opening is nothing for the event loop
    assert (storage.read(busy_ms), storage.write(busy_ms)) == (50, 4000)
    assert storage.reads_in_place
    storage.close()


def test_a_store_that_fails_rests_and_is_tried_again(client: TestClient, settings: Settings) -> None:
    runtime, asked = service.pages.runtime, list[int]()

    def fail(*values: object) -> None:
        asked.append(1)
        raise sqlite3.OperationalError("disk I/O error")

    whole = runtime._storage.read
    runtime._storage.read = fail  # type: ignore[method-assign, assignment]
    assert [fallback(client) for _ in range(5)] == ["history_unavailable"] * 5
    assert len(asked) == 1
    runtime._storage.read = whole  # type: ignore[method-assign]
    assert recovered(client)


def test_one_learners_bad_row_is_no_failure_of_the_store(client: TestClient, settings: Settings) -> None:
    with sqlite3.connect(file_of(settings)) as connection:
        connection.execute("UPDATE catalogue SET body = '{' WHERE kind = 'learner' AND id = 'ben'")
    connection.close()
    assert client.post(RECOMMEND, json={"learner_id": "ben"}).json()["fallback"] == "history_unavailable"
    assert fallback(client) is None


def test_events_are_answered_while_the_store_is_locked(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_module, "APPEND_S", 0.3)
    with held(file_of(settings), "BEGIN IMMEDIATE"):
        answer = client.post(EVENTS, json=EVENT)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.headers["retry-after"] == "2"
        assert "send the same again" in answer.json()["detail"]
    until = time.monotonic() + 5
    while (again := client.post(EVENTS, json=EVENT)).status_code == 503 and time.monotonic() < until:
        time.sleep(0.1)
    assert again.json()["results"][0]["outcome"] in ("accepted", "duplicate")
    assert stored(file_of(settings)) == ["e1"]


def test_a_time_out_is_named(settings: Settings, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "APPEND_S", 0.05)

    async def ask(runtime: Runtime) -> list[str]:
        gate = threading.Event()
        runtime._writer.submit(gate.wait, 5)
        try:
            with pytest.raises(StoreDownError, match="did not answer within"):
                await runtime.append(TENANT, [event("ana", Verb.STARTED, "calm")])
            return await runtime.missing()
        finally:
            gate.set()
            await runtime.stop()

    found = asyncio.run(ask(Runtime(settings)))
    assert found[-1] == "the event store is not writable: TimeoutError"
    assert store.tenant(TENANT).history("ana") == []  # what was given up before it began is not done later
