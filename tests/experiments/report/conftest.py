"""Pages of each kind, made from CSV files as a team would bring them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.analysis import analyse
from experiments.design import design_of
from experiments.outcomes.files import read_files
from experiments.report.page import page

BEGAN = datetime(2026, 3, 2, 8, tzinfo=UTC)
TEAMS = ("Kundenservice", "Vertrieb Außendienst", "Finance", "Research & development", "ロジスティクス", "IT", "Legal", "HR")
ARMS = ("control", "treatment")
Build = Callable[[Path], str]


def design(**more: object) -> dict[str, object]:
    """A page with all sections, of a result that may be read at any time."""
    return {
        "name": "Practice card after a course",
        "unit": "learner",
        "hypothesis": "A card two days after a course makes people use what they learned.",
        "allocation": {"control": 0.5, "treatment": 0.5},
        "primary": {"metric": "applied", "relative": True, "minimum_effect": 0.05, "missing": "zero"},
        "guardrails": [
            {"metric": "opt_out", "direction": "down", "margin": 0.05, "missing": "zero"},
            {"metric": "minutes", "direction": "down", "margin": 4.0, "missing": "zero"},
        ],
        "goals": [{"metric": "returns", "missing": "zero"}, {"metric": "rated", "missing": "zero"}],
        "segments": ["team"],
        "horizon_days": 42,
        "peeking": "always-valid",
        "planned_units": 1200,
        **more,
    }


def build(
    folder: Path,
    *,
    effect: float = 0.3,
    wears_off: bool = False,
    shares: Sequence[float] | None = None,
    teams: Sequence[str] = TEAMS,
    sites: int = 0,
    days: int = 42,
    units: int = 1200,
    **more: object,
) -> str:
    """The page of `units` that join over the first third of `days`; `effect` on the primary, half of it on the goals."""
    plan, rng = design_of(design(**more), "test"), np.random.default_rng(7)
    arms = list(plan.allocation)
    site = rng.integers(0, sites, units) if sites else None
    drawn = rng.choice(len(arms), max(units, sites), p=shares or list(plan.allocation.values()))
    arm = drawn[:units] if site is None else np.arange(sites)[site] % len(arms)
    joined = np.sort(rng.uniform(0, days / 3, units))
    head = "unit,arm,assigned_at,team" + (",cluster" if sites else "")
    rows = [f'u{n},{arms[arm[n]]},{_at(joined[n])},"{teams[n % len(teams)]}"' for n in range(units)]
    if site is not None:
        rows = [f"{row},site {place}" for row, place in zip(rows, site, strict=True)]
    _write(folder / "a.csv", head, rows)
    _write(folder / "o.csv", "unit,metric,value,at", _outcomes(rng, arm, joined, days, effect, wears_off))
    return page(analyse(read_files(folder / "a.csv", folder / "o.csv", plan), plan, now=BEGAN + timedelta(days=days)))


def _outcomes(rng: np.random.Generator, arm: Any, joined: Any, days: int, effect: float, wears_off: bool) -> list[str]:
    rows = []
    for n, began in enumerate(joined):
        for day in range(int(days - began)):
            gain = effect * (arm[n] > 0) * (0.6 + 0.4 * arm[n]) * (max(0.0, 1 - day / 20) if wears_off else 1.0)
            if day % 3 == n % 3:
                rows.append(f"u{n},applied,{max(rng.normal(1 + gain, 0.6), 0):.3f},{_at(began + day + 0.2)}")
        for metric, value in (
            ("minutes", rng.normal(30, 4)),
            ("returns", rng.poisson(3 + effect)),
            ("rated", rng.integers(1, 6)),
        ):
            rows.append(f"u{n},{metric},{value:.2f},{_at(began + 1)}")
        if n % 37 == 0:
            rows.append(f"u{n},opt_out,1,{_at(began + 2)}")
    return rows


def _at(day: float) -> str:
    return (BEGAN + timedelta(days=float(day))).isoformat(timespec="seconds")


def _write(path: Path, head: str, rows: Sequence[str]) -> None:
    path.write_text("\n".join([head, *rows]) + "\n", "utf-8")


LONG = "Personalisierungsbenachrichtigungszustellungsoptimierung_" * 3
SIX = {"control": 0.25, **{f"variant_with_a_name_that_says_all_there_is_to_say_about_it_{n}": 0.15 for n in range(5)}}
KINDS: dict[str, Build] = {
    "ship": lambda folder: build(folder, wears_off=True),
    "do not ship": lambda folder: build(folder, effect=-0.3),
    "keep running": lambda folder: build(folder, effect=0.05, days=24, units=400),
    "not yet": lambda folder: build(folder, days=24, peeking="fixed"),
    "broken": lambda folder: build(folder, shares=[0.6, 0.4]),
    "fixed": lambda folder: build(folder, peeking="fixed", days=42),
    "clustered": lambda folder: build(folder, sites=48, unit="site"),
    "many": lambda folder: build(
        folder,
        name=LONG,
        allocation=SIX,
        units=3000,
        hypothesis=LONG,
        teams=[f"Abteilung für {'Angelegenheiten' * 3} {n}" for n in range(24)],
    ),
}


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One of each verdict, and those that are hard to lay out: clusters, many arms and parts, long names."""
    return {kind: make(tmp_path_factory.mktemp("experiment")) for kind, make in KINDS.items()}
