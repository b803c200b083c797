"""What was acknowledged is on disk: nothing is lost or doubled by kills, and every acknowledgement waited for the sync.

A killed process leaves its pages in the cache, so kills alone say nothing of the disk: the syncs are watched as well, and
the same watch is seen to fail where syncing is lowered.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from features.store import EVENTS, EventStore
from features.store.wall import across

ROOT = Path(__file__).parents[2]
BATCH = 20
WRITER = """
import sys
from datetime import UTC, datetime
from features.events import Event
from features.store import EventStore

url, run, batch, stop, lowered = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "lowered"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
store = EventStore.open(url)
if lowered:
    import sqlalchemy as sa
    how = "PRAGMA synchronous=NORMAL" if url.startswith("sqlite") else "SET synchronous_commit = off"
    sa.event.listen(store.engine, "checkout", lambda connection, *_: connection.execute(how))
session = store.tenant("acme")
body = {"tenant": "acme", "learner_id": "ann", "verb": "started", "object_id": "a", "occurred_at": NOON, "recorded_at": NOON}
number = 0
while number != stop:
    session.append([Event.model_validate({**body, "event_id": f"{run}.{number}.{n}"}) for n in range(batch)])
    print(number, flush=True)
    sys.stdin.readline() if stop > 0 else None
    number += 1
"""
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void note(const char *what) {
    FILE *log = fopen(getenv("SYNC_LOG"), "a");
    if (log) { fprintf(log, "%s\n", what); fclose(log); }
}
int fsync(int fd) { note("fsync"); return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { note("fdatasync"); return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
"""


def writer(url: str, run: int, *, stop: int = -1, lowered: bool = False, **environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, url, str(run), str(BATCH), str(stop), "lowered" if lowered else "as it is"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, env={**os.environ, **environment}, **pipes)  # type: ignore[call-overload, no-any-return]


def acknowledged(process: "subprocess.Popen[str]") -> Iterator[int]:
    """The number of each batch once it is acknowledged; the next one is written when this goes on."""
    assert process.stdout is not None
    assert process.stdin is not None
    for line in iter(process.stdout.readline, ""):
        yield int(line)
        process.stdin.write("\n")
        process.stdin.flush()


def killed_at_random(url: str, kills: int) -> None:
    EventStore.open(url).close()
    chance, safe = random.Random(7), set[str]()
    for run in range(kills):
        with writer(url, run) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it has begun: from here on it is killed at any moment
            safe.add(f"{run}.0")
            time.sleep(chance.random() * 0.05)
            process.kill()
            safe |= {f"{run}.{line.strip()}" for line in process.stdout if line.endswith("\n")}
    opened = EventStore.open(url)
    with across(opened.engine).connect() as connection:
        found = Counter(name.rpartition(".")[0] for name in connection.execute(sa.select(EVENTS.c.event_id)).scalars())
    opened.close()
    assert safe <= set(found)
    assert set(found.values()) == {BATCH}  # each batch whole and once
    assert len(found) - len(safe) <= kills  # at most the one that was on its way


def test_a_few_kills_lose_and_double_nothing(store_url: str) -> None:
    killed_at_random(store_url, 3)


@pytest.mark.slow
def test_a_hundred_kills_lose_and_double_nothing(store_url: str) -> None:
    killed_at_random(store_url, 100)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that writes down every sync of the process it is loaded into."""
    compiler = shutil.which("cc")
    if (compiler is None or sys.platform != "linux") and not os.environ.get("CI"):  # there it must not vanish in silence
        pytest.skip("syncs are watched on Linux with a C compiler")
    assert compiler is not None
    folder = tmp_path_factory.mktemp("shim")
    (folder / "syncs.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "syncs.so", folder / "syncs.c", "-ldl"], check=True)
    return folder / "syncs.so"


@pytest.mark.parametrize("lowered", [False, True])
def test_sqlite_acknowledges_after_the_sync(sqlite_url: str, shim: Path, tmp_path: Path, lowered: bool) -> None:
    EventStore.open(sqlite_url).close()
    log, batches = tmp_path / "syncs", 10
    log.touch()
    with writer(sqlite_url, 0, stop=batches, lowered=lowered, LD_PRELOAD=str(shim), SYNC_LOG=str(log)) as process:
        counts = [len(log.read_text().splitlines()) for _ in acknowledged(process)]
    assert process.returncode == 0
    assert len(counts) == batches
    synced = sum(later > earlier for earlier, later in pairwise(counts))
    assert synced == (0 if lowered else batches - 1)


@pytest.mark.parametrize("lowered", [False, True])
def test_postgresql_acknowledges_after_the_flush(postgresql_url: str, lowered: bool) -> None:
    EventStore.open(postgresql_url).close()
    batches, flushed = 20, 0
    engine = sa.create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    query = "SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()"
    with engine.connect() as connection, writer(postgresql_url, 0, stop=batches, lowered=lowered) as process:
        for _ in acknowledged(process):
            flushed += bool(connection.exec_driver_sql(query).scalar())
    engine.dispose()
    assert process.returncode == 0
    # Others write to the log too, and the server flushes by itself five times a second: most, not all or none.
    assert flushed < batches / 4 if lowered else flushed > batches * 3 / 4
