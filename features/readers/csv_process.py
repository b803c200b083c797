"""Reads a CSV file in this process, or in one of its own beside it.

The other process sends one batch at a time through a pipe; a thread takes up to `AHEAD` of them off it while this process waits
for the database. The process ends with the pipe: when this one is killed, its next write fails.
"""

import gc
import marshal
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Generator
from multiprocessing.connection import Connection
from typing import Final

from features.readers.csv_events import Batch, CsvFile, batches
from features.readers.csv_text import FileError
from features.seen import Seen

AHEAD: Final = 6
"""Batches (about 2 MB each) that are waiting at most: a commit that takes long does not stop the reading."""

_NICE: Final = 10
"""It takes the processor that others leave. The one that writes does not: it holds a lock that others wait for."""


def read_here(given: CsvFile, *, ids: bool, after: int = 0) -> Generator[Batch, None, None]:
    """The batches of `features.readers.csv_events.batches`. Without `ids`, rows without one are checked only."""
    with Seen() as seen:
        yield from batches(given, seen.occurrences if ids else None, after=after)


def read_apart(given: CsvFile, *, ids: bool, after: int = 0) -> Generator[Batch, None, None]:
    """The same from another process. ChildProcessError when that dies."""
    context = multiprocessing.get_context("spawn")  # a fork would share the connections to the database
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, given, ids, after), daemon=True)
    process.start()
    theirs.close()
    waiting = _Waiting(ours)
    try:
        while (found := _batch(waiting.next())) is not None:
            yield found
    finally:
        process.terminate()
        waiting.close()
        process.join()
        process.close()


class _Waiting:
    """Messages of a pipe, taken off it by a thread."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._ended = pipe, False
        self._messages: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def next(self) -> bytes:
        """The next message. ChildProcessError where the writer ended without the last one."""
        message = self._messages.get()
        if message is None:
            self._ended = True
            raise ChildProcessError("the process that reads the file ended without a word (killed, or out of memory)")
        return message

    def close(self) -> None:
        """Once the writer has been ended: lets the thread end and closes the pipe."""
        while not self._ended:
            self._ended = self._messages.get() is None
        self._thread.join()
        self._pipe.close()

    def _take(self) -> None:
        try:
            while True:
                self._messages.put(self._pipe.recv_bytes())
        except (EOFError, OSError):  # the second where it ended in the middle of a message
            self._messages.put(None)


def _batch(message: bytes) -> Batch | None:
    kind, *values = marshal.loads(message)
    if kind == "file":
        raise FileError(*values)
    if kind == "error":
        raise OSError(*values)
    return Batch(*values) if kind == "batch" else None


def _send(pipe: Connection, given: CsvFile, ids: bool, after: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the writer's to hear; this process ends with it
    os.nice(_NICE)
    gc.freeze()
    gc.set_threshold(200_000)  # rows come and go by the ten thousand and hold no cycles
    try:
        for batch in read_here(given, ids=ids, after=after):
            pipe.send_bytes(_message(batch))
        pipe.send_bytes(marshal.dumps(("end",)))
    except BrokenPipeError:
        pass
    except FileError as error:
        pipe.send_bytes(marshal.dumps(("file", str(error), error.line, error.column)))
    except OSError as error:
        pipe.send_bytes(marshal.dumps(("error", str(error))))


def _message(batch: Batch) -> bytes:
    return marshal.dumps(("batch", batch.line, batch.offset, batch.good, batch.lines, batch.rows, batch.refused, batch.notes))
