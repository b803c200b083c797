"""The command of `make calibrate` on a few experiments: the same for any number of processes, judged and written."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from benchmarks import calibrate
from benchmarks.calibrate_page import write_page
from experiments.simulate.worlds import World


def test_chunks_are_seeded_by_their_number() -> None:
    world = World("completions", 600)
    with ProcessPoolExecutor(1) as one:
        alone = list(calibrate._many(one, "", "cover", world, 120, 5))
    assert alone == [*calibrate._chunk("cover", world, 5, 0, 100), *calibrate._chunk("cover", world, 5, 1, 20)]
    assert calibrate._chunk("cover", world, 5, 0, 1) != calibrate._chunk("cover", world, 5, 1, 1)


def found() -> dict[str, object]:
    look = {"world": "completions", "fixed": 0.05, "fixed_at_every_look": 0.3, "always_valid": 0.01, "days": 28}
    row = {"world": "hours", "scale": "absolute", "fresh": False, "truth": 0.1, "plain": 0.95, "cuped": 0.951}
    more = {"always_valid": 0.99, "refused": 0.0, "bias": 0.001, "bias_error": 0.002, "variance_kept": 0.70}
    trial = {"scenario": "null", "runs": 40, "learners": 150, "found": 0.05, "healthy": 1.0, "kinds": {"do not ship": 1.0}}
    return {
        "runs": 10_000,
        "seed": 1,
        "fresh_seed": 2,
        "minutes": 30,
        "machine": {"cores": 2, "cpu": "x", "load_1_min": 0.1},
        "looks": [look],
        "coverage": [row | more],
        "small": [row | more],
        "adjusting": [{"world": "hours", "theory": 0.71}],
        "verdicts": [{"world": "null", "runs": 1_000, "truth": 0.0, "kinds": {"ship": 0.02, "do not ship": 0.98}}],
        "parallel": {
            "ids": 100_000, "first_pair": 0.001, "pairs": 45, "largest": 0.009, "root_mean_square": 0.003, "of_chance": 0.003,
        },
        "sample_ratio": {"experiments": 10_000, "ids": 1_000, "false_alarms": 0.001, "below_5_percent": 0.05},
        "trials": [trial],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("part", "name", "value", "missed"),
    [
        ("looks", "fixed", 0.058, "false positives at one look"),  # 5 % of 10,000: 0.0430 to 0.0573 by the binomial at 99.9 %
        ("looks", "always_valid", 0.051, "always-valid"),
        ("coverage", "plain", 0.942, "coverage, hours, plain"),
        ("coverage", "cuped", 0.958, "coverage, hours, cuped"),
        ("coverage", "variance_kept", 0.75, "variance that CUPED leaves"),
        ("parallel", "first_pair", -0.011, "correlation"),
        ("sample_ratio", "false_alarms", 0.004, "sample-ratio"),
        ("verdicts", "kinds", {"ship": 0.06}, "`ship`"),
        ("trials", "found", 0.5, "through ranking and store"),
    ],
)
def test_each_target_can_be_missed(part: str, name: str, value: object, missed: str) -> None:
    good = found()
    assert all(one["met"] for one in calibrate.targets(good))
    rows = good[part]
    (rows[0] if isinstance(rows, list) else rows)[name] = value  # type: ignore[index]
    names = [one["name"] for one in calibrate.targets(good) if not one["met"]]
    assert len(names) == 1
    assert missed in names[0]


def test_the_page_is_written_between_its_marks(tmp_path: Path) -> None:
    page = calibrate.DOCS / "calibration.md"
    (tmp_path / page.name).write_text(page.read_text("utf-8"), "utf-8")
    result = found()
    result["targets"] = calibrate.targets(result)
    write_page(result, tmp_path)
    text = (tmp_path / page.name).read_text("utf-8")
    assert "| completions | 5.00% | 1.00% | 30.00% |" in text
    assert "| null | +0.0% | 1,000 | 2.0% | 98.0% | 0.0% | 0.0% |" in text
    assert "| null | 40 | 150 | 5% |" in text
    assert "targets were met" in text
    write_page(result, tmp_path)
    assert (tmp_path / page.name).read_text("utf-8") == text
