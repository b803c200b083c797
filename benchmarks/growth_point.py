"""One point of `benchmarks.growth`: make a table of a size, fit a family on it, and say what that cost, as a line of JSON.

The table: about ten distinct items a learner, some days apart. A topic has a hundred items; topics, and items within them, are
as popular as Zipf's law says; seven in ten items of a learner are of one topic. All is drawn from one seed.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training import lineup
from training.contest import peak_mb
from training.models.families import FAMILIES

_TOPIC, _AT_HOME, _TEXT = 100, 0.7, 384
_DAY = 86_400_000_000  # microseconds
_SMALLEST = 3  # items of a learner at least


def main(family: str, learners: int, items: int, gigabytes: float) -> None:
    """Print `table` when the fit begins, then the figures, or `failed` with the reason where memory ran out."""
    data = table(learners, items)
    texts = np.random.default_rng(2).standard_normal((items, _TEXT), dtype=np.float32) if _needs_side(family) else None
    model = lineup.bound(FAMILIES[family].default, SideInformation(items, texts))
    print("table", flush=True)
    before = _forget_peak()
    resource.setrlimit(resource.RLIMIT_DATA, (int(gigabytes * 2**30),) * 2)
    started = time.perf_counter()
    try:
        fitted = model.fit(data, rng=np.random.default_rng(0))
        seconds = time.perf_counter() - started
        size = sum(array.nbytes for array in fitted.arrays().values()) / 2**20
    except MemoryError as error:
        print(json.dumps({"events": len(data.items), "failed": f"over {gigabytes:g} GB: {error}"}))
        return
    figures = {"seconds": seconds, "peak_mb": peak_mb(), "before_mb": before, "model_mb": size}
    print(json.dumps({"events": len(data.items)} | {name: round(value, 2) for name, value in figures.items()}))


def table(learners: int, items: int) -> Interactions:
    """The same table for the same size."""
    rng = np.random.default_rng(1)
    lengths = _SMALLEST + rng.poisson(8, size=learners)
    home = np.repeat(_zipf(rng, -(-items // _TOPIC), learners), lengths)
    topic = np.where(rng.random(len(home)) < _AT_HOME, home, _zipf(rng, -(-items // _TOPIC), len(home)))
    drawn = np.minimum(topic * _TOPIC + _zipf(rng, _TOPIC, len(home)), items - 1)
    renamed = rng.permutation(items).astype(np.int32)[drawn]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    at = (np.cumsum(rng.integers(1, 5 * _DAY, size=len(home))) % (900 * _DAY)).view("datetime64[us]")
    histories = Histories(indptr, renamed, _in_order(at, indptr), np.zeros(learners, dtype=np.int32), items)
    return Interactions.of_histories(histories, n_audiences=1)


def _zipf(rng: np.random.Generator, n: int, size: int) -> NDArray[np.int64]:
    """int64[size]: k in 0..n-1 with a chance like 1 / (k + 1)."""
    chance = np.cumsum(1 / np.arange(1, n + 1))
    drawn: NDArray[np.int64] = np.searchsorted(chance, rng.random(size) * chance[-1], side="right").clip(0, n - 1)
    return drawn


def _in_order(at: NDArray[np.datetime64], indptr: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Times sorted within each history."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return at[np.lexsort((at, rows))]


def _needs_side(family: str) -> bool:
    return FAMILIES[family].needs == "side"


def _forget_peak() -> float:
    """MB resident now; the peak counts from here on, where the system allows it."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    return peak_mb()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
