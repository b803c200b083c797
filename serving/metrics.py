"""Prometheus metrics of the service, in a registry of their own."""

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from features.decisions import Decision
from features.events import Event
from serving.bundles import Bundles

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SHARE = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
_LAG = (1.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0, 604_800.0)


class Metrics:
    """What the service counts. `folder`: where several workers share their values, None for this process alone."""

    def __init__(self, bundles: Bundles, folder: str | None = None) -> None:
        own = CollectorRegistry()
        self.requests = Counter("nextwise_requests", "Requests by route and status", ("route", "status"), registry=own)
        self.refused = Counter("nextwise_refused", "Requests that a key does not open", ("reason",), registry=own)
        self.latency = Histogram("nextwise_request_seconds", "Time to answer", ("route",), buckets=_FAST, registry=own)
        self.stages = Histogram("nextwise_stage_seconds", "Pipeline stages", ("stage",), buckets=_FAST, registry=own)
        self.fallbacks = Counter("nextwise_fallbacks", "Answers from a named fallback", ("fallback",), registry=own)
        self.events = Counter("nextwise_events", "Events by outcome", ("outcome",), registry=own)
        self.statements = Counter("nextwise_statements", "xAPI statements by outcome", ("outcome",), registry=own)
        self.lag = Histogram("nextwise_event_lag_seconds", "From occurring to recording", buckets=_LAG, registry=own)
        self.shadows = Counter("nextwise_shadows", "Rankings that a challenger scored as well", ("outcome",), registry=own)
        self.overlap = Histogram(
            "nextwise_shadow_overlap", "Share of shown items that a challenger shows too", buckets=_SHARE, registry=own
        )
        self._own, self._folder, self._bundles = own, folder, bundles
        self._stages: dict[str, Histogram] = {}

    def decided(self, decision: Decision) -> None:
        """Count a decision's stages and its fallback."""
        for stage, ms in decision.stages_ms.items():
            if stage not in self._stages:
                self._stages[stage] = self.stages.labels(stage)
            self._stages[stage].observe(ms / 1000)
        if decision.fallback is not None:
            self.fallbacks.labels(decision.fallback).inc()

    def recorded(self, event: Event) -> None:
        """Observe how late an accepted event came."""
        self.lag.observe(max((event.recorded_at - event.occurred_at).total_seconds(), 0.0))

    def render(self) -> bytes:
        """All metrics in the Prometheus text format."""
        scraped = CollectorRegistry()
        if self._folder is None:
            scraped.register(self._own)
        else:
            MultiProcessCollector(scraped, path=self._folder)  # type: ignore[no-untyped-call]
        scraped.register(_BundleCollector(self._bundles))
        return generate_latest(scraped)


class _BundleCollector(Collector):
    def __init__(self, bundles: Bundles) -> None:
        self._bundles = bundles

    def collect(self) -> Iterator[GaugeMetricFamily]:
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
