"""Metrics as Prometheus reads them, spans as a collector gets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serinus.runtime import context
from serinus.runtime.telemetry import NoTracing, OtlpTracing, PrometheusMetrics, tracing

REMOTE = f"00-{'a' * 32}-{'b' * 16}-01"


def lines(metrics: PrometheusMetrics) -> list[str]:
    text = metrics.exposition().decode()
    return [line for line in text.splitlines() if not line.startswith(("#", "process_"))]


def test_a_counter_counts_by_labels() -> None:
    metrics = PrometheusMetrics()
    counter = metrics.counter("made_total", "Things made")
    counter.inc({"kind": "a"})
    counter.inc({"kind": "a"}, by=2)
    counter.inc()
    assert lines(metrics) == ['made_total{kind="a"} 3.0', "made_total 1.0"]


def test_a_gauge_can_be_set_again_and_taken_away() -> None:
    metrics = PrometheusMetrics()
    gauge = metrics.gauge("weight", "Percent")
    gauge.set(10, {"canary": "web"})
    gauge.set(20, {"canary": "web"})
    gauge.set(5, {"canary": "api"})
    gauge.remove({"canary": "api"})
    gauge.remove({"canary": "never there"})
    assert lines(metrics) == ['weight{canary="web"} 20']


def test_a_histogram_counts_below_each_bound() -> None:
    metrics = PrometheusMetrics()
    histogram = metrics.histogram("took_seconds", "Seconds", (0.1, 1.0))
    histogram.observe(0.05, {"kind": "a"})
    histogram.observe(0.5, {"kind": "a"})
    assert lines(metrics) == [
        'took_seconds_bucket{kind="a",le="0.1"} 1.0',
        'took_seconds_bucket{kind="a",le="1.0"} 2.0',
        'took_seconds_bucket{kind="a",le="+Inf"} 2.0',
        'took_seconds_count{kind="a"} 2.0',
        'took_seconds_sum{kind="a"} 0.55',
    ]


def test_the_same_name_is_the_same_metric() -> None:
    metrics = PrometheusMetrics()
    metrics.counter("x_total", "X").inc()
    metrics.counter("x_total", "X").inc()
    assert lines(metrics) == ["x_total 2.0"]


def test_a_name_has_one_kind() -> None:
    metrics = PrometheusMetrics()
    metrics.counter("x", "X")
    with pytest.raises(ValueError, match="x is a Counter, not a Gauge"):
        metrics.gauge("x", "X")


def test_a_label_cannot_break_the_format() -> None:
    metrics = PrometheusMetrics()
    metrics.counter("x_total", "one\ntwo").inc({"why": 'a "b"\n\\c'})
    assert lines(metrics) == ['x_total{why="a \\"b\\"\\n\\\\c"} 1.0']


def test_the_process_says_what_it_takes() -> None:
    text = PrometheusMetrics().exposition().decode()
    values = dict(line.split() for line in text.splitlines() if line.startswith("process_"))
    assert float(values["process_resident_memory_bytes"]) > 10_000_000
    assert float(values["process_cpu_seconds_total"]) > 0
    assert float(values["process_open_fds"]) > 2


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.shutdown()


def made(spans: SpanExporter, tracer: OtlpTracing) -> list[ReadableSpan]:
    tracer.close()
    assert isinstance(spans, InMemorySpanExporter)
    return list(spans.get_finished_spans())


def test_without_an_endpoint_there_is_no_tracing() -> None:
    tracer = tracing("router", "")
    assert isinstance(tracer, NoTracing)
    with context.handling("k", "i", REMOTE), tracer.span("x"):
        assert context.trace.get() == REMOTE
        assert tracer.outbound() == {}


def test_a_span_continues_the_trace_of_the_message(spans: InMemorySpanExporter) -> None:
    tracer = OtlpTracing("router", "http://nowhere:4318", exporter=spans)
    with context.handling("k", "i", REMOTE), tracer.span("outer", "consumer", canary="k"):
        assert context.trace_id() == "a" * 32
        assert context.trace.get() != REMOTE
        with tracer.span("inner"):
            pass
    inner, outer = made(spans, tracer)
    assert outer.parent is not None
    assert inner.parent is not None
    assert f"{outer.parent.span_id:016x}" == "b" * 16
    assert inner.parent.span_id == outer.context.span_id
    assert dict(outer.attributes or {}) == {"canary": "k"}
    assert outer.resource.attributes["service.name"] == "serinus-router"


def test_a_request_carries_the_span_it_is_made_in(spans: InMemorySpanExporter) -> None:
    tracer = OtlpTracing("router", "http://nowhere:4318", exporter=spans)
    with tracer.span("HTTP GET", "client"):
        header = tracer.outbound()["traceparent"]
    (span,) = made(spans, tracer)
    assert header.startswith(f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-")
    assert span.parent is None


def test_an_exception_marks_the_span_and_goes_on(spans: InMemorySpanExporter) -> None:
    tracer = OtlpTracing("router", "http://nowhere:4318", exporter=spans)
    with pytest.raises(ValueError, match="no"), tracer.span("x"):
        raise ValueError("no")
    (span,) = made(spans, tracer)
    assert span.status.status_code.name == "ERROR"
    assert context.trace.get() == ""
