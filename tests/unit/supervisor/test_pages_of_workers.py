"""The supervisor's pages beside workers that freeze or end at any byte of what they answer."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from stream_app.supervisor import pages
from stream_app.supervisor.pages import Place, look, supervisor_routes

_HEAD = "HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"
_QUICK_SECONDS = 0.5


def whole(body: str, status: int = 200) -> bytes:
    """An answer."""
    return (_HEAD.format(status, len(body)) + body).encode()


def half(body: str, status: int = 200) -> bytes:
    """The first half of an answer's body, behind its whole head."""
    return (_HEAD.format(status, len(body)) + body[: len(body) // 2]).encode()


@contextmanager
def worker(says: bytes, *, ends: bool, after_seconds: float = 0.0) -> Iterator[int]:
    """A port that says so much to everybody, and then closes the line or keeps silent on it."""
    done = threading.Event()
    lines: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            line.recv(65_536)
            done.wait(after_seconds)
            line.sendall(says)
            if ends:
                line.close()
            lines.append(line)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for line in lines:
        line.close()


def asked(path: str, ports: Sequence[int]) -> tuple[int, str, float]:
    """Status and text of a page of the supervisor of workers at these ports, and how long it took."""
    places = [Place(number, 1, port, 1) for number, port in enumerate(ports, 1)]
    client = TestClient(Starlette(routes=supervisor_routes(lambda: places, lambda: True)))
    began = time.monotonic()
    answer = client.get(path)
    return answer.status_code, answer.text, time.monotonic() - began


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is given up early, so that the test is short."""
    monkeypatch.setattr(pages, "_PAGE_SECONDS", _QUICK_SECONDS)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("ends", [True, False], ids=["killed", "frozen"])
@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 2", half(json.dumps({"ok": True})), half(json.dumps({"ok": False}), 503)]
)  # fmt: skip
def test_a_worker_that_goes_within_its_answer_is_told_as_one_that_does_not_answer(
    said: bytes, ends: bool
) -> None:
    """On each page, in little more than the time a worker has, and the other worker's answer stays."""
    well = whole(json.dumps({"ok": True, "why": "It takes records."}))
    with worker(said, ends=ends) as gone, worker(well, ends=True) as other:
        status, text, seconds = asked("/readyz", [gone, other])
        told = json.loads(text)["workers"]
        assert (status, told["1"]["why"], told["2"]["ok"]) == (503, "It does not answer.", True)
        assert seconds < 4 * _QUICK_SECONDS
        status, text, _ = asked("/metrics", [gone])
        assert (status, 'worker_up{worker="1"} 0' in text) == (200, True)
        status, text, _ = asked("/status.json", [gone])
        assert (status, json.loads(text)["problems"][0]["sentence"]) == (
            200,
            "Worker 1 does not answer",
        )


@pytest.mark.usefixtures("quick")
def test_a_worker_whose_page_is_a_mistake_takes_no_page_with_it() -> None:
    """What it said is no JSON, whatever its status."""
    for status in (200, 500):
        with worker(whole("Internal Server Error", status), ends=True) as port:
            code, text, _ = asked("/readyz", [port])
            assert code == 503
            assert f"It answers with status {status}" in text
            assert asked("/status.json", [port])[0] == 200


def test_the_time_a_worker_has_is_that_of_its_whole_answer() -> None:
    """Not that of each part: one that is slow and then freezes is given up as early as any other."""
    with worker(half("0123456789"), ends=False, after_seconds=0.8) as port:
        began = time.monotonic()
        assert look(port, "/readyz", 1.0)[0] == 0
        assert time.monotonic() - began < 1.5
