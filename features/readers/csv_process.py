"""Reads a CSV file in this process, or in one of its own beside it.

The other process sends one batch at a time through a pipe and waits until it is taken, so it is never more than a batch ahead.
It ends with the pipe: when this process is killed, its next write fails.
"""

import gc
import marshal
import multiprocessing
import signal
from collections.abc import Generator
from multiprocessing.connection import Connection

from features.readers.csv_events import Batch, CsvFile, batches
from features.readers.csv_text import FileError
from features.seen import Seen


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
    try:
        while (found := _received(ours)) is not None:
            yield found
    finally:
        ours.close()
        process.terminate()
        process.join()
        process.close()


def _received(pipe: Connection) -> Batch | None:
    try:
        message = pipe.recv_bytes()
    except (EOFError, OSError):  # the second where it ended in the middle of a message
        raise ChildProcessError("the process that reads the file ended without a word (killed, or out of memory)") from None
    kind, *values = marshal.loads(message)
    if kind == "file":
        raise FileError(*values)
    if kind == "error":
        raise OSError(*values)
    return Batch(*values) if kind == "batch" else None


def _send(pipe: Connection, given: CsvFile, ids: bool, after: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the writer's to hear; this process ends with it
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
