"""How often the experiments' procedures are wrong: tens of thousands of experiments whose truth is known.

python -m benchmarks.calibrate [--runs 10000] [--seed 20261128] [--fresh SEED] [--processes N]      make calibrate

Units are drawn from the embedded organisation's parameter family (`experiments.simulate`), procedures are those of a report.
Exit code 1 where a target was missed. A full run writes benchmarks/results/calibrate.json and the tables of
docs/calibration.md.
"""

import argparse
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.calibrate_page import write_page
from benchmarks.calibrate_trials import trial
from benchmarks.machine import machine
from experiments.assignment import assign
from experiments.inference.sample_ratio import WARNS_BELOW, sample_ratio
from experiments.simulate.looks import at_the_end
from experiments.simulate.population import Population, population
from experiments.simulate.runs import cover, peek, read
from experiments.simulate.worlds import World, draw

RESULT = Path(__file__).parent / "results" / "calibrate.json"
DOCS = Path(__file__).parents[1] / "docs"
RUNS, SEED, CHUNK = 10_000, 20_261_128, 100
TRIALS, LEARNERS = {"null": 40, "skewed": 10, "clustered": 10, "harmful": 10, "beneficial": 10}, 150
ARMS = {"control": 0.5, "treatment": 0.5}
LEVEL, SURE = 0.05, 0.999

NULLS = {
    "completions": World("completions", 2_000, entering=7),
    "hours (skewed)": World("hours", 2_000, entering=7),
    "completions, drifting": World("completions", 2_000, entering=14, drift=1.0),
    "completions, 200 teams": World("completions", 2_400, entering=7, teams=200),
}
EFFECTS = {
    "skewed: hours": World("hours", 2_000, lift=0.1),
    "clustered: completions, 400 teams": World("completions", 4_800, lift=0.1, teams=400),
    "ratio: finished of taken up": World("finishing", 2_000, ease=0.2),
}
SMALL = {
    "hours, 60 learners": World("hours", 60, lift=0.1),
    "hours, 200 learners": World("hours", 200, lift=0.1),
    "hours, 600 learners": World("hours", 600, lift=0.1),
    "completions, 12 teams of 240 learners": World("completions", 240, lift=0.1, teams=12),
    "completions, 24 teams of 480 learners": World("completions", 480, lift=0.1, teams=24),
    "completions, 60 teams of 1,200 learners": World("completions", 1_200, lift=0.1, teams=60),
    "completions, 200 teams of 2,400 learners": World("completions", 2_400, lift=0.1, teams=200),
}
VERDICTS = {
    "null": World("completions", 2_000, entering=7),
    "harmful": World("completions", 2_000, lift=-0.2, entering=7),
    "beneficial": World("completions", 2_000, lift=0.25, entering=7),
    "skewed": World("hours", 2_000, lift=0.25, entering=7),
    "clustered": World("completions", 2_400, lift=0.25, entering=7, teams=200),
    "drifting": World("completions", 2_000, lift=0.6, entering=7, fades=4, drift=1.0),
}
Row = dict[str, Any]
Work = Callable[[np.random.Generator], Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--fresh", type=int, default=None, help="the second seed; absent: drawn anew")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    fresh = secrets.randbelow(2**31) if given.fresh is None else given.fresh
    began, measured_on = time.perf_counter(), machine()
    with ProcessPoolExecutor(given.processes) as pool:
        found = measure(pool, given.runs, given.seed, fresh)
    found["targets"] = targets(found)
    found["minutes"] = round((time.perf_counter() - began) / 60, 1)
    for one in found["targets"]:
        print(f"{'met   ' if one['met'] else 'MISSED'} {one['name']}: {one['found']} (target: {one['target']})")
    print(f"{found['minutes']} minutes, seeds {given.seed} and {fresh}")
    if given.runs == RUNS:
        RESULT.write_text(json.dumps({"machine": measured_on, **found}, indent=1) + "\n")
        write_page(json.loads(RESULT.read_text()), DOCS)
    return int(not all(one["met"] for one in found["targets"]))


def measure(pool: ProcessPoolExecutor, runs: int, seed: int, fresh: int) -> Row:
    """All parts. `seed`: of everything; `fresh`: of the coverage once more."""
    few = max(runs // 10, CHUNK)
    return {
        "runs": runs,
        "seed": seed,
        "fresh_seed": fresh,
        "looks": [_looks(pool, name, world, runs, seed) for name, world in NULLS.items()],
        "coverage": [
            row
            for place, one in enumerate((seed, fresh))
            for name, world in EFFECTS.items()
            for row in _coverage(pool, name, world, runs, one, fresh=bool(place))
        ],
        "small": [row for name, world in SMALL.items() for row in _coverage(pool, name, world, 2 * few, seed)],
        "adjusting": [_adjusting(name, world, seed) for name, world in EFFECTS.items()],
        "verdicts": [_verdicts(pool, name, world, max(few // 4, CHUNK), seed) for name, world in VERDICTS.items()],
        "parallel": _parallel(),
        "sample_ratio": _sample_ratio(pool, runs),
        "trials": [_trials(pool, name, min(count, runs), seed) for name, count in TRIALS.items()],
    }


@cache
def people() -> Population:
    return population()


def _looks(pool: ProcessPoolExecutor, name: str, world: World, runs: int, seed: int) -> Row:
    fixed, peeked, always = np.array(list(_many(pool, f"A/A, daily looks: {name}", "peek", world, runs, seed))).mean(axis=0)
    return {"world": name, "fixed": fixed, "fixed_at_every_look": peeked, "always_valid": always, "days": world.days}


def _coverage(pool: ProcessPoolExecutor, name: str, world: World, runs: int, seed: int, *, fresh: bool = False) -> list[Row]:
    found = np.array(list(_many(pool, f"coverage: {name}", "cover", world, runs, seed)))  # [runs, 2, 5]
    rows = []
    for scale, values in (("relative", found[:, 0]), ("absolute", found[:, 1])):
        truth = world.truth(people(), relative=scale == "relative")
        adjusted, unadjusted = values[:, 3], values[:, 4]
        rows.append(
            {
                "world": name,
                "scale": scale,
                "fresh": fresh,
                "truth": truth,
                "plain": float(np.nanmean(values[:, 1])),
                "cuped": float(np.nanmean(values[:, 0])),
                "always_valid": float(np.nanmean(values[:, 2])),
                "refused": float(np.isnan(values[:, 0]).mean()),
                "bias": float(np.nanmean(adjusted) - truth),
                "bias_error": float(np.nanstd(adjusted) / len(adjusted) ** 0.5),
                "variance_kept": float(np.nanvar(adjusted) / np.nanvar(unadjusted)),
            }
        )
    return rows


def _adjusting(name: str, world: World, seed: int, units: int = 1_000_000) -> Row:
    """1 - rho^2 of outcome and covariate in a million units of the control, both less their share of the denominator."""
    one = at_the_end(draw(people(), world.with_units(2 * units), np.random.default_rng([seed, units])))["control"]
    outcome, before = (_residual(one.means, column) for column in (0, 2))
    together = outcome @ one.covariances @ before
    square = together**2 / (outcome @ one.covariances @ outcome) / (before @ one.covariances @ before)
    return {"world": name, "theory": float(1 - square)}


def _residual(means: np.ndarray, column: int) -> np.ndarray:
    found = np.eye(3)[column]
    found[1] -= means[column] / means[1]
    return found


def _verdicts(pool: ProcessPoolExecutor, name: str, world: World, runs: int, seed: int) -> Row:
    kinds = Counter(_many(pool, f"verdicts: {name}", "verdict", world, runs, seed))
    return {
        "world": name,
        "runs": runs,
        "truth": world.truth(people(), relative=True),
        "kinds": {kind: count / runs for kind, count in kinds.most_common()},
    }


def _parallel(ids: int = 100_000, experiments: int = 10) -> Row:
    """Arms of parallel experiments without a common layer, over the same ids."""
    names = [f"L{number:06d}" for number in range(ids)]
    arms = np.array([[assign(f"demo/parallel-{k}/", name, ARMS) == "treatment" for name in names] for k in range(experiments)])
    found = [float(np.corrcoef(arms[i], arms[j])[0, 1]) for i, j in combinations(range(experiments), 2)]
    return {
        "ids": ids,
        "first_pair": found[0],
        "pairs": len(found),
        "largest": max(map(abs, found)),
        "root_mean_square": float(np.sqrt(np.mean(np.square(found)))),
        "of_chance": ids**-0.5,
    }


def _sample_ratio(pool: ProcessPoolExecutor, runs: int, ids: int = 1_000) -> Row:
    """Experiments of other names over the same ids."""
    chunks = pool.map(_ratios, *zip(*((first, min(CHUNK, runs - first), ids) for first in range(0, runs, CHUNK)), strict=True))
    p_values = np.array([one for chunk in _told("sample ratio", runs, chunks) for one in chunk])
    return {
        "experiments": runs,
        "ids": ids,
        "false_alarms": float((p_values < WARNS_BELOW).mean()),
        "below_5_percent": float((p_values < LEVEL).mean()),
    }


def _trials(pool: ProcessPoolExecutor, name: str, runs: int, seed: int) -> Row:
    """Experiments through ranking, store and report."""
    seeds = [seed % 1_000_000 + number for number in range(runs)]
    chunks = ([one] for one in pool.map(trial, *zip(*((name, one, LEARNERS) for one in seeds), strict=True)))
    told = [one for chunk in _told(f"through ranking, store and report: {name}", runs, chunks) for one in chunk]
    return {
        "scenario": name,
        "runs": runs,
        "learners": LEARNERS,
        "found": sum(differs for _, differs, _ in told) / runs,
        "healthy": sum(healthy for *_, healthy in told) / runs,
        "kinds": {kind: count / runs for kind, count in Counter(kind for kind, *_ in told).most_common()},
    }


def _ratios(first: int, count: int, ids: int) -> list[float]:
    found = []
    for number in range(first, first + count):
        arms = Counter(assign(f"demo/healthy-{number}/", f"L{one:04d}", ARMS) for one in range(ids))
        found.append(sample_ratio({arm: arms[arm] for arm in ARMS}, ARMS))
    return found


def _many(pool: ProcessPoolExecutor, what: str, kind: str, world: World, runs: int, seed: int) -> Iterator[Any]:
    """What each run says. Runs are seeded by chunk: the same for any number of processes."""
    parts = [(kind, world, seed, number, min(CHUNK, runs - CHUNK * number)) for number in range(-(-runs // CHUNK))]
    for chunk in _told(what, runs, pool.map(_chunk, *zip(*parts, strict=True))):
        yield from chunk


def _chunk(kind: str, world: World, seed: int, number: int, count: int) -> list[Any]:
    rng = np.random.default_rng([seed, number, *repr((kind, world)).encode()])
    work: dict[str, Work] = {
        "peek": lambda rng: peek(people(), world, rng),
        "cover": lambda rng: cover(people(), world, rng),
        "verdict": lambda rng: read(people(), world, world.design(), rng).verdict.kind,
    }
    return [work[kind](rng) for _ in range(count)]


def _told(what: str, runs: int, chunks: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """The chunks, with progress on the terminal."""
    done, began = 0, time.perf_counter()
    for chunk in chunks:
        done += len(chunk)
        end = "\n" if done == runs or not sys.stdout.isatty() else "\r"
        if done == runs or sys.stdout.isatty():
            print(f"{what}: {done:,} of {runs:,} in {time.perf_counter() - began:.0f} s", end=end, flush=True)
        yield chunk


def around(share: float, runs: int) -> tuple[float, float]:
    """The 99.9 % binomial interval of a share."""
    low, high = stats.binom.interval(SURE, runs, share)
    return float(low / runs), float(high / runs)


def targets(found: Row) -> list[Row]:
    """Each claim with what was found."""
    low, high = around(LEVEL, found["runs"])
    inside = around(1 - LEVEL, found["runs"])
    rows = []
    for one in found["looks"]:
        target = f"{low:.4f} to {high:.4f}"
        rows.append(_target(f"false positives at one look, {one['world']}", one["fixed"], target, low <= one["fixed"] <= high))
        name = f"false positives, always-valid at any of {one['days']} daily looks, {one['world']}"
        rows.append(_target(name, one["always_valid"], f"at most {LEVEL}", one["always_valid"] <= LEVEL))
    for one in found["coverage"]:
        for way in ("plain", "cuped"):
            name = f"coverage, {one['world']}, {way}, {one['scale']}{', fresh seed' if one['fresh'] else ''}"
            rows.append(_target(name, one[way], f"{inside[0]:.4f} to {inside[1]:.4f}", inside[0] <= one[way] <= inside[1]))
    kept = {one["world"]: one["theory"] for one in found["adjusting"]}
    for one in (row for row in found["coverage"] if row["scale"] == "absolute"):
        theory = kept[one["world"]]
        name = f"variance that CUPED leaves, {one['world']}{', fresh seed' if one['fresh'] else ''}"
        met = abs(one["variance_kept"] / theory - 1) <= 0.05
        rows.append(_target(name, one["variance_kept"], f"{theory:.4f} within 5 %", met))
    parallel, ratio = found["parallel"], found["sample_ratio"]
    rows.append(
        _target(
            "correlation of two parallel experiments", parallel["first_pair"], "below .01", abs(parallel["first_pair"]) < 0.01
        )
    )
    low, high = around(WARNS_BELOW, ratio["experiments"])
    rows.append(
        _target(
            "false alarms of the sample-ratio check",
            ratio["false_alarms"],
            f"{low:.4f} to {high:.4f}",
            low <= ratio["false_alarms"] <= high,
        )
    )
    null = next(one for one in found["verdicts"] if one["world"] == "null")
    ships, most = null["kinds"].get("ship", 0.0), around(LEVEL / 2, null["runs"])[1]
    rows.append(_target("`ship` where nothing is true", ships, f"at most {most:.4f}", ships <= most))
    for one in (one for one in found["trials"] if one["scenario"] == "null"):
        most = around(LEVEL, one["runs"])[1]
        rows.append(
            _target("found in nothing, through ranking and store", one["found"], f"at most {most:.4f}", one["found"] <= most)
        )
    return rows


def _target(name: str, value: float, target: str, met: bool) -> Row:
    return {"name": name, "found": round(float(value), 5), "target": target, "met": bool(met)}


if __name__ == "__main__":
    sys.exit(main())
