"""Turns: small requests go first, and what is large is worked through in pieces while none of them is being answered."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from time import monotonic
from typing import Final

SMALL: Final = 10_000
"""Bytes of a body up to which a request goes first: some fifty events."""
LONGEST_S: Final = 0.05
"""How long a piece of a large request waits for small ones: where these never end, the large one gets on as well."""
BESIDE_S: Final = 1.0
"""How long after a small request a large one goes on in half of the time only."""
IN_LINE: Final = 2
"""Pieces that are written or wait for it at once: the writer has work, and a small request waits for two of them at most."""

_GOES_FIRST: ContextVar[bool] = ContextVar("goes_first", default=False)


class Turns:
    """Of one worker, on its event loop."""

    def __init__(self) -> None:
        self._answering, self._last = 0, -BESIDE_S
        self._free = asyncio.Event()
        self._line = asyncio.Semaphore(IN_LINE)

    @contextmanager
    def first(self) -> Iterator[None]:
        """While a small request is answered. It gives way to nobody."""
        before = _GOES_FIRST.set(True)
        self._begin()
        try:
            yield
        finally:
            self._end()
            _GOES_FIRST.reset(before)

    @contextmanager
    def stepped_back(self) -> Iterator[None]:
        """While a small request works long: nobody waits for it, and it gives way as a large one does."""
        if not _GOES_FIRST.get():
            yield
            return
        before = _GOES_FIRST.set(False)
        self._end()
        try:
            yield
        finally:
            self._begin()
            _GOES_FIRST.reset(before)

    @property
    def answering(self) -> bool:
        """Whether a small request is being answered. For any thread."""
        return self._answering > 0

    @property
    def lately(self) -> bool:
        """Whether one is, or was a short while ago. For any thread."""
        return self.answering or monotonic() - self._last < BESIDE_S

    def _begin(self) -> None:
        self._answering += 1
        self._free.clear()

    def _end(self) -> None:
        self._answering, self._last = self._answering - 1, monotonic()
        if not self._answering:
            self._free.set()

    async def give_way(self) -> None:
        """Called between the pieces of a large request: returns once no small one is being answered, or after `LONGEST_S`."""
        if _GOES_FIRST.get():
            return
        await asyncio.sleep(0)  # a request that has just come is seen
        if self._answering:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._free.wait(), LONGEST_S)

    async def rest(self, took_s: float) -> None:
        """After a piece of a large request: as long again, where a small one was answered a short while ago."""
        if not _GOES_FIRST.get() and monotonic() - self._last < BESIDE_S:
            await asyncio.sleep(min(took_s, LONGEST_S))

    @asynccontextmanager
    async def in_line(self) -> AsyncIterator[None]:
        """While a piece of a large request is written; a small one is not kept waiting."""
        if _GOES_FIRST.get():
            yield
            return
        async with self._line:
            await self.give_way()
            yield
