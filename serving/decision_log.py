"""The decision log: every answer is recorded before it is given. Group commit, and a synced spool while the store is down."""

import asyncio
import fcntl
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from io import FileIO
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

from pydantic import ValidationError

from features.decisions import Decision
from serving.logs import said
from training.bundle import flush_to_disk

GROUP_ROWS: Final = 64
_RETRY_S: Final = 5.0
_LAST_S: Final = 5.0
"""Seconds for what waits when the service stops: the folder of the spool may go with its host."""
_LOG = logging.getLogger("nextwise.decisions")

Record = Callable[[str, Sequence[Decision]], None]
"""(tenant, decisions): store them durably; storing one again changes nothing. Raises when the store is down."""


class DecisionLog:
    """One writer task. While a commit runs, decisions queue; the next commit takes what queued, at most 64.

    A commit that takes longer than `deadline_s` (the writer is busy with a whole catalogue, say) is not waited for: its
    decisions go to the spool as well, and storing a decision twice is storing it once.
    """

    def __init__(self, record: Record, spool: "Spool", executor: Executor, *, deadline_s: float = 0.25) -> None:
        self._record = record
        self._deadline_s = deadline_s
        self._running: asyncio.Future[None] | None = None
        self._spool = spool
        self._executor = executor
        self._queue: asyncio.Queue[tuple[Decision, asyncio.Future[None]]] = asyncio.Queue(maxsize=4096)
        self._task: asyncio.Task[None] | None = None
        self._quiet_until = 0.0

    def start(self) -> None:
        """Begin to write, first what a spool of an earlier life holds."""
        self._task = asyncio.create_task(self._write(), name="decision-log")

    async def stop(self) -> None:
        """Write what is queued, and what waits in the spool if the store takes it by now; then end."""
        if self._task is not None:
            await self._queue.join()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if self._running is not None:
                await asyncio.wait([self._running], timeout=_LAST_S)
            if self._spool.waiting:
                self._deadline_s = _LAST_S
                await self._commit([])

    async def record(self, decision: Decision) -> None:
        """Return once the decision is synced, in the store or in the spool. Raises OSError when neither took it."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put((decision, done))
        await done

    async def _write(self) -> None:
        await self._commit([])  # what an earlier life left in the spool
        while True:
            group = await self._next_group()
            try:
                await self._commit([decision for decision, _ in group])
            except Exception as error:
                _LOG.exception("decisions could be written neither to the store nor to the spool")
                _settle(group, error)
            else:
                _settle(group, None)
            for _ in group:
                self._queue.task_done()

    async def _next_group(self) -> list[tuple[Decision, asyncio.Future[None]]]:
        """What queued since the last commit; while the spool waits, an empty group now and then, to try the store again."""
        try:
            getting = self._queue.get()
            group = [await (asyncio.wait_for(getting, _RETRY_S) if self._spool.waiting else getting)]
        except TimeoutError:
            return []
        while len(group) < GROUP_ROWS and not self._queue.empty():
            group.append(self._queue.get_nowait())
        return group

    async def _commit(self, decisions: Sequence[Decision]) -> None:
        try:
            if self._running is not None and not self._running.done():
                raise TimeoutError("an earlier commit still waits for it")
            self._running = asyncio.get_running_loop().run_in_executor(self._executor, self._store, decisions)
            done, _ = await asyncio.wait((self._running,), timeout=self._deadline_s)
            if not done:
                raise TimeoutError
            self._running.result()
        except Exception as error:
            self._warn(error)
            if decisions:
                await asyncio.to_thread(self._spool.append, decisions)

    def _warn(self, error: Exception) -> None:
        """Once in a while: a store that is down refuses a hundred commits a second."""
        if monotonic() >= self._quiet_until:
            self._quiet_until = monotonic() + _RETRY_S
            _LOG.warning("the store does not take decisions (%s)", said(error))

    def _store(self, decisions: Sequence[Decision]) -> None:
        _record_by_tenant(self._record, decisions)
        self._spool.replay(self._record)  # after it: a store that is still down leaves the spool's one file as it is


def _settle(group: Sequence[tuple[Decision, "asyncio.Future[None]"]], error: Exception | None) -> None:
    for _, done in group:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


def _record_by_tenant(record: Record, decisions: Sequence[Decision]) -> None:
    by_tenant: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        by_tenant[decision.tenant].append(decision)
    for tenant, own in by_tenant.items():
        record(tenant, own)


class Spool:
    """Decisions as JSON lines in files of this process, synced with each append; files that dead processes left are adopted.

    Replaying is idempotent, so a power cut between storing and removing a file does no harm.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = Lock()
        self._open: tuple[Path, FileIO] | None = None
        self._waiting: dict[Path, FileIO] = self._adopt()

    @property
    def waiting(self) -> bool:
        """Whether anything waits to be stored."""
        return self._open is not None or bool(self._waiting)

    @property
    def waiting_anywhere(self) -> bool:
        """Whether a file of any process on this folder waits to be stored."""
        return any(self._folder.glob("decisions-*.jsonl"))

    def append(self, decisions: Sequence[Decision]) -> None:
        """Write and sync. OSError where that fails, as on a full disk; what was written of it is then taken back."""
        with self._lock:
            if self._open is None:
                self._open = self._new_file()
            _, file = self._open
            before = os.fstat(file.fileno()).st_size
            try:
                _write_all(file, b"".join(decision.model_dump_json().encode() + b"\n" for decision in decisions))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise

    def replay(self, record: Record) -> None:
        """Store all that waits, then remove the files. Raises when the store is still down; the files then stay."""
        with self._lock:
            if self._open is not None:  # what comes meanwhile goes to a new file
                self._waiting[self._open[0]] = self._open[1]
                self._open = None
        for path, file in list(self._waiting.items()):
            decisions = _read(path)
            for start in range(0, len(decisions), GROUP_ROWS):
                _record_by_tenant(record, decisions[start : start + GROUP_ROWS])
            _LOG.info("%d decisions replayed from %s", len(decisions), path)
            path.unlink()
            file.close()
            del self._waiting[path]

    def _new_file(self) -> tuple[Path, FileIO]:
        path = self._folder / f"decisions-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        file = path.open("ab", buffering=0)  # what could not be written must not wait in a buffer
        fcntl.flock(file, fcntl.LOCK_EX)
        flush_to_disk(self._folder)
        return path, file

    def close(self) -> None:
        """Let go of the files; what they hold waits for the next start."""
        with self._lock:
            files = [*self._waiting.values(), *([] if self._open is None else [self._open[1]])]
            self._open = None
            self._waiting.clear()
        for file in files:
            file.close()

    def _adopt(self) -> dict[Path, FileIO]:
        found: dict[Path, FileIO] = {}
        for path in sorted(self._folder.glob("decisions-*.jsonl")):
            file = path.open("ab", buffering=0)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # a living worker's
                file.close()
            else:
                found[path] = file
        return found


def _write_all(file: FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _read(path: Path) -> list[Decision]:
    found = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                found.append(Decision.model_validate_json(line))
            except ValidationError:
                _LOG.error("%s: line %d is not a decision (cut off?) and is skipped", path, number)
    return found
