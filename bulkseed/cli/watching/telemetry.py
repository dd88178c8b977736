"""A run's counters for machines that watch: Prometheus on a loopback port, OpenTelemetry by its environment.

`METRICS` is the table of names. Both are optional extras, imported when asked for. Over many targets every
number is one of each target, by the label ``target``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bulkseed.engine.options import SourceRead
from bulkseed.engine.stats import Stats
from bulkseed.errors import UsageError, how_to_install
from bulkseed.ledger import AttemptRecord

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation


class MetricSpec(NamedTuple):
    """A counter or gauge: what it means and where it is read. One reading for each value of `label`."""

    meaning: str
    read: Callable[[Stats], dict[str, float]]
    label: str | None = None
    gauge: bool = False


METRICS: dict[str, MetricSpec] = {
    "bulkseed_definitions": MetricSpec(
        "definitions that have their outcome, by outcome",
        lambda stats: {outcome.value: count for outcome, count in stats.outcomes.items()},
        label="outcome",
    ),
    "bulkseed_read": MetricSpec("manifest entries read", lambda stats: {"": stats.read}),
    "bulkseed_attempts": MetricSpec("requests sent", lambda stats: {"": stats.attempts}),
    "bulkseed_throttled": MetricSpec("requests refused for their rate", lambda stats: {"": stats.throttled}),
    "bulkseed_retried": MetricSpec("requests that repeat one", lambda stats: {"": stats.retried}),
    "bulkseed_source_reads": MetricSpec(
        "reads of values that are still at their source", lambda stats: {"": stats.source_reads}
    ),
    "bulkseed_source_throttled": MetricSpec(
        "such reads that the source refused for their rate", lambda stats: {"": stats.source_throttled}
    ),
    "bulkseed_waiting": MetricSpec(
        "1 while nothing gets through and the run waits for the service or a source",
        lambda stats: {"": float(bool(stats.waiting_for))},
        gauge=True,
    ),
}
Watched = Stats | Callable[[], Mapping[str, Stats]]
"""The counters of a run, or what gives those of many targets as they are now, by name."""


def _by_target(watched: Watched) -> Mapping[str, Stats]:
    return {"": watched} if isinstance(watched, Stats) else watched()


LATENCY = "bulkseed_latency_seconds"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@contextmanager
def prometheus(watched: Watched, port: int | None) -> Iterator[None]:
    """Serve ``/metrics`` on 127.0.0.1 while the body runs; nothing without a port.

    Raises:
        UsageError: the package is missing, or the port is taken.
    """
    if port is None:
        yield
        return
    try:
        from prometheus_client import CollectorRegistry, start_http_server
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            Metric,
        )
        from prometheus_client.registry import Collector
    except ImportError:
        raise UsageError(f"--metrics-port needs one more package: {how_to_install('metrics')}") from None

    of_target = [] if isinstance(watched, Stats) else ["target"]

    class Counters(Collector):
        def collect(self) -> Iterable[Metric]:
            found = _by_target(watched)
            for name, metric in METRICS.items():
                labels = [metric.label] if metric.label else []
                kind = GaugeMetricFamily if metric.gauge else CounterMetricFamily
                family = kind(name, metric.meaning, labels=[*labels, *of_target])
                for target, stats in found.items():
                    for value, reading in metric.read(stats).items():
                        family.add_metric([value] * len(labels) + [target] * len(of_target), reading)
                yield family
            told = "time from a request's write to its reply"
            latency = HistogramMetricFamily(LATENCY, told, labels=of_target)
            for target, stats in found.items():
                counts = [(str(bound), count) for bound, count in stats.latencies.cumulative(BOUNDS)]
                latency.add_metric(
                    [target] * len(of_target), [*counts, ("+Inf", stats.latencies.count)], None
                )
            yield latency

    registry = CollectorRegistry()
    registry.register(Counters())
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise UsageError(f"--metrics-port {port}: {error.strerror}") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class SpanTellers(NamedTuple):
    """What sends a span for each attempt, and for each read of a value at its source; none if not asked."""

    attempts: Sequence[Callable[[AttemptRecord], None]] = ()
    source_reads: Sequence[Callable[[SourceRead], None]] = ()


@contextmanager
def telemetry(watched: Watched, command: str, asked: bool) -> Iterator[SpanTellers]:
    """Send a span for the run, and the numbers, while the body runs; give what sends one for each request.

    Where to is told by OpenTelemetry's own environment variables (``OTEL_EXPORTER_OTLP_ENDPOINT``, …).

    Raises:
        UsageError: the packages are missing.
    """
    if not asked:
        yield SpanTellers()
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import Status, StatusCode
    except ImportError:
        raise UsageError(f"--otel needs more packages: {how_to_install('otel')}") from None

    resource = Resource.create({"service.name": "bulkseed"})
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
    meter = meters.get_meter("bulkseed")
    for name, metric in METRICS.items():
        make = meter.create_observable_gauge if metric.gauge else meter.create_observable_counter
        make(name.replace("_", ".", 1), [_observe(watched, metric)], description=metric.meaning)
    tracer = traces.get_tracer("bulkseed")

    def on_attempt(attempt: AttemptRecord) -> None:
        started = int(attempt.sent_at * 1e9)
        span = tracer.start_span("bulkseed.attempt", start_time=started)
        span.set_attribute("bulkseed.quota_group", attempt.group.value)
        span.set_attribute("bulkseed.row", attempt.row_id)
        if attempt.status is not None:
            span.set_attribute("http.response.status_code", attempt.status)
        if attempt.code is not None:
            span.set_attribute("bulkseed.code", attempt.code)
        if attempt.status != 200:
            span.set_status(Status(StatusCode.ERROR, attempt.code or "no answer"))
        span.end(started + int(attempt.latency * 1e9))

    def on_read(read: SourceRead) -> None:
        started = int(read.began_at * 1e9)
        span = tracer.start_span("bulkseed.source_read", start_time=started)
        if read.code is not None:
            span.set_attribute("bulkseed.code", read.code)
        if read.code is not None or not read.answered:
            span.set_status(Status(StatusCode.ERROR, read.code or "no answer"))
        span.end(started + int(read.latency * 1e9))

    try:
        # The text of an exception may quote what no span may hold.
        with tracer.start_as_current_span(
            f"bulkseed.{command}", record_exception=False, set_status_on_exception=False
        ):
            yield SpanTellers([on_attempt], [on_read])
    finally:
        traces.shutdown()
        meters.shutdown()


def _observe(watched: Watched, metric: MetricSpec) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation

        for target, stats in _by_target(watched).items():
            of_target: dict[str, Any] = {"bulkseed.target": target} if target else {}
            for value, reading in metric.read(stats).items():
                attributes = {f"bulkseed.{metric.label}": value} if metric.label else {}
                yield Observation(reading, of_target | attributes)

    return observe
