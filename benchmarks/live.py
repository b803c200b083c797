"""Live traffic at a constant rate, whether or not answers come in time."""

import asyncio
import random
import time
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import numpy as np

EACH_EVENT = 5
"""Every fifth request posts an event, the others ask for a ranking."""


@dataclass
class Latencies:
    """Milliseconds from when a request was due to the end of its answer; `failed`: those without one (not 200)."""

    rankings: list[float] = field(default_factory=list)
    events: list[float] = field(default_factory=list)
    failed: int = 0

    def quantile(self, share: float) -> float:
        """Of all requests."""
        return float(np.quantile([*self.rankings, *self.events], share))

    def figures(self) -> dict[str, float]:
        """Counts and quantiles, together and by kind."""
        found = {"requests": len(self.rankings) + len(self.events), "p50_ms": self.quantile(0.5), "p99_ms": self.quantile(0.99)}
        for name, kind in (("rankings", self.rankings), ("events", self.events)):
            found[f"{name}_p99_ms"] = float(np.quantile(kind, 0.99))
        return {name: round(value, 1) for name, value in found.items()}


class Live:
    """Rankings and single events of random learners, `rate` a second."""

    def __init__(self, service: str, key: str, learners: Sequence[str], items: Sequence[str], rate: float) -> None:
        self.service = service
        self._headers = {"Authorization": f"Bearer {key}"}
        self._learners, self._items, self._rate = learners, items, rate
        self._chance = random.Random(1)

    async def during(self, work: Coroutine[Any, Any, None]) -> Latencies:
        """What requests took that were due while `work` ran."""
        found, waiting = Latencies(), set[asyncio.Task[None]]()
        async with aiohttp.ClientSession(
            self.service, headers=self._headers, connector=aiohttp.TCPConnector(limit=0)
        ) as session:
            working, began, number = asyncio.ensure_future(work), time.perf_counter(), 0
            while not working.done():
                due = began + number / self._rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                waiting.add(asyncio.create_task(self._ask(session, number, due, found)))
                number += 1
            await asyncio.gather(working, *waiting)
        return found

    async def _ask(self, session: aiohttp.ClientSession, number: int, due: float, found: Latencies) -> None:
        posts = number % EACH_EVENT == 0
        path, body = ("/v1/events", self._event()) if posts else ("/v1/recommendations", {"learner_id": self._learner()})
        try:
            async with session.post(path, json=body) as answer:
                await answer.read()
                answered = answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            answered = False
        (found.events if posts else found.rankings).append((time.perf_counter() - due) * 1000)
        found.failed += not answered

    def _learner(self) -> str:
        return self._chance.choice(self._learners)

    def _event(self) -> dict[str, str]:
        now = datetime.now(UTC).isoformat()
        named = {"event_id": str(uuid.uuid4()), "learner_id": self._learner(), "object_id": self._chance.choice(self._items)}
        return {**named, "verb": "progressed", "occurred_at": now}
