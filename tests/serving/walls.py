"""Two worlds that differ in one thing: in the first, another tenant has all that is asked for; in the second it never was.

Whoever asks with their own key must not be able to tell which world they are in, by anything they can see or measure.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from acme import ITEMS, NOW, publish
from starlette.testclient import TestClient

from features.keys import Scope
from features.store import EventStore
from features.store.opening import connect
from features.store.tables import METADATA
from features.store.wall import across
from serving import service
from serving.runtime import Runtime
from serving.settings import Settings
from serving.slates.slate import LIFE, Place, Slate
from serving.xapi import HEADER
from training.bundle import Pointer, read_pointer, write_pointer

OTHER, ASKING = "acme", "bolt"
EARLIER = (NOW - timedelta(days=2)).isoformat()
SECRET = "a secret of forty letters, for tokens too"
VOIDED = "http://adlnet.gov/expapi/verbs/voided"


class Ask(NamedTuple):
    """One request."""

    method: str
    path: str
    body: Any = None

    def send(self, client: TestClient) -> Any:
        return client.request(self.method, self.path, json=self.body, headers={HEADER: "1.0.3"}, follow_redirects=False)


# What the other tenant has. Both have a learner with the shared mailbox.
MAILBOX, SHARED, ACCOUNT = "mailto:olga@acme.example", "mailto:both@mail.example", "https://lms.acme.example|olga"
LEARNERS = ("olga", MAILBOX, ACCOUNT, SHARED, "olaf")
"""By id, by each alias, and one who was erased."""
ITEM, COURSE = "weld-1", "https://lms.acme.example/course/1"
EVENT, EVIDENCE, FEEDBACK = "acme-event", "acme-evidence", "acme-feedback"
DECISION = str(UUID(int=1))
SAID, TAKEN_BACK, VOIDING = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 4))
ROWS: dict[str, dict[str, Any]] = {
    "items": {"id": ITEM, "title": "Welding", "aliases": [COURSE], "skills": {"welding": 2}},
    "skills": {"id": "welding", "name": "Welding"},
    "roles": {"id": "welder", "name": "Welder", "expects": {"welding": 3}},
    "learners": {"id": "olga", "aliases": [MAILBOX, ACCOUNT, SHARED], "role_id": "welder", "manager_id": "oleg"},
    "assignments": {"id": "duty-1", "item_id": ITEM, "learner_id": "olga"},
}
THEIRS: dict[str, dict[str, Any]] = {
    "items": {"id": "calm", "title": "Calm calls", "aliases": ["https://bolt.example/calm"], "skills": {"listening": 3}},
    "skills": {"id": "listening", "name": "Listening"},
    "roles": {"id": "agent", "name": "Agent", "expects": {"listening": 3}},
    "learners": {"id": "bo", "aliases": [SHARED], "role_id": "agent"},
    "assignments": {"id": "own", "item_id": "calm", "learner_id": "bo"},
}
NAMING: dict[str, dict[str, Any]] = {
    "items": {"id": "new", "title": "New", "prerequisites": [ITEM], "replaces": COURSE, "skills": {"welding": 1}},
    "skills": {"id": "new", "name": "New"},
    "roles": {"id": "new", "name": "New", "expects": {"welding": 1}},
    "learners": {"id": "new", "role_id": "welder", "manager_id": "olga"},
    "assignments": {"id": "new", "item_id": COURSE, "learner_id": MAILBOX},
}
"""Rows of the tenant who asks, naming what the other one has."""


class Seen(NamedTuple):
    """What whoever asks can see of an answer, and what the database did for it. `steps`: of SQLite's machine."""

    status: int
    headers: dict[str, str]
    body: str
    statements: list[str]
    steps: int


def event(event_id: str, learner: str = "olga", item: str = ITEM, verb: str = "completed") -> dict[str, Any]:
    named = {"event_id": event_id, "learner_id": learner, "object_id": item, "decision_id": DECISION}
    return {**named, "verb": verb, "occurred_at": EARLIER}


def evidence(event_id: str, by: str = "oleg", learner: str = "olga") -> dict[str, Any]:
    told = {"kind": "attested", "by": by, "skill": "welding", "item_id": ITEM}
    return {"event_id": event_id, "learner_id": learner, "occurred_at": EARLIER, "decision_id": DECISION, **told}


def feedback(event_id: str, learner: str = "olga") -> dict[str, Any]:
    return {"event_id": event_id, "learner_id": learner, "item_id": ITEM, "feedback": "not_relevant", "decision_id": DECISION}


def slate(tenant: str) -> Slate:
    """An offline slate of the other tenant's decision."""
    began = NOW - timedelta(days=3)
    return Slate(tenant, "olga", DECISION, "b", began, began + LIFE, (Place(ITEM, 0, 1.0),))


def told(event_id: str) -> dict[str, Any]:
    return {"event_id": event_id, "item_id": ITEM, "did": "completed", "occurred_at": EARLIER}


def said(statement_id: str, verb: str = "completed", item: str = COURSE, mbox: str = MAILBOX) -> dict[str, Any]:
    who, what = {"mbox": mbox}, {"id": f"http://adlnet.gov/expapi/verbs/{verb}"}
    return {"id": statement_id, "actor": who, "verb": what, "object": {"id": item}, "timestamp": EARLIER}


def voids(statement_id: str, target: str) -> dict[str, Any]:
    taken_back = {"objectType": "StatementRef", "id": target}
    return {**said(statement_id), "verb": {"id": VOIDED}, "object": taken_back}


OPENING = [
    *(Ask("PUT", f"/v1/{plural}", row) for plural, row in THEIRS.items()),
    *(Ask("GET", f"/v1/learners/bo{end}") for end in ("", "/skills", "/gaps", "/export")),
    *(Ask("GET", path) for path in ("/v1/ingest/health", f"/xapi/statements?statementId={UUID(int=0)}", "/readyz")),
    *(Ask("DELETE", f"/v1/{kind}/nobody") for kind in ("learners", "items")),
    Ask("POST", "/v1/tokens", {"learner_id": "bo"}),
    Ask("GET", "/v1/audit?learner_id=bo"),
    Ask("POST", "/v1/recommendations", {"learner_id": "bo"}),
    Ask("POST", "/v1/events", event("bo-1", "bo", "calm")),
    Ask("POST", "/xapi/statements", voids(str(UUID(int=99)), str(UUID(int=98)))),
]
"""What the tenant who asks has, and what opens every connection and begins every table before anything is compared."""


def fill(client: TestClient) -> None:
    """Something of everything, over HTTP, as the other tenant; its first decision is `DECISION`."""
    asks = [Ask("PUT", f"/v1/{plural}", row) for plural, row in ROWS.items()]
    asks += [
        Ask("PUT", "/v1/learners", {"id": "oleg"}),
        Ask("POST", "/v1/recommendations", {"learner_id": "olga", "offline": True}),
        Ask("POST", "/v1/events", [event(EVENT), event("olafs", "olaf")]),
        Ask("POST", "/v1/evidence", evidence(EVIDENCE)),
        Ask("POST", "/v1/feedback", feedback(FEEDBACK)),
        Ask("POST", "/xapi/statements", [said(SAID), said(TAKEN_BACK), voids(VOIDING, TAKEN_BACK)]),
        Ask("DELETE", "/v1/learners/olaf"),
    ]
    for ask in asks:
        assert ask.send(client).status_code in (200, 204), ask


class World:
    """One of the two, served, with the key of the tenant who asks."""

    def __init__(self, folder: Path, url: str, patch: pytest.MonkeyPatch, *, other: bool) -> None:
        self.url, self.folder, self._other, self._patch = url, folder, other, patch
        # Else hashes of erased names would lie in another order, and no two audit logs would be alike.
        for place in ("suppression", "chain"):
            patch.setattr(f"features.store.{place}.secrets", SimpleNamespace(token_hex=lambda size: "a1" * size))
        patch.setattr("features.store.chain.time", SimpleNamespace(time_ns=lambda: 1_000))

    @contextmanager
    def served(self) -> Iterator[TestClient]:
        """The service; the other tenant has been there already, or never was."""
        bundles = self.folder / "bundles"
        publish(bundles, tenant=ASKING)
        key = self._with_other(bundles) if self._other else None
        spool = self.folder / "spool"
        settings = Settings(
            store=self.url, bundles=bundles, spool=spool, dev_key="test-key", dev_tenant=ASKING, token_secret=SECRET
        )
        service.pages.runtime = Runtime(settings, clock=lambda: NOW)
        with TestClient(service.Nextwise.to_asgi()) as client:
            self._number(100)
            self._key = key
            for ask in OPENING * 3:
                assert ask.send(self.as_asking(client)).status_code < 500
            if key is not None:
                self._number(1)
                fill(self.as_other(client))
            self._number(200)
            yield self.as_asking(client)

    def as_other(self, client: TestClient) -> TestClient:
        """The client with the other tenant's key."""
        client.headers["Authorization"] = f"Bearer {self._key}"
        return client

    def as_asking(self, client: TestClient) -> TestClient:
        """The client with the key of the tenant who asks."""
        client.headers["Authorization"] = "Bearer test-key"
        return client

    def _with_other(self, bundles: Path) -> str:
        """The other tenant's key and bundle; its newest bundle is one that is refused."""
        items = tuple(item.model_copy(update={"id": f"weld-{n}", "prerequisites": ()}) for n, item in enumerate(ITEMS))
        publish(bundles, tenant=OTHER, items=items)
        write_pointer(bundles, OTHER, Pointer(bundle="0" * 16, previous=read_pointer(bundles, OTHER).bundle))
        store = EventStore.open(self.url)
        key = store.keys().add(OTHER, "lms", [Scope.ADMIN], at=NOW)
        store.close()
        return key.text

    def _number(self, first: int) -> None:
        """Ids of decisions are numbers from here on, so that both worlds toss the same coins."""
        numbers = count(first)
        for place in ("runtime", "nudging.answer", "nudging.choices"):
            self._patch.setattr(f"serving.{place}.uuid", SimpleNamespace(uuid4=lambda: UUID(int=next(numbers))))

    def rows(self, tenant: str, *, numbered: bool = True) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of a tenant in all tables; without the numbers that count rows of all tenants, if so wanted."""
        engine, _ = connect(self.url, wait_s=10)
        found = {}
        with across(engine).connect() as connection:
            for table in METADATA.sorted_tables:
                if "tenant" not in table.c:
                    continue
                columns = [one for one in table.c if numbered or one.name not in ("seq", "version")]
                rows = connection.execute(sa.select(*columns).where(table.c.tenant == tenant).order_by(*table.primary_key))
                found[table.name] = [tuple(map(_timeless, row)) for row in rows]
        engine.dispose()
        return found


class Watch:
    """What the databases are asked while requests are answered: each statement, and how many steps SQLite takes."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.steps = 0

    @contextmanager
    def all_connections(self) -> Iterator["Watch"]:
        sa.event.listen(sa.Pool, "connect", self._connected)
        try:
            yield self
        finally:
            sa.event.remove(sa.Pool, "connect", self._connected)

    def see(self, client: TestClient, ask: Ask) -> Seen:
        self.statements, self.steps = [], 0
        answer = ask.send(client)
        body = _timeless(answer.text)
        export = ask.path.endswith("/export")
        own = {"x-bentoml-request-id", "content-length"} if export else {"x-bentoml-request-id"}
        headers = {name: value for name, value in answer.headers.items() if name not in own}
        return Seen(answer.status_code, headers, body, [*self.statements], self.steps)

    def _connected(self, connection: Any, _: Any) -> None:
        if isinstance(connection, psycopg.Connection):
            connection.cursor_factory = self._cursor()
            return
        connection.set_trace_callback(self._told)
        connection.set_progress_handler(self._step, 1)

    def _cursor(self) -> type[psycopg.Cursor[Any]]:
        watch = self

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *given: Any, **how: Any) -> Any:
                watch._told(str(query))
                return super().execute(query, *given, **how)

            def executemany(self, query: Any, *given: Any, **how: Any) -> Any:
                watch._told(str(query))
                return super().executemany(query, *given, **how)

            def copy(self, statement: Any, *given: Any, **how: Any) -> Any:
                watch._told(str(statement))
                return super().copy(statement, *given, **how)

        return Cursor

    def _told(self, statement: str) -> None:
        self.statements.append(_shape(statement))

    def _step(self) -> int:
        self.steps += 1
        return 0


def _shape(statement: str) -> str:
    """A statement without its values, which SQLite writes into it."""
    return re.sub(r"'(?:[^']|'')*'|\b\d+\b", "?", statement)


def _timeless(value: Any) -> Any:
    """Without how long a ranking took, which decisions tell of themselves."""
    return re.sub(r'"stages_ms":\{[^}]*\}', "", value) if isinstance(value, str) else value


def at(name: str, *, under: str = "learners", end: str = "") -> str:
    return f"/v1/{under}/{quote(name, safe='')}{end}"


def for_each(names: Sequence[str], method: str, *, under: str = "learners", end: str = "") -> list[Ask]:
    return [Ask(method, at(name, under=under, end=end)) for name in names]
