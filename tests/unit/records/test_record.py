"""A record as it was consumed."""

from typing import Any

import pytest

from stream_app.records.headers import HEADER_OVERHEAD_BYTES, MOST_HEADERS
from stream_app.records.record import Record
from tests.unit.builders import partition


class Message:
    """A message of the consumer, as far as a record is made of it."""

    def __init__(self, headers: Any) -> None:
        self._headers = headers
        self.let_go = False

    def __len__(self) -> int:
        return 0  # as of a message without value: it is false, and still a message

    def headers(self) -> Any:
        """The headers, or what the library raises."""
        if isinstance(self._headers, Exception):
            raise self._headers
        return self._headers

    def set_headers(self, _: Any) -> None:
        """Let go of them."""
        self.let_go = True

    def timestamp(self) -> tuple[int, int]:
        """Of type CreateTime, in milliseconds."""
        return 1, 5_000

    def offset(self) -> int:
        """Its offset."""
        return 7

    def key(self) -> bytes:
        """Its key."""
        return b"key"

    def value(self) -> bytes:
        """Its value."""
        return b"value"


def test_a_record_counts_its_headers_with_their_objects() -> None:
    """What is held is bounded by what records count."""
    plain = Record.of(partition(), Message(None))
    headers = [("name", b"12345"), ("absent", None)]
    made = Record.of(partition(), Message(headers))
    assert made.headers == headers
    assert made.size == plain.size + 2 * HEADER_OVERHEAD_BYTES + len("name12345absent")
    assert made.refusal is None


@pytest.mark.parametrize(("more", "reason"), [(0, None), (1, "too-many-headers")])
def test_the_most_headers_allowed_pass(more: int, reason: str | None) -> None:
    """The limit is the last number that is taken."""
    made = Record.of(partition(), Message([("a", b"")] * (MOST_HEADERS + more)))
    assert len(made.headers) == MOST_HEADERS
    assert (made.refusal and made.refusal.reason) == reason


def test_of_very_many_headers_the_first_are_kept_and_the_record_is_refused() -> None:
    """The message lets go of the others at once: its neighbours are still to be read."""
    message = Message([("a", b"")] * 60_000)
    made = Record.of(partition(), message)
    assert len(made.headers) == MOST_HEADERS
    assert message.let_go
    assert made.refusal is not None
    assert made.refusal.reason == "too-many-headers"
    assert "60000 headers" in made.refusal.message
    assert (made.key, made.value, made.offset) == (b"key", b"value", 7)


def test_headers_that_cannot_be_read_cost_the_record_and_not_the_worker() -> None:
    """Key and value are kept; the decoder is not asked."""
    made = Record.of(partition(), Message(SystemError("returned a result with an exception set")))
    assert list(made.headers) == []
    assert made.refusal is not None
    assert (made.refusal.stage, made.refusal.reason) == ("decode", "invalid-headers")
    assert (made.key, made.value, made.timestamp) == (b"key", b"value", 5.0)
