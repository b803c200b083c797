"""Prometheus metrics of the service, in a registry of their own.

Under BentoML each worker writes its values into files of one folder, and a scrape of any worker adds up all of them. What a
dead worker counted stays counted; what it had in hand does not.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from features.decisions import Decision
from features.events import Event
from features.nudges import Nudge
from serving.bundles import Bundles
from serving.gauges import BundleGauges, SpoolGauges
from serving.settings import lives

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SHARE = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
_LAG = (1.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0, 604_800.0)
_LIVE: Final = "livesum"
"""Gauges are added up over the workers that live."""


class Metrics:
    """What the service counts. `spool`: the folder of decisions that wait. `folder`: where several workers share their values,
    None for this process alone.
    """

    def __init__(self, bundles: Bundles, spool: Path, folder: str | None = None) -> None:
        own = CollectorRegistry()
        self.requests = Counter("nextwise_requests", "Requests by route and status", ("route", "status"), registry=own)
        self.refused = Counter("nextwise_refused", "Requests that were not let in", ("reason",), registry=own)
        self.latency = Histogram("nextwise_request_seconds", "Time to answer", ("route", "class"), buckets=_FAST, registry=own)
        self.in_progress = Gauge(
            "nextwise_requests_in_progress", "Requests that are being answered", registry=own, multiprocess_mode=_LIVE
        )
        self.waiting = Gauge(
            "nextwise_waiting", "What waits in a queue, or is at work", ("queue",), registry=own, multiprocess_mode=_LIVE
        )
        self.workers = Gauge("nextwise_workers", "Workers that live", registry=own, multiprocess_mode=_LIVE)
        self.stages = Histogram("nextwise_stage_seconds", "Stages of a ranking", ("stage",), buckets=_FAST, registry=own)
        self.fallbacks = Counter("nextwise_fallbacks", "Answers from a named fallback", ("fallback",), registry=own)
        self.events = Counter("nextwise_events", "Events by outcome", ("outcome",), registry=own)
        self.statements = Counter("nextwise_statements", "xAPI statements by outcome", ("outcome",), registry=own)
        self.lag = Histogram("nextwise_event_lag_seconds", "From occurring to recording", buckets=_LAG, registry=own)
        self.known = Histogram(
            "nextwise_event_known_seconds",
            "From recording a group of events until rankings know it",
            buckets=_FAST,
            registry=own,
        )
        self.nudges = Counter("nextwise_nudges", "Nudges by arm, and what withheld them", ("arm", "withheld"), registry=own)
        self.nudge_answers = Counter(
            "nextwise_nudge_answers", "What learners answered to nudges", ("action", "outcome"), registry=own
        )
        self.shadows = Counter("nextwise_shadows", "Rankings that a challenger scored as well", ("outcome",), registry=own)
        self.overlap = Histogram(
            "nextwise_shadow_overlap", "Share of shown items that a challenger shows too", buckets=_SHARE, registry=own
        )
        self._own, self._folder = own, folder
        self._read_off = (BundleGauges(bundles), SpoolGauges(spool))
        self._stages: dict[str, Histogram] = {}
        self._answered: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request, and how long its answer took."""
        if (route, status) not in self._answered:
            self._answered[route, status] = self.requests.labels(route, str(status)), self._latency(route, status)
        count, latency = self._answered[route, status]
        count.inc()
        latency.observe(seconds)

    def _latency(self, route: str, status: int) -> Histogram:
        return self.latency.labels(route, f"{status // 100}xx")

    def decided(self, decision: Decision, around_ms: Mapping[str, float] | None = None) -> None:
        """Count a decision's stages and its fallback. `around_ms`: what was done before and after its own stages."""
        for stage, ms in {**decision.stages_ms, **(around_ms or {})}.items():
            if stage not in self._stages:
                self._stages[stage] = self.stages.labels(stage)
            self._stages[stage].observe(ms / 1000)
        if decision.fallback is not None:
            self.fallbacks.labels(decision.fallback).inc()
        if decision.nudge is not None:
            self._nudged(decision.nudge)

    def recorded(self, event: Event) -> None:
        """Observe how late an accepted event came."""
        self.lag.observe(max((event.recorded_at - event.occurred_at).total_seconds(), 0.0))

    def render(self) -> bytes:
        """All metrics in the Prometheus text format."""
        scraped = CollectorRegistry()
        if self._folder is None:
            scraped.register(self._own)
        else:
            _forget_the_dead(Path(self._folder))
            MultiProcessCollector(scraped, path=self._folder)  # type: ignore[no-untyped-call]
        for gauges in self._read_off:
            scraped.register(gauges)
        return generate_latest(scraped)

    def _nudged(self, nudge: Nudge) -> None:
        self.nudges.labels(nudge.arm.value, "no" if nudge.withheld is None else nudge.withheld.value).inc()


def _forget_the_dead(folder: Path) -> None:
    """A worker that was killed has nothing in hand any more."""
    for path in folder.glob(f"gauge_{_LIVE}_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not lives(int(pid)):
            with suppress(FileNotFoundError):  # another worker is scraped as well
                mark_process_dead(int(pid), str(folder))  # type: ignore[no-untyped-call]
