"""What machines see of a run: log events, Prometheus metrics, OpenTelemetry. No value is in any of it."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from support.command import KEY_ID, KEY_SECRET, bulkseed, environment, simple, start, write_manifest
from support.stub_kms import StubKms

from bulkseed.cli.watching.events import EVENTS
from bulkseed.cli.watching.telemetry import LATENCY, METRICS, telemetry
from bulkseed.engine.stats import Stats

CANARY = "canary-value-4711"


def manifest_of(folder: Path, count: int) -> Path:
    """Write a manifest with a canary in every value and a bad line at its end."""
    lines = [{**d, "SecretData": f"{CANARY}-{i}"} for i, d in enumerate(simple(count))]
    return write_manifest(folder / "m.jsonl", [*lines, f'{{"SecretName": "x y", "SecretData": "{CANARY}"}}'])


def test_json_logs_have_stable_events(tmp_path: Path) -> None:
    """One JSON object a line on standard error, each with a known event name."""
    manifest = manifest_of(tmp_path, 3)
    done = bulkseed(
        "apply",
        manifest,
        "--endpoint",
        "embedded",
        "--log-format",
        "json",
        "--log-level",
        "debug",
        cwd=tmp_path,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    ours = [line for line in lines if line["logger"] == "bulkseed.run"]
    names = [line["event"] for line in ours]
    assert names[0] == "run.started"
    assert names[-1] == "run.ended"
    assert names.count("attempt") == names.count("definition.settled") == 3
    assert set(names) <= set(EVENTS)
    failed = next(line for line in ours if line["event"] == "definition.failed")
    assert (failed["outcome"], failed["manifest"], failed["line"]) == ("invalid", str(manifest), 4)
    assert CANARY not in done.stderr + done.stdout


def test_prometheus_sees_the_run_on_loopback(tmp_path: Path) -> None:
    """All documented numbers are served while the run goes on, and nowhere but on 127.0.0.1."""
    manifest = manifest_of(tmp_path, 300)
    with StubKms(KEY_ID, KEY_SECRET) as stub, free_port() as port:
        run = start(
            "apply",
            manifest,
            "--endpoint",
            stub.endpoint,
            "--qps",
            "30",
            "--metrics-port",
            port,
            cwd=tmp_path,
        )
        try:
            while len(stub.arrivals) < 10:
                assert run.poll() is None, run.communicate()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as reply:
                page = reply.read().decode()
        finally:
            run.terminate()
            run.communicate(timeout=120)
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert set(families) == {*METRICS, LATENCY}
    created = {s.labels["outcome"]: s.value for s in families["bulkseed_definitions"].samples}["created"]
    assert created >= 9
    assert CANARY not in page


@contextmanager
def free_port() -> Iterator[int]:
    """Give a port that was free a moment ago."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as taken:
        port = int(taken.server_address[1])
    yield port


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps what was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: dict[str, list[bytes]] = {"/v1/traces": [], "/v1/metrics": []}


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies[self.path].append(body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's signature
        pass


def spans_of(collector: Collector) -> list[Any]:
    """Return the spans that came in."""
    return [
        span
        for body in collector.bodies["/v1/traces"]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_opentelemetry_gets_spans_and_metrics(tmp_path: Path) -> None:
    """A span for the run with one below it for each attempt, and the documented numbers."""
    manifest = manifest_of(tmp_path, 5)
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{collector.server_address[1]}"
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_COMPRESSION="none")
        done = bulkseed("apply", manifest, "--endpoint", "embedded", "--otel", cwd=tmp_path, env=env)
        collector.shutdown()
        thread.join()
    assert done.returncode == 1, done.stderr
    spans = spans_of(collector)
    root = next(span for span in spans if span.name == "bulkseed.apply")
    attempts = [span for span in spans if span.name == "bulkseed.attempt"]
    assert len(attempts) == 5
    assert {span.parent_span_id for span in attempts} == {root.span_id}
    names = {
        metric.name
        for body in collector.bodies["/v1/metrics"]
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {name.replace("_", ".", 1) for name in METRICS} <= names
    assert not [b for bodies in collector.bodies.values() for b in bodies if CANARY.encode() in b]


def test_a_read_at_a_source_has_a_span(tmp_path: Path) -> None:
    """One for each value, below the run's; it names no secret and holds no value."""
    (tmp_path / "app.env").write_text(f"ONE={CANARY}\nTWO={CANARY}\n")
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{collector.server_address[1]}"
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_COMPRESSION="none")
        done = bulkseed("apply", "dotenv:app.env", "--endpoint", "embedded", "--otel", cwd=tmp_path, env=env)
        collector.shutdown()
        thread.join()
    assert done.returncode == 0, done.stderr
    spans = spans_of(collector)
    root = next(span for span in spans if span.name == "bulkseed.apply")
    reads = [span for span in spans if span.name == "bulkseed.source_read"]
    assert [span.parent_span_id for span in reads] == [root.span_id] * 2
    assert [list(span.attributes) for span in reads] == [[], []]
    assert not [b for bodies in collector.bodies.values() for b in bodies if CANARY.encode() in b]


def test_a_span_holds_no_text_of_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends with an error has its span, and what the error says is in none (H10)."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_address[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        with pytest.raises(RuntimeError), telemetry(Stats(), "apply", asked=True):
            raise RuntimeError(CANARY)
        collector.shutdown()
        thread.join()
    spans = b"".join(collector.bodies["/v1/traces"])
    assert b"bulkseed.apply" in spans
    assert CANARY.encode() not in spans
    assert b"RuntimeError" not in spans
