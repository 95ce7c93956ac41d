"""Metrics and health over HTTP, for Prometheus and for probes.

A small server of its own threads, so that a stuck work loop can still be seen from outside. Each
connection serves one request and is closed after a few seconds, whatever its client does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Self, cast

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from stream_app.config.settings import SettingsError
from stream_app.telemetry.health import Answer, Health

__all__ = ["HttpServer"]

_LOG = logging.getLogger(__name__)

# A slow client is cut off after this time; Prometheus itself gives up after 10 s by default.
_CONNECTION_SECONDS = 10.0
# Beyond these the oldest connection makes room: a flood of slow clients must not lock probes out.
_CONNECTIONS = 32
_POLL_SECONDS = 0.2

_PAGE = """<!doctype html><title>stream-app</title><h1>stream-app</h1><ul>
<li><a href="/metrics">/metrics</a> for Prometheus</li>
<li><a href="/livez">/livez</a>: 503 when the worker should be restarted</li>
<li><a href="/readyz">/readyz</a>: 503 while the worker takes no records, and why</li>
</ul>
"""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server_version = "stream-app"
    sys_version = ""
    timeout = _CONNECTION_SECONDS

    def do_GET(self) -> None:
        """Answer with the body."""
        server = cast("_Server", self.server)
        path = self.path.partition("?")[0]
        if path == "/metrics":
            try:
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._send(200, content_type, encode(server.registry))
            except OSError:
                raise
            except Exception:  # noqa: BLE001  the probes must stay; the log says what broke
                _LOG.exception("The metrics cannot be written.")
                self._send(500, "text/plain; charset=utf-8", b"The log says why.\n")
        elif path == "/livez":
            self._send_answer(server.health.liveness())
        elif path == "/readyz":
            self._send_answer(server.health.readiness())
        elif path == "/":
            self._send(200, "text/html; charset=utf-8", _PAGE.encode())
        else:
            self._send(404, "text/plain; charset=utf-8", b"Try /metrics, /livez or /readyz.\n")

    do_HEAD = do_GET  # noqa: N815  the name that http.server looks up

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: a probe every few seconds is no news."""

    def _send_answer(self, answer: Answer) -> None:
        body = {"ok": answer.ok, "why": answer.why, **answer.details}
        code = 200 if answer.ok else 503
        self._send(code, "application/json", json.dumps(body).encode() + b"\n")

    def _send(self, code: int, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    """Listens on one address. Knows its open connections, so that it can cut them off."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        registry: CollectorRegistry,
        health: Health,
        *,
        family: socket.AddressFamily,
        ipv4_too: bool,
    ) -> None:
        """`ipv4_too`: an address of IPv6 stands for that of IPv4 as well."""
        self.address_family = family
        self._ipv4_too = ipv4_too
        self.registry = registry
        self.health = health
        self._open: dict[socket.socket, float] = {}
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's full name, which can take seconds."""
        if self.address_family == socket.AF_INET6:
            # What is left to the system differs: IPv4 too on Linux, unless a sysctl says otherwise.
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not self._ipv4_too)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection, make room for it and hand it to a thread."""
        with self._open_lock:
            surplus = list(self._open)[: max(0, len(self._open) + 1 - _CONNECTIONS)]
            self._open[request] = time.monotonic()
        for connection in surplus:
            _cut(connection)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._open_lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off who is slow; called a few times a second."""
        oldest_allowed = time.monotonic() - _CONNECTION_SECONDS
        with self._open_lock:
            slow = [c for c, since in self._open.items() if since < oldest_allowed]
        for connection in slow:
            _cut(connection)

    def cut_all(self) -> None:
        """Cut off everybody."""
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            _cut(connection)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Say nothing aloud of a client that went away in the middle."""
        _LOG.debug("A connection ended early.", exc_info=True)


def _cut(connection: socket.socket) -> None:
    """Wake the thread that waits for this client; it closes the connection itself."""
    with contextlib.suppress(OSError):  # it went by itself
        connection.shutdown(socket.SHUT_RDWR)


class HttpServer:
    """Serves /metrics, /livez and /readyz from `start` to `stop`; a context manager does both."""

    def __init__(self, hosts: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        """`hosts`: names or addresses, separated by commas; `::` alone is IPv4 as well."""
        self._hosts = hosts
        self._port = port
        self._registry = registry
        self._health = health
        self._servers: list[_Server] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """The port that is served, also where 0 was asked for."""
        return self._servers[0].server_port if self._servers else self._port

    def start(self) -> None:
        """Listen and serve on threads; raises `SettingsError` where it cannot listen."""
        problem = None
        hosts = self._hosts.split(",")
        taken: set[tuple[socket.AddressFamily, str]] = set()
        for host in hosts:
            try:
                # Two names may stand for one address.
                for place in [each for each in _addresses(host) if each not in taken]:
                    self._listen(*place, ipv4_too=hosts == ["::"])
                    taken.add(place)
            except (OSError, UnicodeError) as error:
                problem = getattr(error, "strerror", None) or str(error)
                break
        if problem:
            self.stop()
            raise SettingsError(
                f"http_host, http_port: cannot listen on {host} port {self._port}: {problem}. "
                "Example: STREAM_APP_HTTP_PORT=0 takes any free port."
            )
        for server in self._servers:
            thread = threading.Thread(
                target=server.serve_forever, args=(_POLL_SECONDS,), name="http", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        shown = ", ".join(f"http://{_bracketed(host)}:{self.port}/" for host in hosts)
        _LOG.info("Metrics and health are served on %s", shown)

    def _listen(self, family: socket.AddressFamily, address: str, *, ipv4_too: bool) -> None:
        server = _Server(
            (address, self.port), self._registry, self._health, family=family, ipv4_too=ipv4_too
        )
        self._servers.append(server)

    def stop(self) -> None:
        """Stop listening and cut off whoever is connected; takes no longer than a second."""
        servers, self._servers = self._servers, []
        threads, self._threads = self._threads, []
        for server in servers:
            if threads:  # one that does not serve yet would be waited for in vain
                server.shutdown()
            server.server_close()
            server.cut_all()
        for thread in threads:
            thread.join(timeout=1.0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Every address that a host stands for, once."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
