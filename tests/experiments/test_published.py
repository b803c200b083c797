"""Experiments whose result was published, through the command that a stranger would use."""

import json
from pathlib import Path
from typing import Any

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


def analyze(folder: Path, design: str) -> Any:
    """The JSON of `a.csv` and `o.csv`, which are there."""
    (folder / "d.toml").write_text(design)
    names = {"assignments": "a.csv", "outcomes": "o.csv", "design": "d.toml", "out": "r.html", "json": "r.json"}
    result = CliRunner().invoke(app, ["analyze", *(p for k, v in names.items() for p in (f"--{k}", str(folder / v)))])
    assert result.exit_code == 0, result.output
    return json.loads((folder / "r.json").read_text("utf-8"))


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
    found = analyze(tmp_path, DESIGN)
    (metric,) = found["metrics"]
    assert metric["estimate"] == pytest.approx(difference, abs=0.01)
    assert metric["error"] == pytest.approx(error, abs=0.01)
    assert found["verdict"] == verdict


VOTED = {"control": (191243, 56730), "civic duty": (38218, 12021), "Hawthorne": (38204, 12316), "neighbours": (38201, 14438)}
"""People of a letter, and those who voted (Gerber, Green, Larimer 2008, the arms that Imai's textbook of 2017 keeps)."""


def test_of_three_letters_the_one_that_told_the_neighbours_brought_most_to_vote(tmp_path: Path) -> None:
    """Published shares: 29.7, 31.5, 32.2 and 37.8 %; the differences of shares by the formula of two binomials."""
    people = sum(n for n, _ in VOTED.values())
    shares = "".join(f'"{arm}" = {n / people!r}\n' for arm, (n, _) in VOTED.items())
    design = f'name = "Letters"\nunit = "learner"\n[allocation]\n{shares}[primary]\nmetric = "voted"\nrelative = false\n'
    rows = [(f"{arm} {n}", arm, n < votes) for arm, (size, votes) in VOTED.items() for n in range(size)]
    (tmp_path / "a.csv").write_text("unit,arm\n" + "".join(f"{unit},{arm}\n" for unit, arm, _ in rows))
    (tmp_path / "o.csv").write_text("unit,metric,value\n" + "".join(f"{unit},voted,{voted}\n" for unit, _, voted in rows))
    found = analyze(tmp_path, design)
    assert (found["verdict"], found["arm"]) == ("ship", "neighbours")
    assert [round(found["metrics"][0]["control_mean"], 3)] + [round(one["arm_mean"], 3) for one in found["metrics"]] == [
        *(0.297, 0.315, 0.322, 0.378)
    ]
    for one in found["metrics"]:
        (n, p), (m, q) = ((size, votes / size) for size, votes in (VOTED["control"], VOTED[one["arm"]]))
        assert one["estimate"] == pytest.approx(q - p)
        assert one["error"] == pytest.approx((p * (1 - p) / n + q * (1 - q) / m) ** 0.5, rel=1e-4)
