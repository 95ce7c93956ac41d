"""A receiver of OTLP over HTTP: it parses what a worker sends, as a collector does."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["Received", "receiving"]


@dataclass
class Received:
    """What came, parsed."""

    address: str = ""
    traces: list[Any] = field(default_factory=list)
    """Requests of spans."""
    metrics: list[Any] = field(default_factory=list)
    """Requests of metrics."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request, names in lower case."""
    came: threading.Event = field(default_factory=threading.Event)

    @property
    def spans(self) -> list[Any]:
        """Every span."""
        return [
            span
            for request in list(self.traces)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def newest_metrics(self) -> dict[str, Any]:
        """The metrics of the newest request, by name."""
        return {
            metric.name: metric
            for resource in self.metrics[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def resource(self) -> dict[str, str]:
        """Who sent the first request."""
        (resource,) = (self.traces or self.metrics)[0].ListFields()[0][1]
        return {each.key: each.value.string_value for each in resource.resource.attributes}


@contextmanager
def receiving(status: int = 200) -> Iterator[Received]:
    """Run a receiver on a port of its own that answers with `status`."""
    received = Received()
    paths: dict[str, tuple[Any, list[Any]]] = {
        "/v1/traces": (ExportTraceServiceRequest, received.traces),
        "/v1/metrics": (ExportMetricsServiceRequest, received.metrics),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            kind, requests = paths[self.path]
            requests.append(kind.FromString(body))
            received.headers.append({name.lower(): value for name, value in self.headers.items()})
            received.came.set()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
