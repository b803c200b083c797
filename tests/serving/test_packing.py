"""Answers are packed for who can unpack them, where that is worth it, and say the same."""

import asyncio
import gzip
import json

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient
from starlette.types import Message

from serving.packing import LARGE, LEAST, Packed, accepted

ASK = {"learner_id": "ana"}


@pytest.mark.parametrize(
    ("said", "does"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("", False), ("br", False), ("gzip;q=0", False), ("GZIP", True)],
)
def test_only_who_says_so_unpacks(said: str, does: bool) -> None:
    assert accepted(Headers({"accept-encoding": said})) is does


def test_a_ranking_is_packed_and_says_the_same(client: TestClient) -> None:
    with client.stream("POST", "/v1/recommendations", json=ASK, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert int(answer.headers["content-length"]) == len(raw) < len(gzip.decompress(raw)) / 2
    assert json.loads(gzip.decompress(raw))["rows"]
    plain = client.post("/v1/recommendations", json=ASK, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json()["rows"]


def test_what_is_short_or_not_to_be_kept_is_sent_as_it_is(client: TestClient) -> None:
    for path in ("/livez", "/preview/ana"):
        assert "content-encoding" not in client.get(path).headers
    assert client.get("/docs").headers["content-encoding"] == "gzip"


def test_a_packed_answer_has_a_weak_etag_that_still_holds(client: TestClient) -> None:
    decision = client.post("/v1/recommendations", json=ASK).json()["decision_id"]
    first = client.get(f"/v1/decisions/{decision}")
    assert first.headers["etag"].startswith('W/"')
    again = client.get(f"/v1/decisions/{decision}", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


async def sent(*messages: Message) -> list[Message]:
    found: list[Message] = []

    async def keep(message: Message) -> None:
        found.append(message)

    packed = Packed(keep)
    for message in messages:
        await packed.send(message)
    return found


def head(length: int | None = None, **more: str) -> Message:
    sized = {} if length is None else {"content-length": str(length)}
    headers = {"content-type": "application/json", **sized, **more}
    return {"type": "http.response.start", "status": 200, "headers": Headers(headers).raw}


def body(text: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": text, "more_body": more}


@pytest.mark.parametrize(("size", "packs"), [(LEAST - 1, False), (LEAST, True), (LARGE, True)])
def test_from_a_kilobyte_on(size: int, packs: bool) -> None:
    start, found = asyncio.run(sent(head(size), body(b"a" * size)))
    assert ("content-encoding" in Headers(raw=start["headers"])) is packs
    assert (gzip.decompress(found["body"]) if packs else found["body"]) == b"a" * size


def test_pieces_of_one_answer_are_packed_as_one() -> None:
    """So BentoML sends a ranking: the whole of it, and then an empty end."""
    _, found = asyncio.run(sent(head(LEAST), body(b"a" * LEAST, more=True), body(b"")))
    assert gzip.decompress(found["body"]) == b"a" * LEAST


def test_what_has_no_length_or_is_packed_already_passes_through() -> None:
    pieces = (body(b"a" * LEAST, more=True), body(b""))
    for start in (head(), head(LEAST, **{"content-encoding": "gzip"}), head(LEAST, **{"cache-control": "no-store"})):
        assert asyncio.run(sent(start, *pieces)) == [start, *pieces]
