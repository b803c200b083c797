"""The service as a real process under load, and its database: what trouble is made with, and what must hold whatever comes."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from acme import ITEMS as OF_ACME
from acme import KEY, LEARNERS, NOW, ROLE, SKILLS, TENANT

from features.store import EventStore
from serving.settings import Settings, child_environment

ROOT = Path(__file__).parents[2]
RECOMMEND = "/v1/recommendations"
ITEMS = tuple(
    one if one.id != "soon" else one.model_copy(update={"available_from": datetime(2100, 1, 1, tzinfo=UTC)}) for one in OF_ACME
)
"""By the clock of a real process `soon` is not available either."""


class Answer(NamedTuple):
    """`status` 0: the connection broke before an answer came."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]
    learner_id: str
    took_s: float


def settings_of(folder: Path, store_url: str, bundles: Path) -> Settings:
    return Settings(
        store=store_url, bundles=bundles, spool=folder / "spool", dev_key="test-key", dev_tenant=TENANT, poll_s=0.05
    )


def fill(store_url: str) -> None:
    """The small company."""
    store = EventStore.open(store_url)
    store.tenant(TENANT).put([*ITEMS, *SKILLS, ROLE, *LEARNERS], at=datetime(2025, 1, 1, tzinfo=UTC))
    store.close()


class Service:
    """`python -m serving serve`, or with more than one worker what that starts."""

    def __init__(self, settings: Settings, folder: Path, *, workers: int = 1) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        environment = child_environment(settings) | {
            "NEXTWISE_DEV_KEY": settings.dev_key,
            "NEXTWISE_DEV_TENANT": settings.dev_tenant,
            "NEXTWISE_POLL_S": str(settings.poll_s),
            "NEXTWISE_RATE_PER_S": "0",
            "BENTOML_CONFIG_OPTIONS": f"services.nextwise.workers={workers}",
        }
        self.log = folder / "service.log"
        command = [sys.executable, "-m", "serving", "serve", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def workers(self) -> list[psutil.Process]:
        """Those that live."""
        found = []
        for one in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):  # it is gone, or a zombie
                found += [one] if "_bentoml_impl.worker.service" in one.cmdline() else []
        return found

    def ready(self) -> bool:
        return self.ask("GET", "/readyz").status == 200

    def ask(self, method: str, path: str, body: Any = None, *, timeout: float = 15) -> Answer:
        """One request on a connection of its own."""
        with self.connection(timeout) as connection:
            return asked(connection, method, path, body)

    @contextmanager
    def connection(self, timeout: float = 15) -> Iterator[http.client.HTTPConnection]:
        opened = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            yield opened
        finally:
            opened.close()

    def stop(self) -> None:
        """As a scheduler does it: it may finish what it began."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def text(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def serving(settings: Settings, folder: Path, *, workers: int = 1) -> Iterator[Service]:
    service = Service(settings, folder, workers=workers)
    try:
        within(service.ready, 40, service.text)
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()


def within(true: Callable[[], bool], seconds: float, said: Callable[[], str] = lambda: "") -> None:
    """Waits until it is true; fails with what is said after so many seconds."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not within {seconds:g} s {said()[-4000:]}"
        time.sleep(0.05)


def asked(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> Answer:
    began = time.monotonic()
    learner = body["learner_id"] if isinstance(body, dict) and "learner_id" in body else ""
    try:
        connection.request(
            method, path, None if body is None else json.dumps(body), {**KEY, "Content-Type": "application/json"}
        )
        got = connection.getresponse()
        text = got.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return Answer(0, {}, {}, learner, time.monotonic() - began)
    found = json.loads(text) if text[:1] == b"{" else {}
    headers = {name.lower(): value for name, value in got.getheaders()}
    return Answer(got.status, headers, found, learner, time.monotonic() - began)


class Load:
    """Clients that ask again as soon as they are answered, for rankings, and where `events` for events to be stored too."""

    def __init__(self, service: Service, clients: int = 4, *, events: bool = True) -> None:
        self.answers: list[Answer] = []
        self.acknowledged: list[str] = []
        self._service, self._events, self._numbers = service, events, count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(clients)]

    def __enter__(self) -> "Load":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()

    def more(self, answers: int, seconds: float = 20) -> None:
        """Waits until so many more were answered with 200."""
        before = self.good()
        within(lambda: self.good() >= before + answers, seconds, self._service.text)

    def good(self) -> int:
        return sum(one.status == 200 for one in self.answers)

    def _ask(self, number: int) -> None:
        learners = [one.id for one in LEARNERS]
        with self._service.connection() as connection:
            for turn in count(number):
                if self._stop.is_set():
                    return
                if self._events and turn % 5 == 0:
                    self._store(connection)
                got = asked(connection, "POST", RECOMMEND, {"learner_id": learners[turn % len(learners)]})
                self.answers.append(got)
                if got.status != 200:
                    time.sleep(0.02)

    def _store(self, connection: http.client.HTTPConnection) -> None:
        event = {
            "event_id": f"load-{next(self._numbers)}",
            "learner_id": "nobody-known",
            "verb": "started",
            "object_id": "calm",
        }
        got = asked(connection, "POST", "/v1/events", {**event, "occurred_at": NOW.isoformat()})
        self.answers.append(got)
        if got.status == 200:
            self.acknowledged.append(event["event_id"])


def rankings(answers: Sequence[Answer]) -> list[Answer]:
    """Those that hold a decision."""
    return [one for one in answers if one.status == 200 and "decision_id" in one.body]


def shown(one: Answer) -> list[str]:
    return [item["item_id"] for row in one.body["rows"] for item in row["items"]]


def as_ever(learner_id: str) -> str | None:
    """The fallback of a learner where nothing is wrong."""
    return "personalisation_off" if learner_id == "off" else None


def held(answers: Sequence[Answer], *, broken: bool = False) -> None:
    """What must hold of every answer: 200, or 503 with when to come again; no fallback but that of a lost store; and the
    rules: what is not available is not shown, and what is for leaders only to who is known to be one.

    `broken`: connections may break.
    """
    counted = Counter(one.status for one in answers)
    allowed = {200, 503, *([0] if broken else [])}
    assert set(counted) <= allowed, (counted, [one for one in answers if one.status not in allowed][:3])
    assert all(int(one.headers["retry-after"]) > 0 for one in answers if one.status == 503)
    for one in rankings(answers):
        assert one.body["fallback"] in (as_ever(one.learner_id), "history_unavailable"), one
        leads = one.learner_id == "ben" and one.body["fallback"] is None
        assert not {*shown(one)} & {"soon", *([] if leads else ["lead"])}, one


def stored_once(
    store_url: str, answers: Sequence[Answer], acknowledged: list[str], spool: Path, *, seconds: float = 15
) -> None:
    """That everything acknowledged is in the store once and equal to the answer, and the spool is empty, soon."""
    within(lambda: not list(spool.glob("*.jsonl")), seconds)
    store = EventStore.open(store_url)
    try:
        session = store.tenant(TENANT)
        decisions = [decision for _, decision in session.decisions()]
        events = Counter(event.event_id for _, event in session.events())
    finally:
        store.close()
    found = Counter(one.decision_id for one in decisions)
    given = {one.body["decision_id"]: one for one in rankings(answers)}
    assert set(found.values()) <= {1}
    assert given.keys() <= found.keys(), f"{len(given.keys() - found.keys())} of {len(given)} are not stored"
    by_id = {one.decision_id: one for one in decisions}
    assert all(sorted(item.item_id for item in by_id[name].slate) == sorted(shown(one)) for name, one in given.items())
    assert all(events[name] == 1 for name in acknowledged)
