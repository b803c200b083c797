"""Which peers compete, the environment of each, and how one is asked."""

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".venv-peers"
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
ALONE = dict.fromkeys((*_THREADS, "LK_NUM_THREADS", "LK_NUM_BACKEND_THREADS"), "1")
"""One thread in every library that a peer may load."""
Say = Callable[[str], None]


class PeerError(Exception):
    """A peer could not be installed or did not finish: a note below the table."""


@dataclass(frozen=True)
class Peer:
    """`package`: names its pins (`PACKAGE.txt`), its script (`peer_PACKAGE.py`) and its environment."""

    package: str
    models: tuple[str, ...]

    @property
    def script(self) -> Path:
        return HERE / f"peer_{self.package}.py"

    @property
    def pins(self) -> Path:
        return HERE / f"{self.package}.txt"

    def python(self, say: Say) -> Path:
        """Its interpreter; the environment is made where it is missing or its pins changed. Errors: PeerError."""
        home = ENVIRONMENTS / self.package
        ready, wanted = home / ".ready", hashlib.sha256(self.pins.read_bytes()).hexdigest()
        if not ready.exists() or ready.read_text() != wanted:
            say(f"Installing {self.package} into {home.relative_to(ROOT)}")
            venv.create(home, with_pip=True, clear=True)
            self._install(home)
            ready.write_text(wanted)
        return home / "bin" / "python"

    def _install(self, home: Path) -> None:
        pins = self.pins.read_text("utf-8").split()
        # torch alone and first: asked for with others, the build for graphics cards may be taken.
        for wanted in ([pin for pin in pins if pin.startswith("torch==")], ["-r", str(self.pins)]):
            if wanted:
                done = subprocess.run([home / "bin" / "pip", "install", "-q", *wanted], capture_output=True, text=True)
                if done.returncode:
                    raise PeerError(f"pip could not install {' '.join(wanted)}: {_last_line(done.stderr)}")

    def ask(self, model: str, export: Path, out: Path, *, settings: int, seconds: float, say: Say) -> None:
        """Run the script on an export; OUT.npz and OUT.json hold the answer, OUT.log what it said. Errors: PeerError."""
        command = [str(self.python(say)), "-u", str(self.script), str(export), str(out), "--model", model]
        command += ["--settings", str(settings), "--seconds", str(seconds)]
        with (
            out.with_suffix(".log").open("w", encoding="utf-8") as log,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | ALONE
            ) as running,
        ):
            try:
                for line in _lines(running):
                    log.write(line)
                    say(line.strip())
            except BaseException:
                running.kill()
                raise
        if running.returncode:
            raise PeerError(
                f"{_last_line(out.with_suffix('.log').read_text('utf-8'))} (all of it in {out.with_suffix('.log')})"
            )


def _lines(running: "subprocess.Popen[str]") -> Iterator[str]:
    assert running.stdout is not None
    yield from running.stdout


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else f"no word said; Python {sys.version.split()[0]}"


PEERS = (
    Peer("implicit", ("implicit ALS", "implicit BPR")),
    Peer("lenskit", ("LensKit item-kNN", "LensKit ImplicitMF", "LensKit EASE")),
    Peer("rectools", ("RecTools eSASRec", "RecTools SASRec sampled")),
)
"""Of RecTools the two whose published figures are the best: its script knows SASRec with softmax loss as well."""
