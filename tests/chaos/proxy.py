"""A TCP proxy that can cut, refuse, delay and freeze what passes through it.

All proxies run on one event loop in one thread of their own; their methods are called from others.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from stream_app.local.ports import HOST, free_ports

__all__ = ["Proxy", "ProxyLoop"]

_CHUNK_BYTES = 256 * 1024

T = TypeVar("T")


class ProxyLoop:
    """The thread that proxies run on."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the thread; proxies have been closed before."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Proxy:
    """Listens on a port of its own and passes everything on to `upstream_port`, both on 127.0.0.1.

    Nothing need listen upstream: then a connection is accepted and closed at once, as by a load
    balancer with nothing behind it.
    """

    def __init__(self, loop: ProxyLoop, upstream_port: int) -> None:
        self._loop = loop
        self._upstream_port = upstream_port
        (self.port,) = free_ports(1)
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._delay_seconds = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[Any]] = set()
        loop.call(self._listen())

    @property
    def address(self) -> str:
        """Host and port to connect to."""
        return f"{HOST}:{self.port}"

    def cut(self) -> None:
        """Reset all connections; new ones are welcome."""
        self._loop.call(self._cut())

    def refuse(self) -> None:
        """Reset all connections and refuse new ones until `heal`."""
        self._loop.call(self._refuse())

    def slow(self, seconds: float) -> None:
        """Hold back each piece of data, either way, for `seconds` until `heal`."""
        self._loop.call(self._set_delay(seconds))

    def freeze(self) -> None:
        """Accept connections and data and pass nothing on until `heal`: a black hole."""
        self._loop.call(self._freeze())

    def heal(self) -> None:
        """Pass everything on again, at once; what was frozen first."""
        self._loop.call(self._heal())

    def close(self) -> None:
        """Reset all connections and listen no more."""
        self._loop.call(self._close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        try:
            up_reader, up_writer = await asyncio.open_connection(HOST, self._upstream_port)
        except OSError:
            _reset(writer)
            return
        pair = {writer, up_writer}
        self._writers |= pair
        pumps = [
            asyncio.ensure_future(self._pump(reader, up_writer)),
            asyncio.ensure_future(self._pump(up_reader, writer)),
        ]
        try:
            # One side's end is the end of both: neither Kafka nor Redis half-closes.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for each in pair:
                _reset(each)
            self._writers -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                await self._flows.wait()
                writer.write(data)
                await writer.drain()

    async def _cut(self) -> None:
        for writer in self._writers:
            _reset(writer)

    async def _refuse(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._cut()

    async def _set_delay(self, seconds: float) -> None:
        self._delay_seconds = seconds

    async def _freeze(self) -> None:
        self._flows.clear()

    async def _heal(self) -> None:
        self._delay_seconds = 0.0
        self._flows.set()
        await self._listen()

    async def _close(self) -> None:
        self._flows.set()  # or what is frozen would wait for ever
        await self._refuse()
        await asyncio.gather(*self._connections)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection without a farewell."""
    writer.transport.abort()
