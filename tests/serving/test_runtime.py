"""Where answers are worked out: short histories on the event loop, long ones beside it."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from acme import CUSTOMERS, NOW, TENANT, event

from features.decisions import Decision
from features.events import Verb
from features.store import EventStore
from serving.payloads import RankRequest
from serving.runtime import LONG, Runtime
from serving.settings import Settings


class Watched(Runtime):
    """The runtime, which also says in which threads it ranked."""

    threads: tuple[threading.Thread, ...] = ()

    def _rank(self, *given: Any) -> Decision:
        self.threads += (threading.current_thread(),)
        return super()._rank(*given)


def decided(runtime: Runtime, request: RankRequest, *, times: int = 1) -> list[Decision]:
    async def run() -> list[Decision]:
        await runtime.start()
        try:
            return await asyncio.gather(*(runtime.decide(TENANT, request) for _ in range(times)))
        finally:
            await runtime.stop()

    return asyncio.run(run())


@pytest.mark.parametrize(("count", "on_the_loop"), [(LONG - 1, True), (LONG, False)])
def test_a_long_history_is_ranked_beside_the_event_loop(
    settings: Settings, store: EventStore, count: int, on_the_loop: bool
) -> None:
    times = [NOW - timedelta(minutes=number) for number in range(count)]
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "calm", at=at) for at in times])
    runtime = Watched(settings, clock=lambda: NOW)
    (decision,) = decided(runtime, RankRequest(learner_id="ana", candidates=("calm", "data")))
    assert decision.fallback is None
    assert (len(decision.events_read), decision.removed["finished"]) == (count, ("calm",))
    assert [thread is threading.main_thread() for thread in runtime.threads] == [on_the_loop]


def test_many_at_once_get_each_an_answer_of_their_own(settings: Settings, store: EventStore) -> None:
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "gone", at=NOW - timedelta(minutes=n)) for n in range(LONG)])
    runtime = Watched(settings, clock=lambda: NOW)
    found = decided(runtime, RankRequest(learner_id="ana", candidates=("calm", "lead", "gone")), times=20)
    assert len({decision.decision_id for decision in found}) == len(runtime.threads) == 20
    for decision in found:  # nothing but items that the bundle does not know: what is popular, by every rule
        assert [item.item_id for row in decision.rows for item in row.items] == ["calm"]
        assert decision.removed == {"other_audience": ("lead",), "unknown_item": ("gone",)}
    assert store.tenant(TENANT).learner("ana", at=NOW).audiences == (CUSTOMERS,)  # type: ignore[union-attr]
