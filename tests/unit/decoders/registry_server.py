"""A schema registry's documented routes, as far as serializers use them, over HTTP on this machine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class RegistryServer(ThreadingHTTPServer):
    """Keeps schemas in memory; answers every request with `status` where that is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status: int | None = None
        self.schemas: list[dict[str, Any]] = []
        self.requests = 0

    @property
    def properties(self) -> dict[str, Any]:
        """What its clients are configured with."""
        return {"url": f"http://user:hush@127.0.0.1:{self.server_port}", "timeout": 2.0}


class _Handler(BaseHTTPRequestHandler):
    server: RegistryServer

    def do_GET(self) -> None:
        found = re.fullmatch(r"/schemas/ids/(\d+)", self.path.partition("?")[0])
        number = int(found.group(1)) if found else 0
        if not 0 < number <= len(self.server.schemas):
            self._answer(404, {"error_code": 40403, "message": "Schema not found"})
        else:
            self._answer(200, self.server.schemas[number - 1])

    def do_POST(self) -> None:
        schema = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if schema not in self.server.schemas:
            self.server.schemas.append(schema)
        self._answer(200, {**schema, "id": self.server.schemas.index(schema) + 1, "version": 1})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        self.server.requests += 1
        if self.server.status is not None:
            status, content = (
                self.server.status,
                {"error_code": self.server.status, "message": "no"},
            )
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def registry_server() -> Iterator[RegistryServer]:
    """A registry that runs meanwhile."""
    with RegistryServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
