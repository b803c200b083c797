"""Experiments whose result was published, through the command that a stranger would use."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from experiments.cli import app

ARMS = {"control": 260, "treatment": 185}
EARNED = {
    "after": ((4554.80, 5483.84), (6349.14, 7867.40), 1794.34, 671.00, "ship"),
    "before": ((1266.91, 3102.98), (1532.06, 3219.25), 265.15, 305.04, "do not ship"),
}
"""Earnings in 1978 and, where nothing can have changed yet, in 1975: means and standard deviations by arm, their difference and
its robust error: the National Supported Work experiment, in the sample of Dehejia and Wahba (1999)."""
DESIGN = """
name = "National Supported Work"
unit = "learner"
[allocation]
control = 0.58426966
treatment = 0.41573034
[primary]
metric = "earned"
relative = false
"""


def group(n: int, mean: float, deviation: float) -> list[float]:
    """Any values of this mean and standard deviation: a t-test asks for no more."""
    steps = np.linspace(-1, 1, n)
    return [float(value) for value in mean + deviation * steps / steps.std(ddof=1)]


@pytest.mark.parametrize("year", EARNED)
def test_the_training_programme_of_1976_raised_later_earnings_by_1794_dollars(tmp_path: Path, year: str) -> None:
    *sums, difference, error, verdict = EARNED[year]
    earned = [(arm, value) for (arm, n), one in zip(ARMS.items(), sums, strict=True) for value in group(n, *one)]
    (tmp_path / "a.csv").write_text("unit,arm\n" + "".join(f"{n},{arm}\n" for n, (arm, _) in enumerate(earned)))
    (tmp_path / "o.csv").write_text("unit,metric,value\n" + "".join(f"{n},earned,{v!r}\n" for n, (_, v) in enumerate(earned)))
    (tmp_path / "d.toml").write_text(DESIGN)
    names = {"assignments": "a.csv", "outcomes": "o.csv", "design": "d.toml", "out": "r.html", "json": "r.json"}
    result = CliRunner().invoke(app, ["analyze", *(p for k, v in names.items() for p in (f"--{k}", str(tmp_path / v)))])
    found = json.loads((tmp_path / "r.json").read_text("utf-8"))
    (metric,) = found["metrics"]
    assert result.exit_code == 0, result.output
    assert metric["estimate"] == pytest.approx(difference, abs=0.01)
    assert metric["error"] == pytest.approx(error, abs=0.01)
    assert found["verdict"] == verdict
