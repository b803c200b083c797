"""Population tables of one tenant, as Ibis expressions over the lake.

The functions take Ibis tables and return Ibis expressions in constructs that every backend has, so the same lines run on
DuckDB and on Spark (`docs/spark.md`). Columns are those of `features.columns`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import ibis
import pyarrow as pa
from ibis.expr.types import Table

from features.columns import EVENT
from features.events import FINISHING_VERBS, INTERACTION_VERBS, Verb
from features.lake import SNAPSHOTS, event_files, snapshot_file
from features.partitions import schema

_FINISHED = sorted({Verb.COMPLETED, Verb.PASSED} & FINISHING_VERBS)
_DAY_US = 86_400e6
_COLUMNS = {"events": EVENT, **SNAPSHOTS}


@dataclass(frozen=True)
class Population:
    """The tables of one tenant: `events`, and by name the catalogue snapshots (`items`, `item_skills`, `learners` ...).

    `fetch` computes an expression over them.
    """

    events: Table
    snapshots: Mapping[str, Table]
    fetch: Callable[[Table], pa.Table] = lambda table: table.to_pyarrow()


def connect(lake: Path, tenant: str, *, engine: Literal["duckdb", "spark"] = "duckdb") -> Population:
    """The Parquet files of one tenant in DuckDB, in memory, or in the running Spark session (a local one where none runs).

    LakeError when it was never materialized or is damaged, SparkError without Spark.
    """
    files = {"events": event_files(lake, tenant)}
    files |= {name: [snapshot_file(lake, tenant, name)] for name in SNAPSHOTS}
    return _spark(files) if engine == "spark" else _duckdb(files)


def _duckdb(files: Mapping[str, list[Path]]) -> Population:
    found = ibis.duckdb.connect(autoinstall_known_extensions=False, autoload_known_extensions=False)
    tables = {
        name: found.read_parquet([str(path) for path in paths], hive_partitioning=False)
        if paths
        else found.create_table(name, schema(_COLUMNS[name]).empty_table())
        for name, paths in files.items()
    }
    return Population(tables.pop("events"), tables)


def _spark(files: Mapping[str, list[Path]]) -> Population:
    from features import spark

    found = spark.Tables(spark.session())
    tables = {name: found.table(paths, _COLUMNS[name]) for name, paths in files.items()}
    return Population(tables.pop("events"), tables, found.fetch)


def taken_up(events: Table) -> Table:
    """The events by which a learner took up something."""
    return events.filter(events.verb.isin(sorted(INTERACTION_VERBS)))


def verb_counts(events: Table) -> Table:
    """(verb, events)."""
    return events.group_by("verb").agg(events=lambda t: t.count()).order_by("verb")


def popularity(events: Table) -> Table:
    """(item_id, learners): how many learners took up each item."""
    counted = taken_up(events).group_by(item_id="object_id").agg(learners=lambda t: t.learner_id.nunique())
    return counted.order_by(ibis.desc("learners"), "item_id")


def recent_popularity(events: Table, *, until: datetime, half_life_days: float) -> Table:
    """(item_id, weight): each learner counts `0.5 ** (days from their latest interaction to until / half_life_days)`."""
    if half_life_days <= 0:
        raise ValueError(f"half_life_days must be above 0, not {half_life_days}")
    latest = taken_up(events).group_by(item_id="object_id", learner_id="learner_id").agg(at=lambda t: t.occurred_at.max())
    # Not epoch_seconds: DuckDB's has the fraction of a second and Spark's has not.
    now = ibis.literal(until.astimezone(UTC).replace(tzinfo=None), "timestamp")
    days = now.delta(latest.at.cast("timestamp"), unit="microsecond") / _DAY_US
    weighed = latest.mutate(weight=(-days / half_life_days * ibis.literal(2.0).ln()).exp())
    return weighed.group_by("item_id").agg(weight=lambda t: t.weight.sum()).order_by(ibis.desc("weight"), "item_id")


def popularity_by_audience(events: Table, learners: Table) -> Table:
    """(audience, item_id, learners), each learner counted in their first audience; learners without one are left out."""
    people = learners.filter(learners.audience.notnull()).select(person="id", audience="audience")
    joined = taken_up(events).join(people, [("learner_id", "person")])
    counted = joined.group_by("audience", item_id="object_id").agg(learners=lambda t: t.learner_id.nunique())
    return counted.order_by("audience", ibis.desc("learners"), "item_id")


def completion(events: Table) -> Table:
    """(item_id, learners, finished, rate): the share of those who took an item up that completed or passed it."""
    counted = (
        taken_up(events)
        .group_by(item_id="object_id", learner_id="learner_id")
        .agg(finished=lambda t: t.verb.isin(_FINISHED).cast("int64").max())
        .group_by("item_id")
        .agg(learners=lambda t: t.count(), finished=lambda t: t.finished.sum())
    )
    return counted.mutate(rate=counted.finished / counted.learners).order_by("item_id")


def active_learners(events: Table) -> Table:
    """(year, month, learners): who took up something in each month (UTC)."""
    taken = taken_up(events)
    at = taken.occurred_at.cast("timestamp")  # UTC without its zone: DuckDB needs an extension for the parts of zoned times
    dated = taken.mutate(year=at.year(), month=at.month())
    return dated.group_by("year", "month").agg(learners=lambda t: t.learner_id.nunique()).order_by("year", "month")


def skill_coverage(skills: Table, item_skills: Table) -> Table:
    """(skill_id, items, highest): how many items teach each skill and the highest level they lead to (0 and null: none)."""
    counted = item_skills.group_by(taught="skill_id").agg(n=lambda t: t.item_id.nunique(), highest=lambda t: t.level.max())
    joined = skills.left_join(counted, [("id", "taught")])
    return joined.select(skill_id="id", items=joined.n.fill_null(0), highest="highest").order_by("skill_id")


TABLES: Mapping[str, Callable[[Population], Table]] = {
    "verbs": lambda of: verb_counts(of.events),
    "popularity": lambda of: popularity(of.events),
    "audiences": lambda of: popularity_by_audience(of.events, of.snapshots["learners"]),
    "completion": lambda of: completion(of.events),
    "active": lambda of: active_learners(of.events),
    "skills": lambda of: skill_coverage(of.snapshots["skills"], of.snapshots["item_skills"]),
}
"""What `python -m features population` can show, by name."""
