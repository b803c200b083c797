"""Spark for stores and lakes that one process takes too long over: the session, the lake's tables, and the lake's days.

PySpark is in no lock file (`make spark`), so it is imported where it is used. On one machine DuckDB and `features.lake` alone
are faster: `docs/spark.md` has the figures.
"""

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import ibis
import pyarrow as pa
from ibis.expr.types import Table

from features import columns, lake, partitions
from features.store import EventStore, TenantSession

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_DDL: Final = {
    "string": "string",
    "int32": "int",
    "int64": "bigint",
    "float64": "double",
    "bool": "boolean",
    "timestamp": "timestamp",
}
_ROOT: Final = Path(__file__).resolve().parent.parent
_LOGGING: Final = """
rootLogger.level = error
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = spark: %p %c{1}: %m%n
"""


class SparkError(ValueError):
    """Spark cannot be started; the message says what it needs."""


def session(*, master: str = "local[2]", memory: str = "1g", settings: Mapping[str, str] | None = None) -> "SparkSession":
    """The running Spark session, or a new one: UTC, quiet, on the loopback interface alone. SparkError without Java 17.

    `settings` stand above ours: what a cluster needs (`spark.driver.host`, the executors' memory) goes in there.
    """
    spark_session = _pyspark()
    chosen = {"spark.master": master, "spark.driver.memory": memory, **_settings(), **(settings or {})}
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # no setting of a session says which Python its workers run
    builder = spark_session.builder.appName("nextwise")
    for name, value in chosen.items():
        builder = builder.config(name, value)
    try:
        found: SparkSession = builder.getOrCreate()
    except Exception as error:
        java = shutil.which("java") or "no java on the path"
        raise SparkError(f"Spark needs Java 17 and did not start ({java}): {error}") from error
    return found


class Tables:
    """Files of the lake as Ibis tables of a Spark session."""

    def __init__(self, spark: "SparkSession") -> None:
        with _without_pandas_warning():
            self._backend = ibis.pyspark.connect(spark)
        self._spark = spark

    def table(self, files: Sequence[Path], names: Mapping[str, str]) -> Table:
        """One table of files with the columns `names`; without files an empty one."""
        reader = self._spark.read.schema(ddl(names))
        frame = reader.parquet(*map(str, files)) if files else self._spark.createDataFrame([], ddl(names))
        view = f"lake_{uuid4().hex}"
        frame.createOrReplaceTempView(view)
        return self._backend.table(view)

    def fetch(self, table: Table) -> pa.Table:
        """The rows of an expression over `table`s, with the types that Ibis gives them."""
        rows: pa.Table = self._spark.sql(self._backend.compile(table)).toArrow()
        return rows.cast(table.schema().to_pyarrow())


def frame(spark: "SparkSession", columns: Mapping[str, Any]) -> "DataFrame":
    """A data frame of arrays of one length, by name."""
    with _without_pandas_warning():
        return spark.createDataFrame(pa.table(dict(columns)))


def ddl(names: Mapping[str, str]) -> str:
    """Columns given as in `features.columns`, as Spark spells them."""
    return ", ".join(f"`{name}` {_DDL[kind]}" for name, kind in names.items())


def write_days(spark: "SparkSession", store: str, *, hours: int = 24) -> lake.WriteDays:
    """For `features.lake.materialize(..., write=)`: Spark's workers read the store, sort, and write one file a day.

    `store` is the database URL as every worker reaches it, and the lake a folder that all of them see. A task reads `hours`
    (a divisor of 24) of events at once, so a day that does not fit into a worker's memory takes fewer.
    """
    if not 0 < hours <= 24 or 24 % hours:
        raise ValueError(f"hours must divide 24, not {hours}")

    def write(session: TenantSession, folder: Path, days: Sequence[date], watermark: int) -> None:
        if days:
            starts = [datetime.combine(day, time(), UTC) + timedelta(hours=n) for day in days for n in range(0, 24, hours)]
            rows = _rows(spark, starts, _reading(store, session.tenant, watermark, timedelta(hours=hours)))
            _write(rows, folder, session.tenant, days)

    return write


def _rows(spark: "SparkSession", starts: Sequence[datetime], read: Callable[..., Iterator[pa.RecordBatch]]) -> "DataFrame":
    tasks = min(len(starts), 4 * spark.sparkContext.defaultParallelism)
    slices = spark.createDataFrame([(start.isoformat(),) for start in starts], "start string").repartition(tasks)
    with _without_pandas_warning():
        return slices.mapInArrow(read, f"{ddl(columns.EVENT)}, day string")


def _reading(
    store: str, tenant: str, watermark: int, length: timedelta
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        opened = EventStore.open(store)
        try:
            _same_store(opened.tenant(tenant), watermark)
            for start in (datetime.fromisoformat(text) for batch in batches for text in batch.column(0).to_pylist()):
                found = opened.tenant(tenant).between(start, start + length)
                table = lake.event_table(row for row in found if row[0] <= watermark)
                day = pa.array([start.date().isoformat()] * table.num_rows, pa.string())
                yield from table.append_column("day", day).to_batches(max_chunksize=10_000)
        finally:
            opened.close()

    return read


def _same_store(session: TenantSession, watermark: int) -> None:
    """ValueError when a worker opened another store, perhaps a new and empty one: its days would be empty as well."""
    if not lake.holds(session, watermark):
        raise ValueError(f"a worker found no event {watermark} of {session.tenant}: the URL leads it to another store")


def _write(rows: "DataFrame", folder: Path, tenant: str, days: Sequence[date]) -> None:
    """One sorted file a day beside the lake, each then swapped in like any other file of it."""
    staging = folder / f".spark-{tenant}"
    tasks = min(len(days), 4 * rows.sparkSession.sparkContext.defaultParallelism)
    # `day` leads the sort, so that Spark's own sort by partition finds it done and keeps the order within a day.
    ordered = rows.repartition(tasks, "day").sortWithinPartitions("day", columns.OCCURRED_AT, columns.SEQ)
    try:
        _run(lambda: ordered.write.mode("overwrite").partitionBy("day").parquet(str(staging)))
        for day in (day.isoformat() for day in days):
            _swap_in(staging / f"day={day}", lake.day_path(folder, tenant, day))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _run(job: Callable[[], None]) -> None:
    """SparkError with the reason instead of a trace of two languages."""
    try:
        job()
    except Exception as error:  # PySpark's own or Py4J's, as it comes
        raise SparkError(f"Spark could not write the days: {_reason(str(error))}") from error


def _reason(trace: str) -> str:
    """The last line of the Python error in a trace, else the first line."""
    lines = [line for line in trace.splitlines() if line and not line[0].isspace()]
    python = [line for line in lines if "Error: " in line and "java" not in line and "spark" not in line.split(":")[0]]
    return (python or lines or ["no reason given"])[0]


def _swap_in(written: Path, path: Path) -> None:
    files = sorted(written.glob("part-*.parquet"))
    if not files:  # every event of the day was erased
        partitions.write(lake.event_table(()), path)
        return
    (file,) = files
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(file, path)


@contextmanager
def _without_pandas_warning() -> Iterator[None]:
    """PySpark warns of pandas 3 wherever it could use it; what comes and goes here is Arrow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
        yield


@cache
def _settings() -> dict[str, str]:
    folder = Path(tempfile.mkdtemp(prefix="nextwise-spark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    logging = folder / "log4j2.properties"
    logging.write_text(_LOGGING, encoding="utf-8")
    return {
        "spark.checkpoint.dir": str(folder / "checkpoints"),  # long iterations overflow the stack without one
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{logging} -Duser.timezone=UTC",
        "spark.executorEnv.PYTHONPATH": str(_ROOT),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def _pyspark() -> "type[SparkSession]":
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyspark.sql import SparkSession
    except ImportError:
        raise SparkError("Spark needs Java 17 and PySpark: install a Java 17 and run `make spark`") from None
    found: type[SparkSession] = SparkSession  # untyped where PySpark is not installed
    return found
