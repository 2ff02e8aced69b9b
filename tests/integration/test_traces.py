"""A job is one trace, from the request to the merge, where traces are wanted."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import SAMPLE, started, wait_until
from transcribe_api.client import Client

proto = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
    reason="the extra 'otel' is not installed",
)
pytest.importorskip("opentelemetry.instrumentation.celery")
pytest.importorskip("opentelemetry.instrumentation.flask")

pytestmark = [pytest.mark.processes, pytest.mark.own_stack]


class Collector(ThreadingHTTPServer):
    """Keeps the spans that are sent to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Received)
        self.spans: list[tuple[str, Any]] = []


class _Received(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for resource in proto.ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.server.spans += [(names["service.name"], span) for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_job_is_one_trace(collector: Collector, tmp_path: Path):
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    with (
        started(tmp_path / "stack", "--no-flower", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as stack,
        Client(stack.url) as client,
    ):
        *_, last = client.events(client.submit(SAMPLE)["job_id"])
        assert last.data["status"] == "completed"
        wait_until(lambda: "run/merge" in names(collector))
    [post] = [span for _, span in collector.spans if span.name.startswith("POST ")]
    mine = [(service, span) for service, span in collector.spans if span.trace_id == post.trace_id]
    assert {service for service, _ in mine} == {"transcribe-api", "transcribe-worker"}
    steps = {"prepare", "transcribe_chunk", "diarize", "merge"}
    assert {span.name for _, span in mine} >= {f"run/{step}" for step in steps}


def names(collector: Collector) -> set[str]:
    return {span.name for _, span in collector.spans}
