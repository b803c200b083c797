"""Services to measure: each in a process of its own, on the cores that it is given."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import psutil

from benchmarks.rivals import FOLDER
from benchmarks.serving_world import World
from serving.settings import Settings, child_environment

ROOT = Path(__file__).parents[1]
_PATIENCE_S = 60


@dataclass(frozen=True)
class Started:
    """A service that answers, and the seconds that took."""

    url: str
    process: psutil.Process
    ready_s: float

    def worker_mb(self) -> float:
        """Resident MB of the largest of its processes."""
        each = [self.process, *self.process.children(recursive=True)]
        return round(max(one.memory_info().rss for one in each) / 1e6, 1)

    def cpu_s(self) -> float:
        """Processor seconds of all its processes so far."""
        each = [self.process, *self.process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in each)


@contextmanager
def ours(world: World, folder: Path, cores: Set[int]) -> Iterator[Started]:
    """Ours over a world, with one worker."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(store=world.store, bundles=world.bundles, spool=folder / "spool", dev_tenant=world.tenant, rate_per_s=0)
    environment = child_environment(settings) | {"NEXTWISE_DEV_TENANT": world.tenant, "NEXTWISE_RATE_PER_S": "0"}
    with started([sys.executable, "-m", "serving", "serve", "--port", "{port}"], environment, folder / "log", cores) as found:
        yield found


@contextmanager
def plain(world: World, folder: Path, cores: Set[int]) -> Iterator[Started]:
    """BentoML around `implicit`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.rivals.plain:Plain"]
    with started([*command, "--port", "{port}"], _bare(world, folder), folder / "log", cores) as found:
        yield found


@contextmanager
def ceiling(world: World, folder: Path, cores: Set[int]) -> Iterator[Started]:
    """Starlette alone."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "uvicorn", "benchmarks.rivals.ceiling:app", "--no-access-log", "--log-level", "warning"]
    with started([*command, "--port", "{port}"], _bare(world, folder), folder / "log", cores) as found:
        yield found


def _bare(world: World, folder: Path) -> dict[str, str]:
    one = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder)}
    return {**os.environ, **one, FOLDER: str(world.factors), "PYTHONPATH": str(ROOT)}


@contextmanager
def started(command: Sequence[str], environment: dict[str, str], log: Path, cores: Set[int]) -> Iterator[Started]:
    """`command` with a free port for `{port}`; ended at the end. Its output is in `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [word.format(port=port) for word in command]
    with log.open("wb") as file:
        began = time.perf_counter()
        process = subprocess.Popen(words, env=environment, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        try:
            psutil.Process(process.pid).cpu_affinity(sorted(cores))  # its children take it over
            url = f"http://127.0.0.1:{port}"
            _ready(url, process, log)
            yield Started(url, psutil.Process(process.pid), round(time.perf_counter() - began, 2))
        finally:
            process.terminate()
            process.wait(30)


def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(f"{url}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} is not ready after {_PATIENCE_S} s:\n{log.read_text()[-2000:]}")
