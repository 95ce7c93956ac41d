"""Why there is no connection, kept for whoever waits; with real clients and listeners of all kinds."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from stream_app.errors import FatalError, RefusedError, ServiceAwayError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.connection_causes import ConnectionCauses
from stream_app.observer.events import WaitingBegan, WaitingEnded
from stream_app.waiting.retry import Retry
from tests.unit.observers import listening_to_waits

HTTP = b"HTTP/1.1 400 Bad Request\r\n\r\n"
AWAY = ServiceAwayError("kafka", "describing: timed out")


@pytest.fixture
def listen() -> Iterator[Callable[[bytes], int]]:
    """Make listeners: each says something to whoever connects and speaks, or nothing at all."""
    stack = ExitStack()

    def make(answer: bytes) -> int:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            open_ = []
            while True:
                try:
                    connection, _ = server.accept()
                    open_.append(connection)
                    if answer:
                        connection.recv(10)
                        connection.sendall(answer)
                        connection.close()
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        return int(server.getsockname()[1])

    with stack:
        yield make


def refused_after(properties: dict[str, Any], tries: int = 3, **given: Any) -> ServiceAwayError:
    """What a client with these properties is told, once it has tried."""
    causes = ConnectionCauses(properties["bootstrap.servers"], **given)
    silent = logging.getLogger("test.silent")
    silent.disabled = True
    admin = AdminClient(causes.watched(properties), logger=silent)
    causes.poll(admin)
    for _ in range(tries):
        with pytest.raises(ServiceAwayError) as caught:
            Brokers(admin, seconds=0.5).reach(["events"])
    return causes.explained(caught.value)


def test_a_port_where_nobody_listens() -> None:
    """It may be there soon: the address and what the system said."""
    found = refused_after({"bootstrap.servers": "127.0.0.1:1"})
    assert not isinstance(found, RefusedError)
    assert "127.0.0.1:1" in str(found)
    assert "Connection refused" in str(found)
    assert "after 0ms" not in str(found)


def test_a_host_that_has_no_address() -> None:
    """Names may come later, too."""
    found = refused_after({"bootstrap.servers": "nowhere.invalid:9092"})
    assert not isinstance(found, RefusedError)
    assert "Failed to resolve 'nowhere.invalid:9092'" in str(found)


def test_an_address_that_is_no_broker(listen: Callable[[bytes], int]) -> None:
    """It answers, but not as a broker does: that does not pass."""
    found = refused_after({"bootstrap.servers": f"127.0.0.1:{listen(HTTP)}"})
    assert isinstance(found, RefusedError)
    assert "check bootstrap_servers and security.protocol" in str(found)


def test_tls_where_something_else_is_spoken(listen: Callable[[bytes], int]) -> None:
    """The handshake's error."""
    properties = {
        "bootstrap.servers": f"127.0.0.1:{listen(HTTP)}",
        "security.protocol": "SSL",
        "enable.ssl.certificate.verification": False,
    }
    found = refused_after(properties)
    assert isinstance(found, RefusedError)
    assert "SSL handshake failed" in str(found)


def test_an_address_that_never_answers(listen: Callable[[bytes], int]) -> None:
    """No cause is told then, so that the address and what it may be are."""
    port = listen(b"")
    properties = {"bootstrap.servers": f"127.0.0.1:{port}", "api.version.request.timeout.ms": 300}
    found = refused_after(properties, tries=4)
    assert not isinstance(found, RefusedError)
    assert f"127.0.0.1:{port}" in str(found)
    assert "security.protocol" in str(found)


def error(code: int, text: str) -> KafkaError:
    """As a client reports it."""
    return KafkaError(code, text)


def test_a_refusal_is_told_before_what_comes_of_it() -> None:
    """A wrong password breaks the connection as well, and all brokers are down in the end."""
    causes = ConnectionCauses("b:9092", secrets=["hunter2"])
    causes.note(
        error(KafkaError._AUTHENTICATION, "b:9092: hunter2 is wrong (after 3ms in state X)")
    )
    causes.note(error(KafkaError._TRANSPORT, "b:9092: disconnected"))
    causes.note(error(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    found = causes.explained(AWAY)
    assert isinstance(found, RefusedError)
    assert "b:9092: ******** is wrong; check user name, password" in str(found)
    assert causes.told("kafka", "no acknowledgement").startswith("no acknowledgement: b:9092: ****")
    assert causes.told("kafka", str(found)) == str(found)
    assert causes.told("redis", "closed") == "closed"


def test_an_old_cause_explains_nothing() -> None:
    """Nor does one from before the brokers answered again."""
    now = [0.0]
    causes = ConnectionCauses("b:9092", fresh_seconds=20, clock=lambda: now[0])
    causes.note(error(KafkaError._AUTHENTICATION, "b:9092: wrong"))
    now[0] = 21.0
    assert causes.explained(AWAY) is AWAY
    causes.note(error(KafkaError._TRANSPORT, "b:9092: disconnected"))
    assert "disconnected" in str(causes.explained(AWAY))
    causes.forget()
    causes.note(error(KafkaError._FATAL, "a producer was fenced"))
    assert causes.explained(AWAY) is AWAY
    redis = ServiceAwayError("redis", "closed")
    causes.note(error(KafkaError._TRANSPORT, "b:9092: disconnected"))
    assert causes.explained(redis) is redis


def test_a_wait_that_the_brokers_refuse_ends() -> None:
    """Though each request only times out; the sentence has the cause and what to do."""
    causes = ConnectionCauses("b:9092")
    causes.note(error(KafkaError._AUTHENTICATION, "b:9092: invalid credentials"))
    now = iter(range(0, 1000, 10))
    observer, told = listening_to_waits()
    retry = Retry(
        initial_seconds=0.001,
        max_seconds=0.001,
        observer=observer,
        refusal_seconds=30,
        explained=causes.explained,
        monotonic=lambda: next(now),
    )

    def ask() -> None:
        raise AWAY

    with pytest.raises(FatalError, match="invalid credentials; check user name, password"):
        retry("kafka", ask)
    assert isinstance(told[0], WaitingBegan)
    assert "invalid credentials" in told[0].why
    assert told[-1] == WaitingEnded("kafka", is_given_up=True)
