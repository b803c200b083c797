"""The running service: store, bundles, policy, keys and decision log put together. Knows nothing of HTTP."""

import asyncio
import gc
import logging
import sys
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final, NamedTuple, TypeVar

from prometheus_client import Gauge

from features.catalogue import Learner
from features.decisions import Decision
from features.duties import NOTHING, Assigned
from features.events import Event
from features.grants import Grant
from features.keys import Key
from features.store import (
    Appended,
    ConflictError,
    EventStore,
    GrantedError,
    MergeError,
    NotMergedError,
    TakenError,
    TenantSession,
    VanishError,
    VersionError,
)
from serving.arms import Arms, Experiments, Kind, Treatment
from serving.bundles import Bundles
from serving.claims import Signer
from serving.clock import Clock
from serving.cors import Origins
from serving.decision_log import DecisionLog, Spool
from serving.keys import Keys
from serving.logs import said
from serving.looked import Looked
from serving.metrics import Metrics
from serving.payloads import RecommendationsRequest, Request
from serving.pipeline import HISTORY_UNAVAILABLE, MODEL_FAILED, Stages, rank
from serving.policy import Policy, PolicyFile
from serving.prepared import Prepared
from serving.rates import Rates
from serving.rules.language import MOST_DAYS, Rule
from serving.rules.limits import window
from serving.settings import Settings
from serving.shadow import Shadow
from serving.spare import Spare
from serving.storage import Storage
from serving.strangers import Strangers
from serving.tracing import TRACE, Tracing, exported
from serving.turns import Turns

APPEND_S: Final = 5.0
"""Seconds until a host hears that its events were not acknowledged; the service's own time-out is twice that."""
READ_S: Final = 5.0
"""Seconds until a request hears that what it asks of the store was not read."""
LONG_READ_S: Final = 60.0
"""The same for what reads all of a tenant."""
REST_S: Final = 1.0
SERVICE: Final = "service"
"""Who writes what no key asked for, as the audit log has it."""
LONG: Final = 500
"""Events of a learner from which on an answer is worked out beside the event loop: ten thousand take a tenth of a second."""

TOKEN_PER_S: Final = 10.0
"""Requests a second that the tokens of one learner may send to one worker, twice as many in a burst."""
_REFUSALS: Final = (ConflictError, GrantedError, MergeError, NotMergedError, TakenError, VanishError, VersionError)
_LOG = logging.getLogger("nextwise")
T = TypeVar("T")


class NotReadyError(Exception):
    """The service cannot answer yet; the message says what is missing."""


class StoreDownError(Exception):
    """The event store does not take what must be durable."""


class Known(NamedTuple):
    """What the store says of a learner at a moment, and which grants held then. `fallback`: why it says nothing.

    `nudges`: those that spoke to them, for as many days as some limit counts.
    """

    learner: Learner | None = None
    history: Sequence[Event] = ()
    grants: tuple[Grant, ...] = ()
    assigned: Assigned = NOTHING
    fallback: str | None = None
    nudges: Sequence[Decision] = ()


class _RestsError(StoreDownError):
    """The event store is not asked at the moment."""


class Runtime:
    """One worker's state. `start` opens, `stop` closes; between them `decide` and `append` answer."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.settings = settings
        self.clock = Clock(clock)
        self.signer = Signer(settings.token_secrets)
        strangers = Strangers()
        by_hash, by_id = Looked(self._key, strangers), Looked(self._key_of_id, strangers)
        self.keys = Keys.of(settings, by_hash, by_id, signer=self.signer, clock=self.clock)
        self.origins = Origins(settings.origins)
        self.rates = Rates(settings.rate_per_s)
        self.token_rates = Rates(min(settings.rate_per_s, TOKEN_PER_S))
        self.link_strangers = Strangers()
        self.turns = Turns()
        self.dry_runs = set[str]()  # tenants with one under way
        self._policy = PolicyFile(settings.policy)
        self.experiments = Experiments(settings.experiments)
        self.bundles = Bundles(settings.bundles, self.experiments.bundles, rest=Spare(self.turns), first=self._rank_for_nobody)
        self.arms = Arms(self.experiments, self.bundles)
        self.metrics = Metrics(self.bundles, settings.spool, settings.prometheus_dir)
        self.tracing = Tracing()
        self._waiting: dict[ThreadPoolExecutor, Gauge] = {}
        self._recording = self.metrics.waiting.labels("decisions")
        self._storage = Storage(settings.store, read_wait_s=min(settings.deadline_ms / 10_000, 0.05))
        self._rests_until = 0.0
        self._readers = self._threads("store-read", 2)
        self._writer = self._threads("store-write")
        # One alone: more would only contend with the event loop for the interpreter lock.
        self._worker = self._threads("long-history")
        # Apart from the worker: reading 20 MB takes seconds, and 200 MB of memory, so one at a time.
        self._reader = self._threads("large-body")
        self.large_body = asyncio.Lock()
        self._intake = self._threads("statements")
        # Reads every event of a tenant for one answer: nothing else waits for it.
        self._reports = self._threads("reports")
        self._challenging = ThreadPoolExecutor(1, thread_name_prefix="challenger")
        self._shadow = Shadow(settings.shadow_share, self.metrics, self._challenging)
        self._log: DecisionLog | None = None
        self._spool: Spool | None = None

    @property
    def policy(self) -> Policy:
        """The policy as its file has it now."""
        return self._policy.current()

    async def start(self) -> None:
        """Open the store (a store that is down is tried again at each use), load the bundles, start the two tasks."""
        if self.settings.dev_key:
            _LOG.warning(
                "DEVELOPMENT KEY in use for tenant %s: set NEXTWISE_DEV_KEY empty in production", self.settings.dev_tenant
            )
        self.metrics.workers.set(1)
        self.tracing = exported(self.settings.traces_exporter, disabled=self.settings.sdk_disabled)
        self._spool = Spool(self.settings.spool)
        self._log = DecisionLog(self._record, self._spool, self._writer)
        self._log.start()
        await asyncio.to_thread(self.bundles.refresh)
        self.bundles.start(self.settings.poll_s)
        # While a long history or a large body is worked out, a request and its commit wait that long each time they want the
        # interpreter lock, some ten times: with Python's own value rankings take twice as long meanwhile.
        sys.setswitchinterval(0.0002)
        gc.collect()
        gc.freeze()  # what was loaded stays: no later collection walks through it
        gc.set_threshold(20_000, 20, 100)  # remembered histories are no garbage: a walk through all of them takes 100 ms

    async def stop(self) -> None:
        """Write what is queued and close."""
        await self.bundles.stop()
        if self._log is not None:
            await self._log.stop()
        if self._spool is not None:
            self._spool.close()
        self._readers.shutdown()
        self._writer.shutdown()
        self._worker.shutdown()
        self._reader.shutdown()
        self._intake.shutdown()
        self._reports.shutdown()
        self._challenging.shutdown()
        self._storage.close()
        self.tracing.close()

    async def decide(self, tenant: str, request: Request) -> Decision:
        """The recorded decision for a request. Raises NotReadyError without a bundle, StoreDownError if none records it."""
        stock, now = self.stock(tenant), self.clock()
        before, duties = Stages(), isinstance(request, RecommendationsRequest)
        days = self._days(tenant, request.rules)
        found = await self._known(tenant, request.learner_id, self.clock.known_by, stock, duties=duties, days=days)
        before.done("read")
        treated = self.treatment("ranking", tenant, request.learner_id, found, stock)
        decision = await self.worked_out(len(found.history), lambda: self._rank(treated, request, found, now))
        after = Stages()
        await self.record(decision)
        after.done("record")
        self.metrics.decided(decision, before.ms | after.ms)
        if (trace := TRACE.get(None)) is not None:
            trace.decided(decision, before.ms, after.ms)
        challenger = self.bundles.challenger(tenant)
        if challenger is not None and decision.bundle == stock.bundle.name:
            beside = replace(treated, stock=challenger)
            made = decision.decided_at, decision.decision_id, None
            self._shadow.consider(decision, lambda: self._ranked(beside, request, found, *made))
        return decision

    async def record(self, decision: Decision) -> None:
        """Record a decision, in the store or in the spool. Raises NotReadyError, StoreDownError if neither takes it."""
        if self._log is None:
            raise NotReadyError("the service is starting")
        try:
            with self._recording.track_inprogress():
                await self._log.record(decision)
        except Exception as error:
            raise StoreDownError("the decision could not be recorded, neither in the store nor in the spool") from error

    def treatment(self, kind: Kind, tenant: str, learner_id: str, found: Known, stock: Prepared) -> Treatment:
        """The arms of a learner, with policy and bundle; none for somebody of whom nothing can be read."""
        if found.fallback is not None:
            return Treatment(self.policy, stock)
        return self.arms.treatment(kind, tenant, learner_id, found.learner, self.policy, stock)

    def stock(self, tenant: str) -> Prepared:
        """The bundle that serves. Raises NotReadyError without one."""
        stock = self.bundles.current(tenant)
        if stock is None:
            raise NotReadyError(f"no bundle is loaded for tenant {tenant}; {self.bundles.refused.get(tenant, 'publish one')}")
        return stock

    @property
    def spooling(self) -> bool:
        """Whether decisions wait on this machine to be stored."""
        return self._spool is not None and self._spool.waiting_anywhere

    async def known(
        self, tenant: str, learner_id: str, at: datetime, stock: Prepared, *, duties: bool = False, rules: Sequence[Rule] = ()
    ) -> Known:
        """A learner's catalogue row and events as known at `at`, `duties`: and what is assigned to them. `rules`: of the
        request, whose limits may count days of nudges.

        Raises StoreDownError: nothing stands in for them.
        """
        found = await self._known(tenant, learner_id, at, stock, duties=duties, days=self._days(tenant, rules))
        if found.fallback is not None:
            raise StoreDownError("the learner's events cannot be read at the moment")
        return found

    async def worked_out(self, events: int, work: Callable[[], T]) -> T:
        """The result of `work`, which takes time by a learner's number of events; with many of them other requests go on."""
        return work() if events < LONG else await self._in(self._worker, work)

    async def apart(self, work: Callable[[], T]) -> T:
        """The result of `work` on a large body, beside event loop and long histories; hold `large_body` meanwhile."""
        return await self._in(self._reader, work)

    async def append(self, tenant: str, events: Sequence[Event]) -> Appended:
        """Store events durably. Raises StoreDownError, at the latest after `APPEND_S` seconds."""
        if not events:
            return Appended(())
        began = monotonic()
        stored = await self.write(tenant, lambda session: session.append(events))
        self.metrics.known.observe(monotonic() - began)
        return stored

    async def write(self, tenant: str, work: Callable[[TenantSession], T], *, by: str = SERVICE) -> T:
        """What `work` says of its writing, which is durable then. `by`: the id of the key whose work it is.

        Raises StoreDownError, at the latest after `APPEND_S` seconds, and those errors of `work` by which the store refuses
        what it is given.
        """
        try:
            writing = self._in(self._writer, lambda: self._storage.write(lambda store: work(store.tenant(tenant, by=by))))
            return await asyncio.wait_for(writing, APPEND_S)
        except _REFUSALS:
            raise
        except TimeoutError as error:
            raise StoreDownError(
                f"the event store did not answer within {APPEND_S:g} s; send the same again: what was stored after all"
                " is then a duplicate, which is harmless"
            ) from error
        except Exception as error:
            raise StoreDownError(f"the event store does not accept events: {said(error)}") from error

    async def beside(self, tenant: str, work: Callable[[TenantSession], T], *, long: bool = False) -> T:
        """What `work` finds with the tenant's rows, worked out beside the event loop. Raises StoreDownError where the store
        does not answer, and the ValueErrors of `work`. `long`: it may take seconds, and waits only for its like.
        """
        executor, wait_s = (self._reports, LONG_READ_S) if long else (self._intake, READ_S)
        try:
            reading = self._in(executor, lambda: self._storage.read(lambda store: work(store.tenant(tenant))))
            return await asyncio.wait_for(reading, wait_s)
        except ValueError:
            raise
        except TimeoutError as error:
            raise StoreDownError(f"the event store did not answer within {wait_s:g} s") from error
        except Exception as error:
            raise StoreDownError(f"the event store does not answer: {said(error)}") from error

    async def settle(self, tenant: str) -> None:
        """After much was written: does what a commit would have to do later, with others waiting for it."""
        with suppress(StoreDownError):
            await self.beside(tenant, lambda session: session.settle())

    async def missing(self) -> list[str]:
        """What keeps the service from being ready, in words that name no tenant, for anybody may ask; empty when it is.

        Only the development key's tenant is named, which the settings name.
        """
        found = []
        if not self.bundles.served:
            words = "run `python -m training publish`; the log says which were refused, and why"
            found.append(f"no bundle can be loaded from {self.settings.bundles}: {words}")
        else:
            unserved = [tenant for tenant in self.keys.development_tenants if self.bundles.current(tenant) is None]
            found += [f"the development key opens tenant {tenant}, which has no bundle; publish one" for tenant in unserved]
        try:
            await asyncio.wait_for(self._in(self._writer, lambda: self._storage.write(EventStore.probe)), APPEND_S)
            # Opened for reading as well, or the first ranking would wait for that, and go without a history.
            await asyncio.wait_for(self._in(self._readers, lambda: self._storage.read(EventStore.place)), APPEND_S)
        except Exception as error:
            found.append(f"the event store is not writable: {said(error)}")
        return found

    def _rank_for_nobody(self, stock: Prepared) -> Decision:
        """Of no learner, and recorded nowhere: what a bundle's first ranking makes for later ones is there then."""
        nobody = RecommendationsRequest(learner_id="nobody")
        return rank(stock, nobody, None, (), at=self.clock(), decision_id=str(uuid.uuid4()), policy=self.policy)

    def _rank(self, treated: Treatment, request: Request, found: Known, now: datetime) -> Decision:
        decision_id = str(uuid.uuid4())
        known = found.assigned.known_at or now
        now = max(now, known, *(event.recorded_at for event in found.history))  # never before what it knows

        try:
            return self._ranked(treated, request, found, now, decision_id, found.fallback or treated.fallback)
        except Exception:
            if found.fallback is not None:
                raise
            _LOG.exception("ranking by the model failed; popularity answers")
        return self._ranked(treated, request, found, now, decision_id, MODEL_FAILED)

    def _ranked(
        self, treated: Treatment, request: Request, found: Known, at: datetime, decision_id: str, fallback: str | None
    ) -> Decision:
        return rank(
            treated.stock,
            request,
            found.learner,
            found.history,
            at=at,
            decision_id=decision_id,
            policy=treated.policy,
            arms=treated.arms,
            fallback=fallback,
            grants=found.grants,
            assigned=found.assigned,
            nudges=found.nudges,
        )

    def _days(self, tenant: str, rules: Sequence[Rule]) -> int:
        """For how many days some limit counts what was put before a learner: of the policy, an arm's policy or a request."""
        if self.experiments.rules(tenant):
            return MOST_DAYS
        return window([*self.policy.rules_of(tenant), *rules])

    async def _known(
        self, tenant: str, learner_id: str, now: datetime, stock: Prepared, *, duties: bool = False, days: int = 0
    ) -> Known:
        """Learner, history, grants, what is assigned and the nudges of `days`, or a named fallback when the store does not
        answer in time.
        """

        def known(store: EventStore) -> Known:
            session = store.tenant(tenant)
            grants = session.grants(at=now) if stock.granted or self.experiments.bundles(tenant) else ()
            learner, names = session.learner(learner_id, at=now), session.names_of(learner_id, at=now)
            history = session.history(learner_id, known_by=now, names=names)
            assigned = session.assigned(learner, names, at=now) if duties else NOTHING
            nudges = session.nudges(learner_id, since=now - timedelta(days=days)) if days else ()
            return Known(learner, history, grants, assigned, nudges=nudges)

        try:
            return await self._read(known)
        except _RestsError:
            pass
        except Exception as error:
            _LOG.warning("the history cannot be read (%s); popularity answers", said(error))
        return Known(fallback=HISTORY_UNAVAILABLE)

    async def _key(self, key_hash: str) -> Key | None:
        return await self._read(lambda store: store.keys().find(key_hash))

    async def _key_of_id(self, key_id: str) -> Key | None:
        return await self._read(lambda store: store.keys().named(key_id))

    async def _read(self, work: Callable[[EventStore], T]) -> T:
        """What `work` reads in time: in place where that is quickest, else in a thread. Raises whatever the store raises.

        A store that failed is left alone for `REST_S` seconds: waiting for it anew with each request would hold up all.
        """
        if monotonic() < self._rests_until:
            raise _RestsError("the store failed a moment ago")
        try:
            if self._storage.reads_in_place:
                return self._storage.read(work)
            reading = self._in(self._readers, lambda: self._storage.read(work))
            return await asyncio.wait_for(reading, self.settings.deadline_ms / 1000)
        except Exception as error:
            if not isinstance(error, ValueError | LookupError | TypeError):  # those are about single rows
                self._rests_until = monotonic() + REST_S
            raise

    def _record(self, tenant: str, decisions: Sequence[Decision]) -> None:
        self._storage.write(lambda store: store.tenant(tenant).record(decisions))

    async def _in(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        waiting, running = self._waiting[executor], executor.submit(work)
        waiting.inc()
        running.add_done_callback(lambda _: waiting.dec())  # not when nobody waits for it any more: it is at work all the same
        return await asyncio.wrap_future(running)

    def _threads(self, name: str, count: int = 1) -> ThreadPoolExecutor:
        """Threads with a queue before them that is counted under their name."""
        made = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._waiting[made] = self.metrics.waiting.labels(name)
        return made
