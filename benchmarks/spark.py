"""Spark beside DuckDB, Arrow and `implicit` on one machine: what each takes for the same lake, and whether results agree.

`python -m benchmarks.spark --tenant T --store sqlite:///var/events.db > benchmarks/results/spark.json`
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.machine import machine
from features import lake, population, spark
from features.interactions import Interactions
from features.store import EventStore
from training.evaluate import evaluate
from training.models.als import ALS
from training.splits import leave_last_out

SEEDS = (7, 8, 9)


def main(
    tenant: Annotated[str, typer.Option()],
    store: Annotated[str, typer.Option()] = "sqlite:///var/events.db",
) -> None:
    """Print the figures as JSON."""
    folder = Path(tempfile.mkdtemp())
    try:
        found = {"machine": machine() | {"pyspark": version("pyspark")}, "session_s": timed(spark.session)[0]} | measured(
            store, tenant, folder
        )
    finally:
        shutil.rmtree(folder)
    print(json.dumps(found, indent=1))


def measured(store: str, tenant: str, folder: Path) -> dict[str, Any]:
    opened = EventStore.open(store)
    session, running = opened.tenant(tenant), spark.session()
    arrow_s, report = timed(lambda: lake.materialize(session, folder / "arrow"))
    spark_s, other = timed(lambda: lake.materialize(session, folder / "spark", write=spark.write_days(running, store)))
    opened.close()
    written = {"events": report.events, "days": report.days, "equal": report.digest == other.digest}
    tables = {engine: timed_tables(folder / "arrow", tenant, engine) for engine in ("duckdb", "spark")}
    read_s, (_, _, interactions, _) = timed(lambda: lake.interactions(folder / "arrow", tenant))
    materialize = {**written, "arrow_s": arrow_s, "spark_s": spark_s}
    return {"materialize": materialize, "interactions_s": read_s, "tables_s": tables, "als": als(interactions)}


def timed_tables(folder: Path, tenant: str, engine: Any) -> dict[str, float]:
    """Seconds to connect, and for each table: the second time of two, so that no start of a JVM counts."""
    connect_s, of = timed(lambda: population.connect(folder, tenant, engine=engine))
    found = {"connect": connect_s}
    for name, table in population.TABLES.items():
        of.fetch(table(of))
        found[name] = timed(lambda table=table: of.fetch(table(of)))[0]
    return found


def als(interactions: Interactions) -> list[dict[str, Any]]:
    """NDCG@10 on the validation item (the one before the last), by engine and seed."""
    parts = leave_last_out(interactions)
    found = []
    for seed in SEEDS:
        for engine in ("implicit", "spark"):
            model = ALS(engine=engine)  # type: ignore[arg-type]
            seconds, fitted = timed(lambda model=model, seed=seed: model.fit(parts.train, rng=np.random.default_rng(seed)))
            ndcg = evaluate(fitted, parts.validation, train=parts.train).metric("ndcg")
            found.append({"engine": engine, "seed": seed, "fit_s": seconds, "ndcg": round(float(ndcg), 4)})
    return found


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return round(time.perf_counter() - start, 2), result


if __name__ == "__main__":
    typer.run(main)
