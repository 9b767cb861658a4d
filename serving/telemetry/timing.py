"""How long a part of an answer took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from prometheus_client import Histogram

from serving.telemetry.metrics import STORES
from serving.telemetry.tracing import part_span


@contextmanager
def timed(store: str, operation: str) -> Iterator[None]:
    """Note how long what stands in it takes.

    Args:
        store: `online`, `offline`, `model`, `live`.
        operation: what is done with it.
    """
    began = time.perf_counter()
    try:
        with part_span(f"{store} {operation}"):
            yield
    finally:
        _histogram(store, operation).observe(time.perf_counter() - began)


@cache
def _histogram(store: str, operation: str) -> Histogram:
    return STORES.labels(store, operation)
