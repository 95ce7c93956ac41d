"""The HTTP server: what it answers, and what it puts up with."""

import contextlib
import json
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stream_app.config.settings import SettingsError
from stream_app.kafka.end_offsets import PartitionLag
from stream_app.telemetry import http_server
from stream_app.telemetry.health import Health
from stream_app.telemetry.http_routes import worker_routes
from stream_app.telemetry.http_server import HttpServer
from stream_app.telemetry.lag import LagCollector
from stream_app.telemetry.metrics import Metrics


@pytest.fixture
def health() -> Health:
    """A worker's health."""
    return Health()


@pytest.fixture
def metrics() -> Metrics:
    """A worker's metrics."""
    return Metrics()


@pytest.fixture
def server(health: Health, metrics: Metrics) -> Iterator[HttpServer]:
    """A server on a free port."""
    with HttpServer("127.0.0.1", 0, worker_routes(metrics.registry, health)) as running:
        yield running


def get(server: HttpServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """Return status, content type and body."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}", headers=headers, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def test_probes_answer_with_a_status_and_the_reason(server: HttpServer, health: Health) -> None:
    """503 is what an orchestrator acts on, the sentence is for a person."""
    status, content_type, body = get(server, "/readyz")
    assert (status, content_type) == (503, "application/json")
    assert json.loads(body) == {
        "ok": False,
        "why": "The worker is starting.",
        "waiting_for": [],
        "stopped_partitions": [],
    }
    health.ready(True)
    assert get(server, "/readyz")[0] == 200
    status, _, body = get(server, "/livez?verbose")
    assert status == 200
    assert json.loads(body)["heartbeat_age_seconds"] >= 0


def test_metrics_come_in_the_format_that_was_asked_for(
    server: HttpServer, metrics: Metrics
) -> None:
    """Text for a person with curl, OpenMetrics for Prometheus; both are complete."""
    metrics.registry.register(LagCollector(lambda: [PartitionLag("events", 0, 5, 1.5)]))
    status, content_type, text = get(server, "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    assert 'stream_app_consumer_lag_records{partition="0",topic="events"} 5.0' in text
    assert "python_gc_collections_total" in text
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    _, content_type, text = get(server, "/metrics", Accept=accept)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert any(f.name == "stream_app_records" for f in text_string_to_metric_families(text))


def test_what_is_not_there_is_404_and_says_what_is(server: HttpServer) -> None:
    """A person who mistypes finds the way."""
    status, _, body = get(server, "/admin")
    assert (status, body) == (404, "There is no such page. Try /metrics, /livez, /readyz.\n")
    assert get(server, "/livez/")[0] == 404
    assert get(server, "/livez", method="POST")[0] == 405
    assert get(server, "/livez", method="HEAD") == (200, "application/json", "")


def test_metrics_that_cannot_be_written_leave_the_probes_alone(
    server: HttpServer, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in a metric is no reason for a restart."""

    def broken() -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(metrics.registry, "collect", broken)
    assert get(server, "/metrics")[0] == 500
    assert get(server, "/livez")[0] == 200


def test_clients_that_say_nothing_do_not_keep_the_server_from_stopping(
    health: Health, metrics: Metrics
) -> None:
    """Stop takes no longer than a second whoever is connected, and they are cut off."""
    server = HttpServer("127.0.0.1", 0, worker_routes(metrics.registry, health))
    server.start()
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
    clients[0].sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
    assert get(server, "/livez")[0] == 200
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 1.0
    for client in clients:
        client.settimeout(2.0)
        assert client.recv(1) == b""
        client.close()
    server.stop()


def test_a_crowd_of_silent_clients_locks_no_probe_out(server: HttpServer) -> None:
    """The oldest connection makes room for the newest."""
    clients = [
        socket.create_connection(("127.0.0.1", server.port), timeout=5.0)
        for _ in range(http_server._CONNECTIONS + 10)
    ]
    assert get(server, "/livez")[0] == 200
    for oldest in clients[:10]:
        assert oldest.recv(1) == b""
    clients[-1].sendall(b"GET /livez HTTP/1.0\r\n\r\n")
    assert clients[-1].recv(12) == b"HTTP/1.1 200"
    for client in clients:
        client.close()


def test_a_client_that_trickles_is_cut_off(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then keeps a socket's time-out away, but not the connection's."""
    monkeypatch.setattr(http_server, "_CONNECTION_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5.0) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nX-Slow: ")
        started = time.monotonic()
        with contextlib.suppress(OSError):  # broken pipe or reset, as the system likes
            while time.monotonic() - started < 5.0:
                client.sendall(b"x")
                time.sleep(0.02)
        assert time.monotonic() - started < 2.0


def test_a_port_that_is_taken_is_a_wrong_setting(
    server: HttpServer, health: Health, metrics: Metrics
) -> None:
    """A second worker on the machine is told which setting to change."""
    second = HttpServer("127.0.0.1", server.port, worker_routes(metrics.registry, health))
    with pytest.raises(SettingsError, match="http_port: cannot listen on"):
        second.start()
    with pytest.raises(SettingsError, match="http_host"):
        HttpServer("no.such.host.invalid", 0, worker_routes(metrics.registry, health)).start()


def test_names_of_one_address_are_listened_to_once(health: Health, metrics: Metrics) -> None:
    """`localhost` beside its address was told that the address is in use, by itself."""
    with HttpServer(
        "127.0.0.1,localhost,127.0.0.1", 0, worker_routes(metrics.registry, health)
    ) as running:
        assert get(running, "/livez")[0] == 200


@pytest.fixture
def _ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")


@pytest.mark.usefixtures("_ipv6")
def test_ipv6_is_served(health: Health, metrics: Metrics) -> None:
    """An address with colons is one of IPv6."""
    with HttpServer("::1", 0, worker_routes(metrics.registry, health)) as server:
        url = f"http://[::1]:{server.port}/livez"
        assert urllib.request.urlopen(url, timeout=5).status == 200


@pytest.mark.usefixtures("_ipv6")
@pytest.mark.parametrize("hosts", ["::", "127.0.0.1,::1", "0.0.0.0,::"])
def test_ipv6_and_ipv4_are_served_together(metrics: Metrics, hosts: str) -> None:
    """By the address that stands for all, or by several; on one port."""
    with HttpServer(hosts, 0, worker_routes(metrics.registry, Health())) as server:
        for address in ("127.0.0.1", "[::1]"):
            url = f"http://{address}:{server.port}/livez"
            with urllib.request.urlopen(url, timeout=10) as page:
                assert page.status == 200


def test_where_one_of_several_addresses_cannot_be_listened_on_none_is(metrics: Metrics) -> None:
    """The sentence names the one."""
    server = HttpServer("127.0.0.1,192.0.2.1", 0, worker_routes(metrics.registry, Health()))
    with pytest.raises(SettingsError, match=r"cannot listen on 192\.0\.2\.1"):
        server.start()
    server.stop()


def said(server: HttpServer, words: bytes, *, half_closed: bool = False) -> bytes:
    """Say something over a connection, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5.0) as client:
        answer = b""
        with contextlib.suppress(OSError):  # where it is cut off before it has said all
            client.sendall(words)
            if half_closed:
                client.shutdown(socket.SHUT_WR)
            while more := client.recv(65_536):
                answer += more
        return answer


def test_a_client_that_says_no_more_is_still_answered(server: HttpServer) -> None:
    """Some versions of nc close their side once the request is sent."""
    for path in (b"/metrics", b"/livez"):
        request = b"GET " + path + b" HTTP/1.0\r\n\r\n"
        answer = said(server, request, half_closed=True)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_every_answer_ends_its_connection_and_is_not_to_be_cached(server: HttpServer) -> None:
    """A probe that were served from a cache would tell of the past."""
    answer = said(server, b"GET /livez HTTP/1.1\r\nHost: worker\r\n\r\n").lower()
    assert b"\r\nserver: stream-app\r\n" in answer
    assert b"\r\ncache-control: no-store\r\n" in answer
    assert b"\r\nconnection: close\r\n" in answer
    assert b"uvicorn" not in answer


HOSTILE = {
    "no HTTP": b"\x16\x03\x01\x02\x00\r\n\r\n",
    "a head without end": b"GET /livez HTTP/1.1\r\nX: " + b"x" * 200_000,
    "a chunk without length": b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a second request behind the first": b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
    "a switch of protocols": (
        b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    ),
    "a body that nobody asked for": (
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 1_000
    ),
}


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("hangs_up", [False, True], ids=["stays", "hangs up"])
def test_no_client_can_make_the_server_log_a_line(
    server: HttpServer, words: bytes, hangs_up: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reaches the port could fill the log otherwise."""
    caplog.set_level(logging.INFO)
    if hangs_up:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5.0) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                with contextlib.suppress(OSError):
                    client.sendall(words)
    else:
        said(server, words, half_closed=True)
    assert get(server, "/livez")[0] == 200
    server.stop()
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


def test_metrics_that_take_long_delay_no_probe_and_no_stop(
    health: Health, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    """They are made on a thread: the lag of a partition may have to wait for a lock."""
    begun, go_on = threading.Event(), threading.Event()

    def lag() -> list[PartitionLag]:
        begun.set()
        go_on.wait(10.0)
        return []

    metrics.registry.register(LagCollector(lag))
    server = HttpServer("127.0.0.1", 0, worker_routes(metrics.registry, health))
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5.0) as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert begun.wait(5.0)
            assert get(server, "/livez")[0] == 200
            started = time.monotonic()
            server.stop()
            assert time.monotonic() - started < 2.0
            assert client.recv(1) == b""
    finally:
        go_on.set()
    for thread in threading.enumerate():
        if thread.name == "http":
            thread.join(5.0)
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


def test_further_routes_are_served_as_they_are_given() -> None:
    """A mistake in one is logged with its traceback, and answered with 500."""

    async def hello(_: Request) -> Response:
        return PlainTextResponse("hello")

    async def broken(_: Request) -> Response:
        raise RuntimeError("no")

    with HttpServer("127.0.0.1", 0, [Route("/hello", hello), Route("/broken", broken)]) as running:
        assert get(running, "/hello") == (200, "text/plain; charset=utf-8", "hello")
        assert get(running, "/broken")[0] == 500
        assert get(running, "/hello")[0] == 200
        assert "Try /hello, /broken." in get(running, "/livez")[2]


def test_the_environment_changes_nothing_about_the_server(
    health: Health, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uvicorn reads variables that a platform sets for a web application, and this is none."""
    monkeypatch.setenv("WEB_CONCURRENCY", "many")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    routes = worker_routes(metrics.registry, health)
    with HttpServer("127.0.0.1", 0, routes) as running:
        assert get(running, "/livez")[0] == 200
