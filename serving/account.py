"""What is told of a request when it has its answer: a line in the log, the counters, its span."""

import logging
from typing import Final

from serving.logs import FIELDS
from serving.metrics import Metrics
from serving.tracing import Trace

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ASKED_OFTEN: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Machines ask for these every few seconds: a line is written only where something is wrong."""
_LOG = logging.getLogger("nextwise.request")


def method_of(given: str) -> str:
    """A method as log and spans name it: any word may be sent as one."""
    return given if given in METHODS else "OTHER"


def tell(metrics: Metrics, trace: Trace, method: str, route: str, status: int, seconds: float) -> None:
    """Tell of one answer. `route`: as people write it, for its path may hold a learner's id."""
    metrics.answered(route, status, seconds)
    trace.answered(status)
    if route in _ASKED_OFTEN and status < 400:
        return
    told = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1), "trace": trace.trace_id}
    _LOG.info("request", extra={FIELDS: told | trace.told})
