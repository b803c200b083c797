"""The tour in `docs/tour.md` runs as it is written."""

import re
from pathlib import Path

import pytest

TOUR = Path(__file__).parents[1] / "docs" / "tour.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_tour_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = TOUR.read_text("utf-8")
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) >= 8
    names: dict[str, object] = {"__name__": "tour"}
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], str(TOUR), "exec"), names)
