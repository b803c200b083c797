"""`docs/add-a-model.md` works as it is written: its file and its line are added to a copy of the project, and tried there."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "add-a-model.md").read_text("utf-8")
NEEDED = ("features", "training", "pyproject.toml", "tests/contracts/test_models.py")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the page's model in it."""
    copy = tmp_path_factory.mktemp("copy")
    for name in NEEDED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        take = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        take(ROOT / name, copy / name)
    (copy / "training" / "models" / "afterwards.py").write_text(block("python"))
    table = copy / "training" / "models" / "families.py"
    head = "FAMILIES: dict[str, Family] = {\n"
    assert head in table.read_text()
    imported = "from training.models.afterwards import Afterwards, FittedAfterwards\n"
    table.write_text(imported + table.read_text().replace(head, head + block("families")))
    return copy


def run(project: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", *words], cwd=project, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_page_keeps_its_word() -> None:
    code = [line for line in block("python").splitlines() if line.strip() and not line.startswith(("from", "import"))]
    assert len(code) <= 34
    assert len(block("families").splitlines()) == 1


def test_it_passes_the_contract_suite(project: Path) -> None:
    summary = run(project, "pytest", "-q", "-p", "no:cacheprovider", "tests/contracts/test_models.py", "-k", "afterwards")
    assert int(re.findall(r"(\d+) passed", summary)[0]) > 25
    assert "skipped" not in summary


def test_it_stands_on_the_leaderboard(project: Path, tmp_path: Path) -> None:
    """30 learners walk a circle of 12 items from a random start: what comes afterwards is what comes next."""
    starts = np.random.default_rng(1).integers(12, size=30)
    walks = [" ".join(str((start + step) % 12 + 1) for step in range(5)) for start in starts]
    (tmp_path / "walks.txt").write_text("".join(f"{learner} {walk}\n" for learner, walk in enumerate(walks, start=1)))
    words = ("--format", "sequences", "--data", str(tmp_path / "walks.txt"), "--models", "popularity,afterwards")
    run(project, "training", "leaderboard", *words, "--out", str(tmp_path / "rows.json"))
    rows = {row["model"]: row["ndcg_at_10"] for row in json.loads((tmp_path / "rows.json").read_text())}
    assert rows["afterwards"] > rows["popularity"] + 0.1


def test_it_is_a_section_of_a_recipe_and_a_part_of_the_blend(project: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("seed = 1\n[models.popularity]\n[models.linear]\n" + block("toml"))
    code = f"from training.config import read_config; print(read_config(__import__('pathlib').Path({str(recipe)!r})).models)"
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert "afterwards=Afterwards(popularity=0.01)" in done.stdout
