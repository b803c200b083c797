"""docs/work-rows.md as its reader runs it: the files it shows, its commands, and the output that it promises."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.cli import app

PAGE = Path(__file__).parents[1] / "docs" / "work-rows.md"
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output, ran = "", 0
    for kind, name, text in _BLOCK.findall(PAGE.read_text("utf-8")):
        if name:
            Path(name).write_text(text, "utf-8")
        elif kind == "sh":
            output = ""
            for command in text.splitlines():
                words = shlex.split(command)
                assert words[:3] == ["python", "-m", "features"]
                found = CliRunner().invoke(app, words[3:])
                assert found.exit_code == 0, found.output
                output, ran = output + found.output, ran + 1
        else:
            missing = [line for line in text.splitlines() if line not in output]
            assert not missing, output
    assert ran == 5
