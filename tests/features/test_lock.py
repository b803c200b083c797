"""One process a tenant at a time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.cli import app
from features.lock import LockedError, held, lock_file

ROOT = Path(__file__).parents[2]
HOLD = """
import sys; from pathlib import Path; from features.lock import held
with held(Path(sys.argv[1]), "acme", sys.argv[2], work="refresh"):
    print("held", flush=True); sys.stdin.read()
"""


def holding(lake: Path, store: str = "") -> subprocess.Popen[str]:
    """Another process that holds the lock of acme until it is killed."""
    command = [sys.executable, "-c", HOLD, str(lake), store]
    found = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert found.stdout is not None
    assert found.stdout.readline() == "held\n"
    return found


def kill(process: subprocess.Popen[str]) -> None:
    with process:
        os.kill(process.pid, signal.SIGKILL)


def test_a_second_is_told_who_holds_it_and_a_killed_holder_leaves_nothing(tmp_path: Path) -> None:
    other = holding(tmp_path)
    with pytest.raises(LockedError, match=rf"acme is being worked on by refresh, process {other.pid} on .+ since 20"):
        held(tmp_path, "acme", work="refresh").__enter__()
    with held(tmp_path, "globex", work="refresh"):
        pass
    kill(other)
    with held(tmp_path, "acme", work="refresh"):
        assert str(os.getpid()) in lock_file(tmp_path, "acme").read_text()
    assert lock_file(tmp_path, "acme").read_text() == ""


def test_a_failure_within_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path, "acme", work="refresh"):
        1 / 0  # noqa: B018
    with held(tmp_path, "acme", work="refresh"):
        pass


def test_materialize_waits_for_nobody(tmp_path: Path) -> None:
    store, lake = f"sqlite:///{tmp_path}/events.db", tmp_path / "lake"
    with held(lake, "acme", work="refresh"):
        found = CliRunner().invoke(app, ["materialize", "--tenant", "acme", "--store", store, "--lake", str(lake)])
    assert found.exit_code == 75
    assert "acme is being worked on by refresh" in found.output


def test_hosts_that_share_a_postgresql_exclude_each_other(tmp_path: Path, postgresql_url: str) -> None:
    """Two lakes, as on two hosts: only the database can tell."""
    store = postgresql_url
    other = holding(tmp_path / "one", store)
    with pytest.raises(LockedError, match=rf"refresh acme, process {other.pid} on .+ \(an advisory lock of the store\)"):
        held(tmp_path / "two", "acme", store, work="refresh").__enter__()
    with held(tmp_path / "two", "globex", store, work="refresh"):
        pass
    kill(other)
    assert _soon(lambda: _free(tmp_path / "two", store))


def _free(lake: Path, store: str) -> bool:
    try:
        with held(lake, "acme", store, work="refresh"):
            return True
    except LockedError:
        return False


def _soon(true: Callable[[], bool], seconds: float = 20) -> bool:
    """The server needs a moment to see that a client is gone."""
    deadline = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
