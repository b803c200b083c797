"""Turns: a small request does not wait for a large one to end, and the large one gets on whatever happens."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from acme import TENANT
from starlette.testclient import TestClient

from features.store import EventStore
from serving import ingest as ingest_module
from serving import turns as turns_module
from serving.turns import IN_LINE, Turns

EVENT = {"learner_id": "ana", "verb": "started", "object_id": "calm", "occurred_at": "2026-05-31T09:00:00Z"}


async def _soon(until: asyncio.Event) -> None:
    await asyncio.wait_for(until.wait(), 5)


def test_a_large_request_gives_way_while_a_small_one_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "LONGEST_S", 60)
    done: list[str] = []

    async def small(turns: Turns, begun: asyncio.Event, may_end: asyncio.Event) -> None:
        with turns.first():
            await turns.give_way()  # it waits for nobody, itself included
            begun.set()
            await _soon(may_end)
            done.append("small")

    async def scene() -> None:
        turns, begun, may_end = Turns(), asyncio.Event(), asyncio.Event()
        await turns.give_way()
        answering = asyncio.create_task(small(turns, begun, may_end))
        await _soon(begun)
        large = asyncio.create_task(turns.give_way())
        large.add_done_callback(lambda _: done.append("large"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert done == []
        may_end.set()
        await asyncio.gather(answering, asyncio.wait_for(large, 5))

    asyncio.run(scene())
    assert done == ["small", "large"]


def test_a_large_request_gets_on_where_small_ones_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "LONGEST_S", 0.01)

    async def small(turns: Turns, begun: asyncio.Event) -> None:
        with turns.first():
            begun.set()
            await asyncio.Event().wait()

    async def scene() -> None:
        turns, begun = Turns(), asyncio.Event()
        answering = asyncio.create_task(small(turns, begun))
        await _soon(begun)
        await asyncio.wait_for(turns.give_way(), 5)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)

    asyncio.run(scene())


def test_a_large_request_takes_half_of_the_time_while_small_ones_come(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    async def scene() -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        turns = Turns()
        await turns.rest(0.01)  # nobody else is there
        with turns.first():
            await turns.rest(0.02)  # it is small itself
        await turns.rest(0.03)
        await turns.rest(60)
        monkeypatch.setattr(turns_module, "BESIDE_S", 0.0)
        await turns.rest(0.04)  # the small one was long ago

    asyncio.run(scene())
    assert rests == [0.03, turns_module.LONGEST_S]


def test_few_large_pieces_stand_before_a_small_one_at_the_writer() -> None:
    async def scene() -> int:
        turns, end, most = Turns(), asyncio.Event(), 0

        async def piece() -> None:
            nonlocal most
            async with turns.in_line():
                most += 1
                await _soon(end)

        pieces = [asyncio.create_task(piece()) for _ in range(5)]
        for _ in range(20):
            await asyncio.sleep(0)
        standing = most
        with turns.first():
            async with turns.in_line():
                pass  # not kept waiting
        end.set()
        await asyncio.gather(*pieces)
        assert most == len(pieces)
        return standing

    assert asyncio.run(scene()) == IN_LINE


def test_an_event_sent_after_a_large_batch_is_stored_before_its_end(client: TestClient, store: EventStore) -> None:
    session = store.tenant(TENANT)
    batch = [{**EVENT, "event_id": f"b{number}", "context": {"note": "x" * 50}} for number in range(1_000)]
    sending = threading.Thread(target=client.post, args=("/v1/events",), kwargs={"json": batch})
    sending.start()
    until = time.monotonic() + 10
    while not session.known(["b0"]) and time.monotonic() < until:
        time.sleep(0.001)
    assert client.post("/v1/events", json={**EVENT, "event_id": "live"}).status_code == 200
    sending.join()
    order = [event.event_id for _, event in session.events()]
    assert len(order) == 1_001
    assert order.index("live") < 1_000


def test_after_a_large_batch_a_commit_has_nothing_left_to_move(client: TestClient, file: Path) -> None:
    for size, moved in ((ingest_module.GROUP, False), (ingest_module.GROUP + 1, True)):
        batch = [{**EVENT, "event_id": f"of-{size}-{number}-x"} for number in range(size)]
        assert client.post("/v1/events", json=batch).json()["accepted"] == size
        assert (f"of-{size}-0-x".encode() in file.read_bytes()) is moved


def test_a_batch_of_several_groups_answers_row_by_row(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "GROUP", 2)
    monkeypatch.setattr(ingest_module, "PIECE", 1)
    rows = [{**EVENT, "event_id": name} for name in ("a", "b", "a", "c", "b")]
    rows[3] |= {"verb": "flown"}
    rows[4] |= {"object_id": "data"}
    answer = client.post("/v1/events", json=rows).json()
    found = [(one["index"], one["outcome"]) for one in answer["results"]]
    assert found == [(0, "accepted"), (1, "accepted"), (2, "duplicate"), (3, "invalid"), (4, "conflict")]
    assert answer["accepted"] == 2


def test_who_steps_back_keeps_nobody_waiting_and_waits_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "LONGEST_S", 60)
    done: list[str] = []

    async def long(turns: Turns, small: asyncio.Event, others: asyncio.Event) -> None:
        with turns.first():
            with turns.stepped_back():
                small.set()
                await _soon(others)
                await turns.give_way()
                done.append("long")
            await turns.give_way()  # it goes first again

    async def scene() -> None:
        turns, stepped, other = Turns(), asyncio.Event(), asyncio.Event()
        working = asyncio.create_task(long(turns, stepped, other))
        await _soon(stepped)
        await asyncio.wait_for(turns.give_way(), 5)  # nobody waits for what stepped back
        with turns.first():
            other.set()
            for _ in range(10):
                await asyncio.sleep(0)
            done.append("small")
        await asyncio.wait_for(working, 5)
        await asyncio.wait_for(turns.give_way(), 5)

    asyncio.run(scene())
    assert done == ["small", "long"]
