"""`docs/integrate.md` as it is written: its commands in order against a real service on each database, then its Python."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "integrate.md"
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STORE = "sqlite:///var/events.db"
BEGIN = """
set -euo pipefail
trap 'kill $(jobs -p) && wait' EXIT
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.mark.skipif(shutil.which("curl") is None and not os.environ.get("CI"), reason="the page calls curl")
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_page_runs_as_it_is_written(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    port = str(free_port())
    text = PAGE.read_text("utf-8").replace("3000", port)
    assert STORE in text
    if database == "postgresql":
        text = text.replace(STORE, f"'{request.getfixturevalue('postgresql_url')}'")
    (tmp_path / "call.py").write_text(
        "import sys\nkey = sys.argv[1]\n" + "".join(b for kind, b in BLOCK.findall(text) if kind == "python")
    )
    commands = [block for kind, block in BLOCK.findall(text) if kind == "sh"]
    # What the last ones print is looked at below.
    answers = "\n".join([*commands, "python call.py $KEY"])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEXTWISE_")}
    environment |= {"PYTHONPATH": str(ROOT), "NEXTWISE_BUNDLES": str(tmp_path / "bundles")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    environment |= {"NEXTWISE_SPOOL": str(tmp_path / "spool"), "COLUMNS": "200"}
    with (tmp_path / "said").open("w+") as out:  # no pipe: the service holds on to it
        done = subprocess.run(
            ["bash", "-c", BEGIN + answers], cwd=tmp_path, env=environment, stdout=out, stderr=out, timeout=180
        )
    found = (tmp_path / "said").read_text()
    assert done.returncode == 0, found
    for said in ("unknown learners: none", "unknown items: none", "ann is shown", "0.actor"):
        assert said in found, found
    assert "bad " not in found
