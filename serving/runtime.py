"""The running service: store, bundles, policy, keys and decision log put together. Knows nothing of HTTP."""

import asyncio
import gc
import logging
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

from features.catalogue import Learner
from features.decisions import Decision
from features.events import Event
from features.store import Appended, EventStore
from serving.bundles import Bundles
from serving.decision_log import DecisionLog, Spool
from serving.keys import Keys
from serving.metrics import Metrics
from serving.payloads import Request
from serving.pipeline import HISTORY_UNAVAILABLE, MODEL_FAILED, rank
from serving.policy import load_policy
from serving.prepared import Prepared
from serving.settings import Settings

_LOG = logging.getLogger("nextwise")
T = TypeVar("T")


class NotReadyError(Exception):
    """The service cannot answer yet; the message says what is missing."""


class StoreDownError(Exception):
    """The event store does not take what must be durable."""


class Runtime:
    """One worker's state. `start` opens, `stop` closes; between them `decide` and `append` answer."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.settings = settings
        self.clock = clock
        self.keys = Keys.of(settings)
        self.policy = load_policy(settings.policy)
        self.bundles = Bundles(settings.bundles)
        self.metrics = Metrics(lambda: self.bundles.served, settings.prometheus_dir)
        self._store: EventStore | None = None
        # SQLite in WAL mode never makes a reader wait, and its driver gives up the interpreter lock at every row: a read in
        # place takes half a millisecond, in a thread beside a busy event loop ten and more.
        self._local = settings.store.startswith("sqlite")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="store-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._log: DecisionLog | None = None
        self._spool: Spool | None = None

    async def start(self) -> None:
        """Open the store (a store that is down is tried again at each use), load the bundles, start the two tasks."""
        if self.settings.dev_key:
            _LOG.warning(
                "DEVELOPMENT KEY in use for tenant %s: set NEXTWISE_DEV_KEY empty in production", self.settings.dev_tenant
            )
        self._spool = Spool(self.settings.spool)
        self._log = DecisionLog(self._record, self._spool, self._writer)
        self._log.start()
        await asyncio.to_thread(self.bundles.refresh)
        self.bundles.start(self.settings.poll_s)
        gc.collect()
        gc.freeze()  # what was loaded stays: no later collection walks through it

    async def stop(self) -> None:
        """Write what is queued and close."""
        await self.bundles.stop()
        if self._log is not None:
            await self._log.stop()
        if self._spool is not None:
            self._spool.close()
        self._readers.shutdown()
        self._writer.shutdown()
        if self._store is not None:
            self._store.close()

    async def decide(self, tenant: str, request: Request) -> Decision:
        """The recorded decision for a request. Raises NotReadyError without a bundle, StoreDownError if none records it."""
        stock = self.bundles.current(tenant)
        if stock is None or self._log is None:
            raise NotReadyError(f"no bundle is loaded for tenant {tenant}; {self.bundles.refused.get(tenant, 'publish one')}")
        now = self.clock()
        learner, history, fallback = await self._known(tenant, request.learner_id, now)
        decision = self._rank(stock, request, learner, history, now, fallback)
        try:
            await self._log.record(decision)
        except Exception as error:
            raise StoreDownError("the decision could not be recorded, neither in the store nor in the spool") from error
        self.metrics.decided(decision)
        return decision

    async def append(self, tenant: str, events: Sequence[Event]) -> Appended:
        """Store events durably. Raises StoreDownError."""
        if not events:
            return Appended(())
        try:
            return await self._in(self._writer, lambda: self.store.tenant(tenant).append(events))
        except Exception as error:
            raise StoreDownError(f"the event store does not accept events: {error}") from error

    async def missing(self) -> list[str]:
        """What keeps the service from being ready, in words; empty when it is."""
        found = []
        if not self.bundles.served:
            found.append(f"no bundle is published under {self.settings.bundles}; run `python -m training publish`")
            found += [f"bundle of tenant {tenant}: {reason}" for tenant, reason in sorted(self.bundles.refused.items())]
        try:
            await asyncio.wait_for(self._in(self._writer, self._try_write), timeout=5)
        except Exception as error:
            found.append(f"the event store is not writable: {error or type(error).__name__}")
        return found

    @property
    def store(self) -> EventStore:
        """The store, opened at first use and again after a failure to open it."""
        if self._store is None:
            self._store = EventStore.open(self.settings.store)
        return self._store

    def _rank(
        self,
        stock: Prepared,
        request: Request,
        learner: Learner | None,
        history: Sequence[Event],
        now: datetime,
        fallback: str | None,
    ) -> Decision:
        decision_id = str(uuid.uuid4())
        try:
            return rank(
                stock, request, learner, history, at=now, decision_id=decision_id, policy=self.policy, fallback=fallback
            )
        except Exception:
            if fallback is not None:
                raise
            _LOG.exception("ranking by the model failed; popularity answers")
            fallback = MODEL_FAILED
        return rank(stock, request, learner, history, at=now, decision_id=decision_id, policy=self.policy, fallback=fallback)

    async def _known(self, tenant: str, learner_id: str, now: datetime) -> tuple[Learner | None, Sequence[Event], str | None]:
        """Learner and history, or a named fallback when the store does not answer in time."""

        try:
            if self._local:
                learner, history = self._read(tenant, learner_id, now)
            else:
                reading = self._in(self._readers, lambda: self._read(tenant, learner_id, now))
                learner, history = await asyncio.wait_for(reading, self.settings.deadline_ms / 1000)
        except Exception as error:
            _LOG.warning("the history cannot be read (%s); popularity answers", error or type(error).__name__)
            return None, (), HISTORY_UNAVAILABLE
        return learner, history, None

    def _read(self, tenant: str, learner_id: str, now: datetime) -> tuple[Learner | None, Sequence[Event]]:
        session = self.store.tenant(tenant)
        learner = session.learner(learner_id, at=now)
        return learner, session.history(learner_id, known_by=now)

    def _record(self, tenant: str, decisions: Sequence[Decision]) -> None:
        self.store.tenant(tenant).record(decisions)

    def _try_write(self) -> None:
        self.store.tenant(self.settings.dev_tenant).record([])

    async def _in(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, work)
