"""How long a newcomer waits: a fresh clone, `make setup`, then `make demo` and `make test`, each timed.

python -m benchmarks.times          prints figures, targets and the machine; writes benchmarks/results/times.json
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import machine

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "times.json"
TARGETS_S = {"make demo": 240, "make test": 360}


def main() -> int:
    """Exit 1 when a step fails or takes longer than its target."""
    data = os.environ.get("NEXTWISE_DATA", str(ROOT.parent / "shared" / "data"))
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "nextwise"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        env = {**os.environ, "DEMO_EXIT": "1", "PORT": str(_free_port()), "NEXTWISE_DATA": data}
        seconds = {step: _timed(step, clone, env) for step in ("make setup", "make demo", "make test")}
    rows = [{"step": s, "seconds": t, "target_seconds": TARGETS_S.get(s)} for s, t in seconds.items()]
    for row in rows:
        print(f"{row['step']:<12} {row['seconds']:>7.1f} s   target {row['target_seconds'] or '-'}")
    RESULT.write_text(json.dumps({"machine": machine(), "times": rows}, indent=1) + "\n")
    return int(any(seconds[step] > limit for step, limit in TARGETS_S.items()))


def _timed(step: str, folder: Path, env: dict[str, str]) -> float:
    started = time.monotonic()
    print(f"-- {step}", flush=True)
    subprocess.run(step.split(), cwd=folder, env=env, check=True)
    return round(time.monotonic() - started, 1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
