"""How an import shares a store: alone it writes whole batches, beside others small ones with rests between.

A database has one writer at a time (SQLite), or one a tenant (PostgreSQL): who answers people should not wait for a batch.
"""

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Final

from features.store import MAX_BATCH, TenantSession

HOLD_S: Final = 0.02
"""What a transaction beside others should take, for they wait for it."""
FEWEST, FIRST, MOST = 100, 100, 500
"""Rows of a transaction beside others: at least, before it is known what they take, and at most."""
SETTLE: Final = 1_000
"""Rows after which what they left to do is done at once: beside others, a commit of theirs would do it."""
BESIDE_S: Final = 10.0
"""How long after another one's last write an import goes on in small steps."""


class Pace:
    """Of one import. What its caller does with a part is timed, and whether others wrote is seen at each part."""

    def __init__(
        self, session: TenantSession, *, clock: Callable[[], float] = monotonic, rest: Callable[[float], None] = sleep
    ) -> None:
        self._session, self._clock, self._rest = session, clock, rest
        self._rows, self._unsettled, self._beside_until = FIRST, 0, clock()
        self._events, self._decisions = session.newest()

    def parts(self, rows: int) -> Iterator[slice]:
        """So many rows in parts, each stored in one transaction before the next is asked for; one empty part for no rows."""
        at = 0
        while at < rows or at == 0:
            beside = self._beside()
            part = slice(at, min(at + (self._rows if beside else MAX_BATCH), rows))
            began = self._clock()
            yield part
            took = self._clock() - began
            self._learn(part.stop - part.start, took)
            if beside:
                self._settle(part.stop - part.start)
                self._rest(took)
            at = max(part.stop, 1)

    def _beside(self) -> bool:
        """Whether somebody else wrote a short while ago."""
        if self._session.newest() != (self._events, self._decisions):
            self._beside_until = self._clock() + BESIDE_S
        return self._clock() < self._beside_until

    def _settle(self, rows: int) -> None:
        self._unsettled += rows
        if self._unsettled >= SETTLE:
            self._session.settle()
            self._unsettled = 0

    def _learn(self, rows: int, took: float) -> None:
        if rows:
            self._rows = min(max(int(rows * HOLD_S / max(took, 1e-6)), FEWEST), MOST)
        events, decisions = self._session.newest()
        if decisions != self._decisions:  # an import makes none
            self._beside_until = self._clock() + BESIDE_S
        self._events, self._decisions = events, decisions
