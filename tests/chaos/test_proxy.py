"""The proxy does to connections what it is told, and nothing else."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from stream_app.local.ports import HOST
from tests.chaos.proxy import Proxy, ProxyLoop

_ENDED = r"reset|ended|closed|Broken"


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(65_536):
                        connection.sendall(data)
                except OSError:
                    pass

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    """A proxy before it."""
    loop = ProxyLoop()
    with Proxy(loop, echo) as proxy:
        yield proxy
    loop.close()


def connect(proxy: Proxy) -> socket.socket:
    """A connection through it."""
    return socket.create_connection((HOST, proxy.port), timeout=10.0)


def ask(connection: socket.socket, what: bytes = b"hello") -> bytes:
    """What the server sends back."""
    connection.sendall(what)
    answer = b""
    while len(answer) < len(what):
        got = connection.recv(65_536)
        if not got:
            raise ConnectionResetError("ended")
        answer += got
    return answer


def test_it_passes_everything_on(proxy: Proxy) -> None:
    """Both ways, unchanged, also when it is more than one piece."""
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"
        much = bytes(range(256)) * 8_000
        threading.Thread(target=connection.sendall, args=(much,), daemon=True).start()
        answer = b""
        while len(answer) < len(much):
            answer += connection.recv(65_536)
        assert answer == much


def test_cut_resets_what_is_open_and_takes_new_ones(proxy: Proxy) -> None:
    """A client that connects again goes on."""
    with connect(proxy) as connection:
        ask(connection)
        proxy.cut()
        with pytest.raises(OSError, match=_ENDED):
            ask(connection)
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"


def test_refuse_lasts_until_it_is_healed(proxy: Proxy) -> None:
    """Open connections end and nobody listens on the port."""
    with connect(proxy) as connection:
        ask(connection)
        proxy.refuse()
        with pytest.raises(OSError, match=_ENDED):
            ask(connection)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.heal()
    with connect(proxy) as connection:
        assert ask(connection) == b"hello"


def test_slow_holds_each_piece_back(proxy: Proxy) -> None:
    """A question and its answer take twice as long as a piece."""
    with connect(proxy) as connection:
        proxy.slow(0.1)
        started = time.monotonic()
        assert ask(connection) == b"hello"
        assert time.monotonic() - started >= 0.2


def test_freeze_passes_nothing_on_and_loses_nothing(proxy: Proxy) -> None:
    """The connection stays, and what was sent arrives when it is healed."""
    with connect(proxy) as connection:
        ask(connection)
        proxy.freeze()
        connection.sendall(b"later")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        connection.settimeout(10.0)
        proxy.heal()
        assert connection.recv(100) == b"later"


def test_with_nothing_behind_it_a_connection_ends(proxy: Proxy) -> None:
    """As with a load balancer whose servers are gone."""
    loop = ProxyLoop()
    with (
        socket.create_server((HOST, 0)) as nobody,
        Proxy(loop, nobody.getsockname()[1]) as lonely,
    ):
        nobody.close()
        with pytest.raises(OSError, match=_ENDED):
            ask(connect(lonely))
    loop.close()
