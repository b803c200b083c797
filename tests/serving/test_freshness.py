"""What one worker acknowledged, the next ranking by another knows: two over one store, each with caches of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import CUSTOMERS, ITEMS, LEARNERS, NOW, ROLE, SKILLS, TENANT

from features.catalogue import canonical_json
from features.decisions import Decision
from features.store import EventStore
from serving import catalogue, rights, xapi
from serving.ingest import ingest
from serving.payloads import RecommendationsRequest, SyncQuery
from serving.runtime import Runtime
from serving.settings import Settings

TURNS = 25
SENDER = xapi.Sender(TENANT, "key", compat=False)
HEADERS = {xapi.HEADER.lower(): "1.0.3"}
ANA = "https://lms.example|ana"
Scene = Callable[[Runtime, Runtime], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def play(store_url: str, bundles: Path, tmp_path: Path) -> Play:
    """`play(scene)` calls it with two workers; `behind`: by how much the second one's clock is."""
    opened = EventStore.open(store_url)
    opened.tenant(TENANT).put([*ITEMS, *SKILLS, ROLE, *LEARNERS], at=NOW - timedelta(days=300))
    opened.close()

    def worker(name: str, clock: Callable[[], datetime]) -> Runtime:
        settings = Settings(store=store_url, bundles=bundles, spool=tmp_path / name, dev_key="k", dev_tenant=TENANT)
        return Runtime(settings, clock=clock)

    async def run(scene: Scene, behind: timedelta) -> None:
        ticks = 0

        def now() -> datetime:
            nonlocal ticks
            ticks += 1
            return NOW + timedelta(milliseconds=ticks)

        one, other = worker("one", now), worker("other", lambda: now() - behind)
        await asyncio.gather(one.start(), other.start())
        try:
            await scene(one, other)
        finally:
            await asyncio.gather(one.stop(), other.stop())

    return lambda scene, behind=timedelta(0): asyncio.run(run(scene, behind))


async def ranked(worker: Runtime, learner: str = "ana") -> Decision:
    found = await worker.decide(TENANT, RecommendationsRequest(learner_id=learner))
    assert found.fallback is None
    return found


def shown(decision: Decision) -> set[str]:
    return {item.item_id for row in decision.rows for item in row.items}


def completed(number: int, learner: str, item: str) -> dict[str, Any]:
    at = (NOW - timedelta(hours=1)).isoformat()
    return {"event_id": f"e{number}", "learner_id": learner, "verb": "completed", "object_id": item, "occurred_at": at}


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(seconds=2)], ids=["one clock", "a clock behind"])
def test_an_event_is_in_the_next_ranking_by_the_other(play: Play, behind: timedelta) -> None:
    async def scene(one: Runtime, other: Runtime) -> None:
        for turn in range(TURNS):
            learner, item = f"new{turn // 2}", ("calm", "data")[turn % 2]
            writes, reads = ((one, other), (other, one))[turn % 3 % 2]
            for worker in (one, other):  # both have the history as it was before
                assert item in shown(await ranked(worker, learner))
            await ingest(writes, TENANT, completed(turn, learner, item))
            found = await ranked(reads, learner)
            assert f"e{turn}" in found.events_read
            assert item in found.removed["finished"]
            _, events = await reads.known(TENANT, learner, found.decided_at)
            assert [event.event_id for event in events] == [*found.events_read]  # its moment is one at which all was known

    play(scene, behind)


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(seconds=2)], ids=["one clock", "a clock behind"])
def test_what_one_voided_the_other_has_forgotten(play: Play, behind: timedelta) -> None:
    async def scene(one: Runtime, other: Runtime) -> None:
        for turn in range(TURNS):
            number = f"00000000-0000-4000-8000-{turn:012}"
            actor = {"account": {"homePage": "https://lms.example", "name": "ana"}}
            said = {"actor": actor, "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}, "object": {"id": "urn:calm"}}
            void = {"actor": actor, "verb": {"id": "http://adlnet.gov/expapi/verbs/voided"}}
            gone = {"objectType": "StatementRef", "id": number}
            await xapi.post(one, SENDER, HEADERS, {**said, "id": number})
            assert number in (await ranked(other, ANA)).events_read
            await xapi.post(one, SENDER, HEADERS, {**void, "object": gone})
            found = await ranked(other, ANA)
            assert found.events_read == ()

    play(scene, behind)


def test_whom_one_erased_the_other_does_not_know(play: Play) -> None:
    async def scene(one: Runtime, other: Runtime) -> None:
        for turn in range(TURNS):
            await ingest(one, TENANT, completed(turn, f"new{turn}", "calm"))
            assert (await ranked(other, f"new{turn}")).events_read == (f"e{turn}",)
            await rights.erase(one, TENANT, f"new{turn}")
            found = await ranked(other, f"new{turn}")
            assert (found.events_read, "calm" in shown(found)) == ((), True)

    play(scene)


async def put(worker: Runtime, **changed: Any) -> None:
    row = canonical_json(LEARNERS[0].model_copy(update=changed))
    headers = {"content-type": "application/json"}
    await catalogue.put(worker, TENANT, "learner", headers, f"[{row}]".encode(), SyncQuery())


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(seconds=2)], ids=["one clock", "a clock behind"])
def test_a_learner_row_that_one_changed_the_other_ranks_by(play: Play, behind: timedelta) -> None:
    async def scene(one: Runtime, other: Runtime) -> None:
        await ingest(one, TENANT, completed(1, "alias", "calm"))
        for _ in range(TURNS):
            await put(one, aliases=("alias",), audiences=("leaders",))  # merged, and led to another audience
            found = await ranked(other)
            assert (found.events_read, "lead" in shown(found)) == (("e1",), True)
            await put(one, aliases=(), audiences=(CUSTOMERS,))
            found = await ranked(other)
            assert (found.events_read, "lead" in shown(found)) == ((), False)

    play(scene, behind)
