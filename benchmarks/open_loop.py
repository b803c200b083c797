"""Requests at a constant rate, due whether or not earlier ones are answered: no waiting client hides a slow service."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

CONNECTIONS = 64
"""Beyond as many requests at once the next ones wait in the client, and their waiting counts."""
_GIVE_UP_S = 10.0
"""After the last request was due."""


@dataclass(frozen=True)
class Load:
    """`offered`: requests a second; `ms`: from when each was due to the end of its answer; `failed`: without a 200."""

    offered: float
    ms: tuple[float, ...]
    failed: int
    seconds: float

    @property
    def answered_per_s(self) -> float:
        return (len(self.ms) - self.failed) / self.seconds

    def quantile(self, share: float) -> float:
        """Milliseconds; infinite where nothing was answered."""
        return float(np.quantile(self.ms, share)) if self.ms else float("inf")

    def sustained(self, most_ms: float) -> bool:
        """Whether all were answered, the last ones as fast as the first ones: nothing piles up."""
        late = self.ms[-len(self.ms) // 4 :]
        return self.failed == 0 and self.quantile(0.99) <= most_ms and float(np.median(late)) <= most_ms / 2


def request(url: str, path: str, body: bytes, key: str = "") -> bytes:
    """An HTTP/1.1 request, as bytes to send."""
    credential = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n{credential}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def load(url: str, rate: float, seconds: float, make: Callable[[int], bytes]) -> Load:
    """`make` gives the request of a number."""
    count = max(1, round(rate * seconds))
    waiting, free = deque[tuple[int, float]](), list[_Connection]()
    opened: list[_Connection] = []
    took, failed, left = [0.0] * count, 0, count
    finished = asyncio.Event()

    async def serve(connection: "_Connection") -> None:
        nonlocal failed, left
        while waiting:
            number, due = waiting.popleft()
            ok = await connection.ask(make(number))
            took[number] = (time.perf_counter() - due) * 1000
            failed += not ok
            left -= 1
        free.append(connection)
        if left == 0:
            finished.set()

    host, port = urlsplit(url).netloc.split(":")
    began, tasks = time.perf_counter(), set[asyncio.Task[None]]()
    for number in range(count):
        due = began + number / rate
        if (rest := due - time.perf_counter()) > 0:
            await asyncio.sleep(rest)
        waiting.append((number, due))
        if not free and len(opened) < CONNECTIONS:
            opened.append(_Connection(host, int(port)))
            free.append(opened[-1])
        if free:
            task = asyncio.create_task(serve(free.pop()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    try:
        await asyncio.wait_for(finished.wait(), _GIVE_UP_S)
    except TimeoutError:
        failed += left
        for task in tuple(tasks):
            task.cancel()
    spent = time.perf_counter() - began
    for connection in opened:
        connection.close()
    await asyncio.sleep(0.01)  # for these to be closed
    return Load(rate, tuple(took), failed, spent)


class _Connection:
    """One at a time, kept open. As light as it can be: the client must not be what is measured."""

    def __init__(self, host: str, port: int) -> None:
        self._at = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, wanted: bytes) -> bool:
        """Whether 200 came. A connection that the server had closed while it was idle is opened again, as any client does."""
        kept = self._streams is not None
        answered = await self._ask(wanted)
        return await self._ask(wanted) is True if answered is None and kept else answered is True

    async def _ask(self, wanted: bytes) -> bool | None:
        """None where not one byte came back."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._at)
            reader, writer = self._streams
            writer.write(wanted)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        except asyncio.IncompleteReadError as error:
            self.close()
            return False if error.partial else None
        except OSError:
            self.close()
            return None
        except IndexError:
            self.close()
            return False
        return head.startswith(b"http/1.1 200")

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def highest(run: Callable[[float], Load], begin: float, most_ms: float, steps: int) -> tuple[float, Sequence[Load]]:
    """The highest rate found that is sustained, by doubling and halving the distance; and every load that was tried."""
    low, high, tried = 0.0, float("inf"), list[Load]()
    rate = begin
    while len(tried) < steps or low == 0:
        found = run(rate)
        tried.append(found)
        if found.sustained(most_ms):
            low = rate
        else:
            high = rate
        rate = (low + high) / 2 if high < float("inf") and low > 0 else rate * 1.6 if high == float("inf") else rate / 2
        if rate < 1:
            break
    return low, tried
