"""`python -m experiments assign` as a user types it."""

import pytest
from typer.testing import CliRunner

from experiments.cli import app


def test_prints_bucket_and_arm() -> None:
    found = CliRunner().invoke(app, ["assign", "a", "--seed", "seed", "--arms", "control=0.05,treatment=0.5"])
    assert found.exit_code == 0
    assert found.output == "bucket 0.0505  arm treatment\n"


@pytest.mark.parametrize("arms", ["control", "control=half", "a=0.8,b=0.8"])
def test_wrong_shares_are_a_usage_error(arms: str) -> None:
    found = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["assign", "a", "--seed", "seed", "--arms", arms])
    assert found.exit_code == 2
    assert "control=0.5,treatment=0.5" in found.output
