"""Health, and the HTTP server that tells of it."""

import contextlib
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from stream_app.config.settings import SettingsError
from stream_app.kafka.end_offsets import PartitionLag
from stream_app.telemetry import http_server
from stream_app.telemetry.health import Health
from stream_app.telemetry.http_server import HttpServer
from stream_app.telemetry.lag import LagCollector
from stream_app.telemetry.metrics import Metrics


class Clock:
    """A clock that a test moves; seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


def test_a_worker_is_alive_from_its_start_but_not_ready() -> None:
    """Loading a model takes a while: that is no reason to restart."""
    health = Health(deadline_seconds=10.0, clock=Clock())
    assert health.liveness().ok
    assert not health.readiness().ok
    assert "starting" in health.readiness().why


def test_a_work_loop_without_a_sign_is_not_alive() -> None:
    """Past the deadline a restart is what helps; a beat before it is a new lease."""
    clock = Clock()
    health = Health(deadline_seconds=10.0, clock=clock)
    clock.now += 9.0
    health.beat()
    clock.now += 9.0
    assert health.liveness().ok
    clock.now += 2.0
    answer = health.liveness()
    assert not answer.ok
    assert "11.0 s" in answer.why


def test_a_worker_that_waits_for_a_service_is_alive_and_not_ready() -> None:
    """A restart would not bring Redis back; a rollout should wait."""
    clock = Clock()
    health = Health(deadline_seconds=10.0, clock=clock)
    health.ready(True)
    health.waiting_for("redis")
    clock.now += 500.0
    assert health.liveness().ok
    assert not health.readiness().ok
    assert "redis (500.0 s)" in health.readiness().why
    health.waiting_for(None)
    assert health.liveness().ok
    assert health.readiness().ok


def test_one_service_that_is_back_does_not_hide_another_that_is_not() -> None:
    """Waits on two threads are told apart."""
    health = Health(clock=Clock())
    health.ready(True)
    health.waiting_for("redis")
    health.waiting_for("kafka")
    health.arrived("redis")
    assert health.readiness().details["waiting_for"] == ["kafka"]
    health.arrived("kafka")
    assert health.readiness().ok


def test_readiness_says_why_not() -> None:
    """The reason is the worker's own sentence."""
    health = Health()
    health.ready(True)
    assert health.readiness().ok
    health.ready(False, "No partition is assigned.")
    assert health.readiness() == (False, "No partition is assigned.", {"waiting_for": []})


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
    with HttpServer("127.0.0.1", 0, metrics.registry, health) as running:
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
    assert json.loads(body) == {"ok": False, "why": "The worker is starting.", "waiting_for": []}
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


def test_the_front_page_names_the_rest_and_anything_else_is_404(server: HttpServer) -> None:
    """A person who opens the port in a browser finds the way."""
    status, content_type, page = get(server, "/")
    assert (status, content_type) == (200, "text/html; charset=utf-8")
    assert all(path in page for path in ("/metrics", "/livez", "/readyz"))
    assert get(server, "/admin")[0] == 404
    assert get(server, "/livez", method="POST")[0] == 501
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
    server = HttpServer("127.0.0.1", 0, metrics.registry, health)
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
        socket.create_connection(("127.0.0.1", server.port))
        for _ in range(http_server._CONNECTIONS + 10)
    ]
    assert get(server, "/livez")[0] == 200
    time.sleep(0.1)
    names = [thread.name for thread in threading.enumerate()]
    assert sum("process_request_thread" in name for name in names) <= http_server._CONNECTIONS
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
    second = HttpServer("127.0.0.1", server.port, metrics.registry, health)
    with pytest.raises(SettingsError, match="http_port: cannot listen on"):
        second.start()
    with pytest.raises(SettingsError, match="http_host"):
        HttpServer("no.such.host.invalid", 0, metrics.registry, health).start()


def test_names_of_one_address_are_listened_to_once(health: Health, metrics: Metrics) -> None:
    """`localhost` beside its address was told that the address is in use, by itself."""
    with HttpServer("127.0.0.1,localhost,127.0.0.1", 0, metrics.registry, health) as running:
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
    with HttpServer("::1", 0, metrics.registry, health) as server:
        url = f"http://[::1]:{server.port}/livez"
        assert urllib.request.urlopen(url, timeout=5).status == 200


@pytest.mark.usefixtures("_ipv6")
@pytest.mark.parametrize("hosts", ["::", "127.0.0.1,::1", "0.0.0.0,::"])
def test_ipv6_and_ipv4_are_served_together(metrics: Metrics, hosts: str) -> None:
    """By the address that stands for all, or by several; on one port."""
    with HttpServer(hosts, 0, metrics.registry, Health()) as server:
        for address in ("127.0.0.1", "[::1]"):
            url = f"http://{address}:{server.port}/livez"
            with urllib.request.urlopen(url, timeout=10) as page:
                assert page.status == 200


def test_where_one_of_several_addresses_cannot_be_listened_on_none_is(metrics: Metrics) -> None:
    """The sentence names the one."""
    server = HttpServer("127.0.0.1,192.0.2.1", 0, metrics.registry, Health())
    with pytest.raises(SettingsError, match=r"cannot listen on 192\.0\.2\.1"):
        server.start()
    server.stop()


def test_a_probe_is_told_the_latest_reason_of_a_wait() -> None:
    """And since when it waits, whatever the reason was before."""
    now = [0.0]
    health = Health(clock=lambda: now[0])
    health.ready(True)
    health.waiting_for("kafka", "connection broken")
    now[0] = 2.0
    health.waiting_for("kafka", "b:9092: connection refused")
    answer = health.readiness()
    assert not answer.ok
    assert answer.why == "The worker waits for kafka (2.0 s): b:9092: connection refused."
    assert health.liveness().ok


def test_what_is_known_may_be_corrected_before_a_probe_is_answered() -> None:
    """A thread that died while it waited must not fail the probe for ever."""
    health = Health(before_answering=lambda: health.arrived("redis"))
    health.ready(True)
    health.waiting_for("redis", "gone")
    assert health.readiness().ok
