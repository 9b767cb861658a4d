"""Traces: spans of OpenTelemetry, sent by OTLP over HTTP to where the settings say.

Where they say nothing, nothing is imported and a span costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from profilestore import __version__

Attributes = Mapping[str, str | int]


class _Off:
    """Where no traces are wanted."""

    def request(self, name: str, scope: Scope) -> AbstractContextManager[Any]:
        return nullcontext()

    def part(self, name: str) -> AbstractContextManager[Any]:
        return nullcontext()

    def stop(self) -> None:
        pass


class _On:
    def __init__(self, address: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.propagators.textmap import TextMapPropagator
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource.create({"service.name": "profilestore", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        endpoint = f"{address.rstrip('/')}/v1/traces"
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
        self._tracer = self._provider.get_tracer("profilestore.serving", __version__)
        self._propagator: TextMapPropagator = TraceContextTextMapPropagator()
        self._server = SpanKind.SERVER

    @contextmanager
    def request(self, name: str, scope: Scope) -> Iterator[Any]:
        context = self._propagator.extract(Headers(scope=scope))
        with self._tracer.start_as_current_span(name, context, kind=self._server) as span:
            yield span

    @contextmanager
    def part(self, name: str) -> Iterator[Any]:
        with self._tracer.start_as_current_span(name) as span:
            yield span

    def stop(self) -> None:
        self._provider.shutdown()


_tracing: _Off | _On = _Off()


def trace_to(address: str | None) -> Callable[[], None]:
    """Send traces from now on; what is returned sends the last ones and ends that.

    Args:
        address: of a collector, to which `/v1/traces` is added; None for nowhere.
    """
    global _tracing
    _tracing = tracing = _Off() if address is None else _On(address)

    def stop() -> None:
        global _tracing
        _tracing = _Off()
        tracing.stop()

    return stop


def request_span(name: str, scope: Scope) -> AbstractContextManager[Any]:
    """A span around a request: part of the trace that its headers name (W3C Trace Context). Yields
    None where no traces are wanted."""
    return _tracing.request(name, scope)


def part_span(name: str) -> AbstractContextManager[Any]:
    """A span around a part of a request."""
    return _tracing.part(name)
