"""What a user of `python -m experiments simulate` is told when something is not there."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.cli import app


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["unheard-of"], "there is no scenario 'unheard-of'; there are null, skewed"),
        (["missing.toml"], "missing.toml: not a readable TOML file"),
        (["null", "--bundles", "nowhere"], "tenant demo has no bundle under nowhere"),
    ],
)
def test_it_says_what_is_wrong(arguments: list[str], words: str, tmp_path: Path) -> None:
    options = ["--tenant", "demo", "--learners", "50", "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, ["simulate", *arguments, *options])
    assert found.exit_code == 2
    assert words in found.stderr
    assert "Traceback" not in found.stderr


def test_a_simulated_experiment_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "events.db").touch()
    found = CliRunner().invoke(app, ["simulate", "null", "--tenant", "demo", "--out", str(tmp_path)])
    assert found.exit_code == 2
    assert "holds a simulated experiment already" in found.stderr


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    """A file in its place: a trace was printed."""
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        found = CliRunner().invoke(app, ["simulate", "null", "--tenant", "demo", "--learners", "50", "--out", str(place)])
        assert found.exit_code == 2, found.output
        assert f"{place} cannot be written: " in found.stderr
        assert "name another folder with --out" in found.stderr


def test_a_period_has_days_before_the_experiment(tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    text = (Path("features/synthetic/organisation.toml")).read_text("utf-8").replace("end = 2026-11-01", "end = 2025-11-05")
    file.write_text(text, "utf-8")
    options = ["--tenant", "demo", "--days", "70", "--parameters", str(file), "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, ["simulate", "null", *options])
    assert found.exit_code == 2
    assert "the organisation's period has 65 days" in found.stderr
