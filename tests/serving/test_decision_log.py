"""Every answer is recorded before it is given: in groups, in the spool while the store is down, and never twice."""

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from acme import LEARNERS, NOW, TENANT

from features.decisions import Decision
from features.store import EventStore
from serving.decision_log import GROUP_ROWS, DecisionLog, Spool
from serving.payloads import RecommendationsRequest
from serving.pipeline import rank
from serving.policy import Policy
from serving.prepared import Prepared


@pytest.fixture
def decisions(stock: Prepared) -> list[Decision]:
    request = RecommendationsRequest(learner_id="ana")
    return [rank(stock, request, LEARNERS[0], (), at=NOW, decision_id=f"d{n}", policy=Policy()) for n in range(200)]


def stored(store: EventStore) -> list[str]:
    return [decision.decision_id for _, decision in store.tenant(TENANT).decisions()]


class Switch:
    """The real store behind a switch; remembers the size of each commit."""

    def __init__(self, store: EventStore) -> None:
        self.store, self.up, self.sizes = store, True, list[int]()
        self.gate = threading.Event()
        self.gate.set()

    def record(self, tenant: str, decisions: Sequence[Decision]) -> None:
        self.gate.wait(5)
        if not self.up:
            raise OSError("the store is down")
        self.sizes.append(len(decisions))
        self.store.tenant(tenant).record(decisions)


async def _record(log: DecisionLog, decisions: Sequence[Decision]) -> None:
    log.start()
    await asyncio.gather(*(log.record(decision) for decision in decisions))
    await log.stop()


def test_what_queues_while_a_commit_runs_is_one_commit(store: EventStore, decisions: list[Decision], tmp_path: Path) -> None:
    switch = Switch(store)
    with ThreadPoolExecutor(1) as writer:
        asyncio.run(_record(DecisionLog(switch.record, Spool(tmp_path), writer), decisions))
    assert stored(store) == [f"d{n}" for n in range(200)]
    assert max(switch.sizes) == GROUP_ROWS
    assert len(switch.sizes) < 10
    assert list(tmp_path.glob("*.jsonl")) == []


def test_what_the_store_does_not_take_waits_in_the_spool_and_follows(
    store: EventStore, decisions: list[Decision], tmp_path: Path
) -> None:
    async def outage(log: DecisionLog) -> None:
        log.start()
        await log.record(decisions[0])
        switch.up = False
        await asyncio.gather(*(log.record(decision) for decision in decisions[1:70]))
        assert stored(store) == ["d0"]
        assert len(list(tmp_path.glob("*.jsonl"))) == 1
        switch.up = True
        await log.record(decisions[70])
        await log.stop()

    switch = Switch(store)
    with ThreadPoolExecutor(1) as writer:
        asyncio.run(outage(DecisionLog(switch.record, Spool(tmp_path), writer)))
    assert sorted(stored(store)) == sorted(f"d{n}" for n in range(71))
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_store_that_hangs_does_not_hold_the_answer(store: EventStore, decisions: list[Decision], tmp_path: Path) -> None:
    async def hang(log: DecisionLog) -> None:
        log.start()
        switch.gate.clear()
        await asyncio.wait_for(log.record(decisions[0]), timeout=3)
        await asyncio.wait_for(log.record(decisions[1]), timeout=3)
        switch.gate.set()
        await asyncio.sleep(0.2)
        await log.record(decisions[2])
        await log.stop()

    switch = Switch(store)
    with ThreadPoolExecutor(1) as writer:
        asyncio.run(hang(DecisionLog(switch.record, Spool(tmp_path), writer, deadline_s=0.1)))
    assert sorted(stored(store)) == ["d0", "d1", "d2"]


def test_what_waits_when_the_service_stops_is_stored_before_it_ends(
    store: EventStore, decisions: list[Decision], tmp_path: Path
) -> None:
    """The folder of the spool may go with its host. The last commit is still on its way."""

    async def outage(log: DecisionLog) -> None:
        log.start()
        switch.up = False
        await log.record(decisions[0])
        switch.up = True
        switch.gate.clear()
        await log.record(decisions[1])
        asyncio.get_running_loop().call_later(0.2, switch.gate.set)
        await log.stop()

    switch = Switch(store)
    with ThreadPoolExecutor(1) as writer:
        asyncio.run(outage(DecisionLog(switch.record, Spool(tmp_path), writer, deadline_s=0.1)))
    assert sorted(stored(store)) == ["d0", "d1"]
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_dead_process_leaves_its_spool_to_the_next(store: EventStore, decisions: list[Decision], tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append(decisions[:2])
    first.append(decisions[2:3])
    first.close()
    left = next(tmp_path.glob("*.jsonl"))
    left.write_bytes(left.read_bytes() + decisions[3].model_dump_json().encode()[:100])  # the power went
    store.tenant(TENANT).record(decisions[:1])  # and one was stored already
    second = Spool(tmp_path)
    second.replay(Switch(store).record)
    second.close()
    assert stored(store) == ["d0", "d1", "d2"]
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_decision_that_was_not_synced_is_not_acknowledged(
    store: EventStore, decisions: list[Decision], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses to sync, once the spool's file is there."""

    async def unsynced(log: DecisionLog) -> None:
        log.start()
        await log.record(decisions[0])
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="not synced"):
            await log.record(decisions[1])
        await log.stop()

    def refuse(handle: int) -> None:
        raise OSError("not synced")

    switch, spool = Switch(store), Spool(tmp_path)
    switch.up = False
    with ThreadPoolExecutor(1) as writer:
        asyncio.run(unsynced(DecisionLog(switch.record, spool, writer)))
    spool.close()


def test_a_living_process_keeps_its_spool(store: EventStore, decisions: list[Decision], tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append(decisions[:1])
    second = Spool(tmp_path)
    second.replay(Switch(store).record)
    assert stored(store) == []
    first.replay(Switch(store).record)
    assert stored(store) == ["d0"]
    second.close()


def test_when_nothing_takes_a_decision_the_caller_hears_it(
    store: EventStore, decisions: list[Decision], tmp_path: Path
) -> None:
    async def lost(log: DecisionLog) -> None:
        log.start()
        with pytest.raises(FileNotFoundError):
            await log.record(decisions[0])
        await log.stop()

    switch, spool = Switch(store), Spool(tmp_path / "spool")
    switch.up = False
    (tmp_path / "spool").rmdir()
    with ThreadPoolExecutor(1) as writer:
        asyncio.run(lost(DecisionLog(switch.record, spool, writer)))
