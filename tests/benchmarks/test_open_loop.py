"""The open loop: a slow service shows in what is measured, and the highest rate is found where there is one."""

import asyncio
import time
from contextlib import closing, suppress

import pytest

from benchmarks.open_loop import Load, highest, load, request

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


async def served(answer: bytes, took_s: float, rate: float, seconds: float) -> Load:
    """A load on a server that answers one request at a time."""
    turn = asyncio.Lock()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError), closing(writer):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
                async with turn:
                    await asyncio.sleep(took_s)
                writer.write(answer)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        return await load(url, rate, seconds, lambda number: request(url, "/", b"{}"))
    finally:
        server.close()


def test_waiting_in_a_queue_counts_from_when_a_request_was_due() -> None:
    found = asyncio.run(served(ANSWER, took_s=0.02, rate=100, seconds=0.5))  # twice what it can take
    assert (len(found.ms), found.failed) == (50, 0)
    assert found.ms[-1] > 300
    assert not found.sustained(most_ms=200)


def test_an_answer_that_is_not_200_failed() -> None:
    found = asyncio.run(served(ANSWER.replace(b"200 OK", b"503 No"), took_s=0, rate=50, seconds=0.2))
    assert found.failed == len(found.ms) == 10
    assert not found.sustained(most_ms=1_000)


def test_a_connection_that_was_closed_while_idle_is_opened_again() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await reader.readuntil(b"{}")
            writer.write(ANSWER)

    async def closing_server() -> Load:
        server = await asyncio.start_server(once, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            return await load(url, 20, 0.5, lambda number: request(url, "/", b"{}"))
        finally:
            server.close()

    assert asyncio.run(closing_server()).failed == 0


def test_the_highest_rate_is_between_what_was_and_what_was_not_sustained() -> None:
    def up_to_170(rate: float) -> Load:
        return Load(rate, ((10.0,) if rate <= 170 else (900.0,)) * 20, 0, 1.0)

    for begin in (10.0, 160.0, 2_000.0):
        found, tried = highest(up_to_170, begin, most_ms=200, steps=12)
        assert found == pytest.approx(170, rel=0.05)
        assert found <= 170
        assert len(tried) >= 12


def test_a_service_that_takes_nothing_has_no_rate() -> None:
    began = time.monotonic()
    assert highest(lambda rate: Load(rate, (5_000.0,), 0, 1.0), 64, most_ms=200, steps=4)[0] == 0
    assert time.monotonic() - began < 1
