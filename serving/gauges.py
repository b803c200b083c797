"""What is read off at the moment of a scrape: the bundles that serve, and the decisions that wait on the disk."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.bundles import Bundles


class BundleGauges(Collector):
    """By tenant, as the worker that is scraped has them: all workers follow the same pointers."""

    def __init__(self, bundles: Bundles) -> None:
        self._bundles = bundles

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Name, age, refusal, and days until the next training is due."""
        name = GaugeMetricFamily("nextwise_bundle_info", "The bundle that serves", labels=("tenant", "bundle"))
        age = GaugeMetricFamily("nextwise_bundle_age_seconds", "Since the last fact it was trained on", labels=("tenant",))
        refused = GaugeMetricFamily(
            "nextwise_bundle_refused", "The newest bundle is refused; the log says why", labels=("tenant",)
        )
        left = GaugeMetricFamily("nextwise_retrain_left_days", "Until the bundle is to be retrained", labels=("tenant",))
        today = datetime.now(UTC).date()
        for tenant, served in sorted(self._bundles.served.items()):
            name.add_metric((tenant, served.stock.bundle.name), 1)
            since = served.stock.bundle.manifest.provenance.data_until or served.since
            age.add_metric((tenant,), (datetime.now(UTC) - since).total_seconds())
            if (by := served.stock.bundle.manifest.retrain_by) is not None:
                left.add_metric((tenant,), (by - today).days)
        for tenant in sorted(self._bundles.refused):
            refused.add_metric((tenant,), 1)
        yield from (name, age, left, refused)


class SpoolGauges(Collector):
    """Of the whole folder, whichever worker wrote a file. `folder`: of the spool."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """How many files, and how many bytes."""
        sizes = []
        for path in self._folder.glob("decisions-*.jsonl"):
            with suppress(FileNotFoundError):  # stored a moment ago
                sizes.append(path.stat().st_size)
        yield GaugeMetricFamily("nextwise_spool_files", "Files of decisions that wait for the store", len(sizes))
        yield GaugeMetricFamily("nextwise_spool_bytes", "Decisions that wait for the store", sum(sizes))
