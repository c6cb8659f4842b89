"""Metrics and traces behind one small face; logs are in `logs.py`.

aioprometheus and OpenTelemetry are hidden here, so that either can be replaced in one file. Without
an endpoint no tracing code is even loaded: a trace then is a header that is passed on.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aioprometheus.collectors import Counter as _Counter
from aioprometheus.collectors import Gauge as _Gauge
from aioprometheus.collectors import Histogram as _Histogram
from aioprometheus.collectors import Registry
from aioprometheus.formats import text

from serinus.runtime import context

if TYPE_CHECKING:  # service.py names Http, whose client traces
    from serinus.runtime.service import Counter, Gauge, Histogram

SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_Collector = TypeVar("_Collector", _Counter, _Gauge, _Histogram)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class PrometheusMetrics:
    """`Metrics` with the text exposition that Prometheus scrapes."""

    content_type = text.TEXT_CONTENT_TYPE

    def __init__(self) -> None:
        self._registry = Registry()
        self._known: dict[str, Any] = {}

    def counter(self, name: str, doc: str) -> Counter:
        return _CounterFace(self._get(name, doc, _Counter))

    def gauge(self, name: str, doc: str) -> Gauge:
        return _GaugeFace(self._get(name, doc, _Gauge))

    def histogram(self, name: str, doc: str, buckets: tuple[float, ...] = ()) -> Histogram:
        return _HistogramFace(self._get(name, doc, _Histogram, buckets=buckets or SECONDS))

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        for name, (doc, value) in _process().items():
            self.gauge(name, doc).set(value)
        return text.TextFormatter().marshall(self._registry)

    def _get(self, name: str, doc: str, kind: type[_Collector], **more: Any) -> _Collector:
        """The collector of this name. Raises ValueError when it is of another kind."""
        found = self._known.get(name)
        if found is None:
            made = kind(name, doc.translate(_ESCAPES), registry=self._registry, **more)
            self._known[name] = made
            return made
        if not isinstance(found, kind):
            raise ValueError(f"{name} is a {type(found).__name__}, not a {kind.__name__}")
        return found


def _labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    """As aioprometheus wants them; it writes values as they are, so they are escaped here."""
    return {k: str(v).translate(_ESCAPES) for k, v in labels.items()} if labels else {}


def _process() -> dict[str, tuple[str, float]]:
    """What the process itself takes, by Prometheus' usual names; where there is no /proc, less."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "process_cpu_seconds_total": (
            "Processor time of the process, in seconds",
            used.ru_utime + used.ru_stime,
        )
    }
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        handles = len(os.listdir("/proc/self/fd"))
    except OSError:
        return found
    memory = float(pages * resource.getpagesize())
    found["process_resident_memory_bytes"] = ("Memory in use by the process", memory)
    found["process_open_fds"] = ("Open files and sockets", float(handles))
    return found


class _CounterFace:
    def __init__(self, collector: _Counter) -> None:
        self._collector = collector

    def inc(self, labels: Mapping[str, str] | None = None, by: float = 1.0) -> None:
        self._collector.add(_labels(labels), by)

    def remove(self, labels: Mapping[str, str]) -> None:
        self._collector.values.pop(_labels(labels), None)


class _GaugeFace:
    def __init__(self, collector: _Gauge) -> None:
        self._collector = collector

    def set(self, value: float, labels: Mapping[str, str] | None = None) -> None:
        self._collector.set(_labels(labels), value)

    def remove(self, labels: Mapping[str, str]) -> None:
        self._collector.values.pop(_labels(labels), None)


class _HistogramFace:
    def __init__(self, collector: _Histogram) -> None:
        self._collector = collector

    def observe(self, value: float, labels: Mapping[str, str] | None = None) -> None:
        self._collector.observe(_labels(labels), float(value))

    def remove(self, labels: Mapping[str, str]) -> None:
        self._collector.values.pop(_labels(labels), None)


class Tracing(Protocol):
    """Spans around what takes time."""

    def span(
        self, name: str, kind: str = "internal", **attributes: str | int
    ) -> AbstractContextManager[None]:
        """A span while inside; `kind` is internal, consumer, producer or client."""
        ...

    def outbound(self) -> dict[str, str]:
        """Headers that let the far side of a request join the trace."""
        ...

    def close(self) -> None:
        """Sends what is left; bounded by the exporter's timeout."""
        ...


class NoTracing:
    """Traces are passed on from message to message and recorded by nobody."""

    def span(
        self, name: str, kind: str = "internal", **attributes: str | int
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def outbound(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        return None


class OtlpTracing:
    """Spans through the OpenTelemetry SDK to an OTLP/HTTP endpoint, in batches, off the loop."""

    def __init__(self, service: str, endpoint: str, exporter: Any = None) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        url = endpoint.rstrip("/")
        url = url if url.endswith("/v1/traces") else f"{url}/v1/traces"
        resource = Resource.create({"service.name": f"serinus-{service}"})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=url, timeout=5))
        )
        self._tracer = self._provider.get_tracer("serinus")
        self._api = trace

    @contextmanager
    def span(self, name: str, kind: str = "internal", **attributes: str | int) -> Iterator[None]:
        parent = self._parent(context.trace.get())
        span_kind = self._api.SpanKind[kind.upper()]
        with self._tracer.start_as_current_span(
            name, context=parent, kind=span_kind, attributes=attributes
        ) as span:
            made = span.get_span_context()
            token = context.trace.set(
                f"00-{made.trace_id:032x}-{made.span_id:016x}-{made.trace_flags:02x}"
            )
            try:
                yield
            finally:
                context.trace.reset(token)

    def outbound(self) -> dict[str, str]:
        current = context.trace.get()
        return {context.TRACEPARENT: current} if current else {}

    def close(self) -> None:
        self._provider.shutdown()

    def _parent(self, traceparent: str) -> Any:
        """The remote parent named by a traceparent; an empty context begins a new trace."""
        from opentelemetry.context import Context

        if not traceparent:
            return Context()
        _, trace_id, span_id, _ = traceparent.split("-")
        parent = self._api.SpanContext(
            trace_id=int(trace_id, 16),
            span_id=int(span_id, 16),
            is_remote=True,
            trace_flags=self._api.TraceFlags(self._api.TraceFlags.SAMPLED),
        )
        return self._api.set_span_in_context(self._api.NonRecordingSpan(parent), Context())


def tracing(service: str, endpoint: str) -> Tracing:
    """Tracing to `endpoint`, or none where it is empty."""
    return OtlpTracing(service, endpoint) if endpoint else NoTracing()
