"""Two workers under load: one is killed, bundles are swapped, the service is stopped. Nobody else notices."""

import asyncio
from itertools import groupby
from pathlib import Path

import pytest
from acme import TENANT, publish
from databases import Database
from running import ITEMS, Load, Service, held, rankings, serving, settings_of, stored_once, within

from serving.payloads import RecommendationsRequest
from serving.runtime import Runtime
from serving.settings import Settings
from training.bundle import read_pointer


@pytest.mark.slow
def test_a_killed_worker_a_swap_and_a_stop_under_load(database: Database, bundles: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, database.url, bundles)
    with serving(settings, tmp_path, workers=2) as service:
        with Load(service, 6) as load:
            load.more(50)
            _swap(service, settings, load)
            whole = list(load.answers)
            killed = service.workers()[0]
            database.stop()  # so that its spool is left behind
            load.more(50)
            killed.kill()
            load.more(50)
            database.start()
            within(lambda: len({one.pid for one in service.workers()} - {killed.pid}) == 2, 20, service.text)
            within(lambda: not list(settings.spool.glob("*.jsonl")), 20, service.text)
            load.more(50)
            service.stop()
        stored_once(database.url, load.answers, load.acknowledged, settings.spool, seconds=0)
    held(whole)
    assert {one.status for one in whole} == {200}
    held(load.answers, broken=True)
    assert len({one.body["bundle"] for one in rankings(whole)}) == 11
    assert "Traceback" not in service.text()


def test_ten_workers_swap_ten_times_under_load(database: Database, bundles: Path, tmp_path: Path) -> None:
    """Each with a state of its own, over one store: no answer fails, and none is by a bundle before one that was seen."""
    swaps, settings = 10, settings_of(tmp_path, database.url, bundles)

    async def ask(runtime: Runtime, seen: list[str]) -> None:
        while len(set(seen)) <= swaps:
            decision = await runtime.decide(TENANT, RecommendationsRequest(learner_id="ana"))
            assert decision.fallback is None
            seen.append(decision.bundle)
            await asyncio.sleep(0.005)

    async def all_of_them() -> list[list[str]]:
        workers, seen = [Runtime(settings) for _ in range(10)], [list[str]() for _ in range(10)]
        for one in workers:
            await one.start()
            assert await one.missing() == []
        asking = [asyncio.create_task(ask(*each)) for each in zip(workers, seen, strict=True)]
        for number in range(swaps):
            old = read_pointer(settings.bundles, TENANT).bundle
            new = await asyncio.to_thread(_published, settings, number, old)
            while any(not answers or answers[-1] != new for answers in seen) and not any(one.done() for one in asking):
                await asyncio.sleep(0.01)
        await asyncio.wait_for(asyncio.gather(*asking), 30)
        for one in workers:
            await one.stop()
        return seen

    seen = asyncio.run(all_of_them())
    orders = {tuple(dict.fromkeys(answers)) for answers in seen}
    assert len(orders) == 1
    assert all(len(list(groupby(answers))) == swaps + 1 for answers in seen)


def _published(settings: Settings, number: int, old: str) -> str:
    return publish(settings.bundles, items=ITEMS, recipe={"n": number}, previous=old).name


def _swap(service: Service, settings: Settings, load: Load) -> None:
    """Ten times, and each time both workers follow."""
    for number in range(10):
        old = read_pointer(settings.bundles, settings.dev_tenant).bundle
        new = _published(settings, number, old)
        within(lambda new=new: all(one.body["bundle"] == new for one in rankings(load.answers[-12:])), 10, service.text)
