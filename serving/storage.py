"""The event store as one worker uses it: a way to write, a way to read that never waits long, and a file that may move."""

import logging
from collections.abc import Callable
from contextlib import closing, suppress
from threading import Lock
from typing import Final, Literal, TypeVar

from features.store import EventStore

WRITE_WAIT_S: Final = 4.0
"""How long a write waits for another process's lock (SQLite): less than a host waits for its events to be acknowledged."""
REMEMBERED: Final = 100_000
"""Events of histories that are kept in memory between requests."""

_LOG = logging.getLogger("nextwise.store")
_Use = Literal["write", "read"]
T = TypeVar("T")


class MovedError(OSError):
    """The file of the store is not at its path any more: what is written to it, nobody would find."""


class Storage:
    """Opens at first use, again after a failure to open, and again when another file stands in the place of the opened one.

    A file that is gone is not made anew: that would begin an empty store beside one that was moved by mistake, or is being
    restored. Reading and writing then raise MovedError until it is back.
    """

    def __init__(self, url: str, *, read_wait_s: float) -> None:
        self._url = url
        self._wait_s: dict[_Use, float] = {"write": WRITE_WAIT_S, "read": read_wait_s}
        self._opened: dict[_Use, EventStore] = {}
        self._opening = Lock()
        # SQLite in WAL mode hardly ever makes a reader wait, and its driver gives up the interpreter lock at every row: a read
        # in place takes half a millisecond, in a thread beside a busy event loop ten and more.
        self._local = url.startswith("sqlite")

    @property
    def reads_in_place(self) -> bool:
        """Whether reading takes so little time that it need not leave the event loop. Opening does not."""
        store = self._opened.get("read")
        return self._local and store is not None and store.place() == "here"

    def read(self, work: Callable[[EventStore], T]) -> T:
        """What `work` reads. Raises whatever the database raises."""
        return work(self._store("read"))

    def write(self, work: Callable[[EventStore], T]) -> T:
        """What `work` says of its writing. Raises MovedError when the file moved meanwhile, and what the database raises."""
        store = self._store("write")
        done = work(store)
        if store.place() != "here":
            raise MovedError(f"{self._url}: the file was moved while it was written to")
        return done

    def close(self) -> None:
        """Close what is open."""
        for store in self._opened.values():
            store.close()
        self._opened.clear()

    def _store(self, use: _Use) -> EventStore:
        store = self._opened.get(use)
        if store is not None and store.place() == "here":
            return store
        with self._opening:
            places = {one.place() for one in self._opened.values()}
            if "gone" in places:
                raise MovedError(f"{self._url}: the file is gone; put it back, or restart the service to begin an empty store")
            if "replaced" in places:
                self._let_go()
            if use not in self._opened:
                remember = REMEMBERED if use == "read" else 0
                self._opened[use] = EventStore.open(self._url, wait_s=self._wait_s[use], remember=remember, live=True)
            return self._opened[use]

    def _let_go(self) -> None:
        """Leave the old file with all that was written to it: its log must not be taken for the new file's."""
        _LOG.warning("%s: another file stands in the place of the store; it is opened", self._url)
        for store in self._opened.values():
            with suppress(Exception), closing(store.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.close()
