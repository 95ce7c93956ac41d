"""Something that is no Redis answers at its address: it is told so, whatever it answers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from stream_app.features.stores import StoreRefusedError
from stream_app.features.stores.redis import RedisStore, client_of
from tests.unit.features.builders import FEATURES


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives one answer to everything; yields host and port."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=speak, args=(connection,), daemon=True).start()

    def speak(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while connection.recv(65_536):
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "answer",
    [b":1\r\n", b"$-1\r\n", b"*0\r\n", b"*1\r\n*1\r\n+x\r\n", b"-MOVED a\r\n", b"-NOSCRIPT x\r\n", b"HTTP/1.1 400\r\n"],
)  # fmt: skip
def test_an_answer_in_no_form_of_redis_is_a_refusal_in_a_sentence(answer: bytes) -> None:
    """It may be a proxy that starts, so it is not believed at once; it is no bug of ours."""
    with answering(answer) as place:
        store = RedisStore(client_of(f"redis://{place}/0", timeout_seconds=5.0), FEATURES, "app")
        with pytest.raises(StoreRefusedError, match="does not speak the protocol") as refused:
            store.check_access()
        store.close()
    assert refused.value.is_doubtful


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_a_host_that_is_none_is_not_blamed_on_what_redis_holds(scheme: str) -> None:
    """To delete a key, as it said, would not help."""
    store = RedisStore(client_of(f"{scheme}://a..b:1"), FEATURES, "app")
    with pytest.raises(Exception, match="idna") as refused:
        store.check_access()
    assert "delete that key" not in str(refused.value)
