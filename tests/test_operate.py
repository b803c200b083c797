"""`docs/operate.md` as it is written: its commands and its Python, in order, in one folder; and the schedulers' examples."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from features.cli import app as features
from training.cli import app as training
from training.refresh_cli import Exit

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "operate.md"
BLOCK = re.compile(r"^```(python|sh|toml)( slow)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROOMS: dict[str, typer.Typer] = {"features": features, "training": training}
SAID = {
    "refresh --tenant demo --config recipe.toml": ["published: demo serves", "published: demo serves", "nothing new: demo"],
    "refresh --tenant demo --config recipe.toml --json": ['"ending": "nothing new"'],
    "refresh --tenant demo --config weaker.toml": ["champion stays: demo serves"],
}
"""What the page promises of a command, each time it is run."""


def blocks(slow: bool) -> Iterator[tuple[str, int, str]]:
    """(language, line, text) in order; those marked slow only when asked for."""
    text = PAGE.read_text("utf-8")
    for found in BLOCK.finditer(text):
        if slow or not found[2]:
            yield found[1], text.count("\n", 0, found.start(3)), found[3]


def walk_through(slow: bool) -> None:
    names: dict[str, object] = {"__name__": "operate"}
    typed = "".join(text for _, _, text in blocks(slow)).splitlines()
    promised = {command: list(words) for command, words in SAID.items() if f"python -m training {command}" in typed}
    for language, line, text in blocks(slow):
        if language == "python":
            exec(compile("\n" * line + text, str(PAGE), "exec"), names)
        elif language == "toml":
            Path("recipe.toml").write_text(text)
        else:
            for command in text.splitlines():
                _run(command, promised)
    assert not any(promised.values()), f"never run: {promised}"


def _run(command: str, promised: dict[str, list[str]]) -> None:
    words, _, comment = command.partition(" # ")
    python, _, room, *arguments = shlex.split(words)
    assert python == "python"
    found = CliRunner(env={"COLUMNS": "200"}).invoke(ROOMS[room], arguments)
    allowed = {int(number) for number in re.findall(r"\d+", comment)} or {0}
    assert found.exit_code in allowed, f"{command}\n{found.output}\n{found.exception}"
    expected = promised.get(" ".join(arguments), [])
    if expected:
        assert expected.pop(0) in found.output, f"{command}\n{found.output}"


def test_the_page_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    walk_through(slow=False)


@pytest.mark.slow
def test_the_whole_page_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    walk_through(slow=True)


def test_every_exit_code_is_explained() -> None:
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text("utf-8"), re.MULTILINE)}
    assert explained == {int(code) for code in Exit}


def test_the_cronjob_knows_every_exit_code() -> None:
    job = yaml.safe_load((DOCS / "examples" / "cronjob.yaml").read_text("utf-8"))["spec"]
    rules = job["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    codes = [code for rule in rules if "onExitCodes" in rule for code in rule["onExitCodes"]["values"]]
    assert sorted(codes) == sorted(int(code) for code in Exit if code)
    assert job["concurrencyPolicy"] == "Forbid"
    container = job["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"][1:4] == ["-m", "training", "refresh"]


def test_the_airflow_example_is_python() -> None:
    tree = ast.parse((DOCS / "examples" / "airflow_dag.py").read_text("utf-8"))
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert ast.literal_eval(named["MAY_PASS"]) == {int(Exit.UNAVAILABLE)}
    assert ast.literal_eval(named["BUSY"]) == int(Exit.TEMPFAIL)
