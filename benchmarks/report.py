"""A report over millions of exposures: from the lake's Parquet to the page, in seconds and gigabytes.

python -m benchmarks.report                        10,000,000 exposures and as many outcomes; writes results/report.json
python -m benchmarks.report --exposures 1000000    a smaller one; writes nothing
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from benchmarks.machine import machine
from experiments.design import design_of
from experiments.lifecycle import start
from features import columns, lake, partitions
from features.catalogue import Item, canonical_json

ROOT: Final = Path(__file__).parents[1]
RESULT: Final = ROOT / "benchmarks" / "results" / "report.json"
TARGETS: Final = {"seconds": 60.0, "memory_gb": 4.0, "page_mb": 3.0}
FULL: Final = 10_000_000
TENANT, NAME = "bench", "bolder"
START: Final = datetime(2026, 3, 2, tzinfo=UTC)
READ_AT: Final = datetime(2026, 5, 1, tzinfo=UTC)
PARTS: Final = 20

_LEARNER: Final = "'learner-' || lpad((hash({}) % {})::text, 8, '0')"
_DECISIONS: Final = """
SELECT i AS seq, 'decision-' || lpad(i::text, 24, '0') AS decision_id, {learner} AS learner_id,
    {start} + to_seconds((i * 7919 % 2419200)::integer) AS decided_at, 'ranking' AS kind, 'api' AS surface, 'p' AS policy,
    'b' AS bundle, '{{"bolder": "' || CASE WHEN hash(learner_id) % 2 = 0 THEN 'control' ELSE 'treatment' END || '"}}' AS arms,
    '["item-' || hash(i + 1) % 500 || '", "item-' || hash(i + 2) % 500 || '"]' AS item_ids, false AS spoke,
    NULL::varchar AS fallback, '{{"score": 2.0}}' AS stages_ms, 2.0 + hash(i + 3) % 100 / 50 AS total_ms
FROM range({first}, {last}) AS t(i)
"""
_EVENTS: Final = """
SELECT i AS seq, 'bench' AS tenant, 'event-' || i AS event_id, {learner} AS learner_id,
    CASE WHEN hash(i + 4) % 10 < 5 THEN 'completed' WHEN hash(i + 4) % 10 < 9 THEN 'started' ELSE 'dismissed' END AS verb,
    'item-' || hash(i + 1) % 500 AS object_id,
    {start} + to_seconds((i * 7919 % 2419200 + hash(i + 5) % 1209600)::integer) AS occurred_at, occurred_at AS recorded_at,
    occurred_at AS known_at, 'decision-' || lpad(i::text, 24, '0') AS decision_id, true AS completion, NULL::boolean AS success,
    NULL::double AS score, NULL::double AS duration_s, NULL::double AS progress, '{{}}' AS context, 'api' AS source,
    hash(i + 6) % 20 = 0 AS backfill, 1::integer AS schema_version
FROM range({first}, {last}) AS t(i)
"""
_DESIGN: Final = {
    "name": NAME,
    "unit": "learner",
    "horizon_days": 28,
    "allocation": {"control": 0.5, "treatment": 0.5},
    "primary": {"metric": "completion", "relative": True, "minimum_effect": 0.01},
    "goals": [{"metric": "return_7d"}],
    "guardrails": [{"metric": "dismissals", "margin": 0.05}],
}


def main() -> int:
    """Exit 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exposures", type=int, default=FULL)
    parser.add_argument("--learners", type=int, help="else a tenth of the exposures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        learners = given.learners or given.exposures // 10
        generated = generate(Path(folder), given.exposures, learners)
        found = {"exposures": given.exposures, "outcomes": given.exposures, "learners": learners}
        found |= {"generated_seconds": generated, **measure(Path(folder))}
    for name, target in TARGETS.items():
        print(f"{name:<12} {found[name]:>9,.2f}   target {target:g}")
    print(f"{'processor':<12} {found['processor_seconds']:>9,.2f} s")
    print(found["sentence"])
    if given.exposures == FULL:
        RESULT.write_text(json.dumps({"machine": machine(), "targets": TARGETS, **found}, indent=1) + "\n")
    return int(any(found[name] > target for name, target in TARGETS.items()))


def measure(folder: Path) -> dict[str, Any]:
    """The command as it is typed, in a process of its own: seconds, most memory, size of the page."""
    words = [sys.executable, "-m", "experiments", "report", NAME, "--tenant", TENANT, "--as-it-lies"]
    for option in ("lake", "out"):
        words += [f"--{option}", str(folder / option)]
    words += ["--folder", str(folder / "experiments"), "--tracking", f"sqlite:///{folder}/none.db"]
    began = time.monotonic()
    said = subprocess.run(words, cwd=ROOT, env=dict(os.environ), check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "memory_gb": round(used.ru_maxrss / 2**20, 2),
        "page_mb": round((folder / "out" / f"{NAME}.html").stat().st_size / 1e6, 3),
        "sentence": said.splitlines()[0],
    }


def generate(folder: Path, exposures: int, learners: int) -> float:
    """A lake as `materialize` leaves it, written by DuckDB, and the record of the experiment; seconds."""
    began = time.monotonic()
    at = folder / "lake"
    start(folder / "experiments", TENANT, design_of(_DESIGN, "benchmark"), at=START)
    connection = duckdb.connect(config={"memory_limit": "2GB"})
    connection.execute("SET TimeZone = 'UTC'")
    decisions, events = {}, {}
    for part in range(PARTS):
        first, last = (exposures * n // PARTS for n in (part, part + 1))
        given = {"first": first, "last": last, "start": f"timestamptz '{START.isoformat()}'"}
        given["learner"] = _LEARNER.format("i // 3 * 3", learners)
        name, month = f"{first + 1}-{last}", f"part{part:02}"
        path = at / "decisions" / f"tenant={TENANT}" / f"{name}.parquet"
        decisions[name] = _copy(connection, _DECISIONS.format(**given), path, last - first)
        path = at / "months" / f"tenant={TENANT}" / f"month={month}" / "part.parquet"
        events[month] = _copy(connection, _EVENTS.format(**given), path, last - first)
    beside = {name: _small(at, name, shape, []) for name, shape in _BESIDE.items()}
    items = [Item(id=f"item-{n}", title=str(n)) for n in range(500)]
    rows = {"items": [{"id": item.id, "body": canonical_json(item), "title": item.title} for item in items]}
    snapshots = {name: _small(at, name, shape, rows.get(name, [])) for name, shape in lake.SNAPSHOTS.items()}
    said = {"format": lake.FORMAT, "schema": partitions.SCHEMA, "tenant": TENANT, "files": {}, "months": events}
    said |= {"snapshots": snapshots, "decided": {"erasures": 0, "files": decisions, **beside}, "read_at": READ_AT.isoformat()}
    (at / "manifests").mkdir()
    (at / "manifests" / f"{TENANT}.json").write_text(json.dumps(said))
    connection.close()
    return round(time.monotonic() - began, 1)


_BESIDE: Final = {"choices": columns.CHOICE, "memberships": columns.MEMBERSHIP}


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path, rows: int) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    return partitions.described(path, rows)


def _small(at: Path, name: str, shape: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    path = at / name / f"tenant={TENANT}" / "part.parquet"
    partitions.write(pa.Table.from_pylist(rows, schema=partitions.schema(shape)), path)
    return partitions.described(path, len(rows))


if __name__ == "__main__":
    sys.exit(main())
