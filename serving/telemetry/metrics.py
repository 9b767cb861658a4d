"""The numbers of a process, as Prometheus reads them at `/metrics`."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

# Feast has numbers of its own in the library's registry.
_registry = CollectorRegistry()
for _collector in (ProcessCollector, PlatformCollector, GCCollector):
    _collector(registry=_registry)

# From a read of one record to a profile of the past.
_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

REQUESTS = Histogram(
    "profilestore_request_seconds",
    "From a request's first byte to the last byte of its answer.",
    ("method", "route", "status"),
    buckets=_SECONDS,
    registry=_registry,
)
IN_FLIGHT = Gauge(
    "profilestore_requests_in_flight", "Requests that wait for an answer.", registry=_registry
)
SHED = Counter(
    "profilestore_requests_shed", "Requests refused because of the load.", registry=_registry
)
STORES = Histogram(
    "profilestore_store_seconds",
    "What a part took: a read or write of a store, an answer of the model.",
    ("store", "operation"),
    buckets=_SECONDS,
    registry=_registry,
)
EVENTS = Counter("profilestore_events", "Events that were told.", ("state",), registry=_registry)


def exposition() -> bytes:
    """All numbers, as text."""
    return generate_latest(_registry)
