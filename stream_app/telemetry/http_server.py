"""Serves HTTP from a thread and an event loop of its own: it answers while the work is stuck.

The routes are given, the server is uvicorn. Besides what uvicorn does, each connection serves one
request and is closed after a few seconds, whatever its client does, and no client can make the
server log a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Sequence
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from stream_app.config.settings import SettingsError

__all__ = ["HttpServer"]

_LOG = logging.getLogger(__name__)

# A slow client is cut off after this time; Prometheus itself gives up after 10 s by default.
_CONNECTION_SECONDS = 10.0
# Beyond these the oldest connection makes room: a flood of slow clients must not lock probes out.
_CONNECTIONS = 32
_BACKLOG = 64
_STOP_SECONDS = 1.0

_SETTINGS = "http_host, http_port"
_HEADERS = [("Server", "stream-app"), ("Cache-Control", "no-store"), ("Connection", "close")]


class HttpServer:
    """Serves the given routes from `start` to `stop`; a context manager does both."""

    def __init__(
        self, hosts: str, port: int, routes: Sequence[Route], given_by: str = _SETTINGS
    ) -> None:
        """`hosts`: names or addresses, separated by commas; `::` alone is IPv4 as well.

        `given_by`: what a person has named them with.
        """
        self._given_by = given_by
        self._hosts = hosts.split(",")
        self._port = port
        self._app = _application(routes)
        self._sockets: list[socket.socket] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is served, also where 0 was asked for."""
        return int(self._sockets[0].getsockname()[1]) if self._sockets else self._port

    def start(self) -> None:
        """Listen and serve on a thread; raises `SettingsError` where it cannot listen."""
        self._listen()
        self._server = _Server(_configuration(self._app))
        self._thread = threading.Thread(
            target=self._server.run, args=(self._sockets,), name="http", daemon=True
        )
        self._thread.start()
        shown = ", ".join(f"http://{_bracketed(host)}:{self.port}/" for host in self._hosts)
        _LOG.info("Metrics and health are served on %s", shown)

    def _listen(self) -> None:
        problem = None
        taken: set[tuple[socket.AddressFamily, str]] = set()
        for host in self._hosts:
            try:
                # Two names may stand for one address.
                for place in [each for each in _addresses(host) if each not in taken]:
                    self._sockets.append(_bound(*place, self.port, ipv4_too=self._hosts == ["::"]))
                    taken.add(place)
            except (OSError, UnicodeError) as error:
                problem = getattr(error, "strerror", None) or str(error)
                break
        if problem:
            self.stop()
            example = (
                "Example: STREAM_APP_HTTP_PORT=0 takes any free port."
                if self._given_by == _SETTINGS
                else "Port 0 takes any free one."
            )
            raise SettingsError(
                f"{self._given_by}: cannot listen on {host} port {self._port}: {problem}. {example}"
            )

    def stop(self) -> None:
        """Stop listening and cut off whoever is connected; takes no longer than a second."""
        if self._server is not None and self._thread is not None:
            self._server.end()
            self._thread.join(_STOP_SECONDS)
        self._server = self._thread = None
        for each in self._sockets:
            each.close()
        self._sockets = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _application(routes: Sequence[Route]) -> ASGIApp:
    async def not_found(_: Request, __: Exception) -> Response:
        paths = ", ".join(route.path for route in routes if route.path != "/")
        return PlainTextResponse(f"There is no such page. Try {paths}.\n", 404)

    pages = Starlette(routes=routes, exception_handlers={404: not_found})
    # It would send a client to whichever host the client named itself.
    pages.router.redirect_slashes = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # `stop` cancels what is under way, which uvicorn would log as a mistake of ours.
        with contextlib.suppress(asyncio.CancelledError):
            await pages(scope, receive, send)

    return app


def _configuration(app: ASGIApp) -> uvicorn.Config:
    """Nothing of uvicorn's is taken from the environment, and its logging is left alone."""
    return uvicorn.Config(
        app,
        http=_Connection,
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        workers=1,
        proxy_headers=False,
        server_header=False,
        headers=_HEADERS,
        backlog=_BACKLOG,
        log_config=None,
        log_level="error",  # less is what a client did wrong, and its own start and end
        access_log=False,  # a probe every few seconds is no news
    )


class _Connection(H11Protocol):
    """A client's connection; it is cut off after a while, whatever the client does."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve it, and make room for it."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._limit = self.loop.call_later(_CONNECTION_SECONDS, self.cut_off)
        while len(self.connections) > _CONNECTIONS:
            connections = [each for each in self.connections if isinstance(each, _Connection)]
            min(connections, key=lambda each: each._since).cut_off()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._limit.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep it open for an answer that is under way: a client may say that it says no more."""
        return self.cycle is not None and not self.cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; where an answer is under way already, cut it off."""
        if self.cycle is None:
            super().send_400_response(msg)
        else:
            self.cut_off()

    def cut_off(self) -> None:
        """Close it now, sent or not; an answer that is still made goes nowhere."""
        self.connections.discard(self)
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.abort()


class _Server(uvicorn.Server):
    _told: asyncio.Event
    _loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Let `run` end, on the other thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        """Set the time for the header Date once a second; uvicorn's own wakes up ten times."""
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut everybody off instead of waiting for them."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Connection):
                connection.cut_off()
        self.force_exit = True
        await super().shutdown(sockets)


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Every address that a host stands for, once."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bound(
    family: socket.AddressFamily, address: str, port: int, *, ipv4_too: bool
) -> socket.socket:
    """Listen on an address; `ipv4_too`: one of IPv6 stands for that of IPv4 as well."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # What is left to the system differs: IPv4 too on Linux, unless a sysctl says otherwise.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not ipv4_too)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
