"""Records as confluent-kafka gives them, without a broker."""

from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Headers", "Message", "Unreadable", "message"]

Headers = Sequence[tuple[str, bytes | None]] | None


class Message(NamedTuple):
    """A record of a topic."""

    at: tuple[str, int, int]
    """Topic, partition and offset."""
    of_key: bytes | None
    of_value: bytes | None
    of_headers: Headers
    seconds: float

    def topic(self) -> str:
        """Its topic."""
        return self.at[0]

    def partition(self) -> int:
        """Its partition."""
        return self.at[1]

    def offset(self) -> int:
        """Its offset."""
        return self.at[2]

    def timestamp(self) -> tuple[int, int]:
        """Set by its producer, in milliseconds."""
        return 1, int(self.seconds * 1_000)

    def key(self) -> bytes | None:
        """Its key."""
        return self.of_key

    def value(self) -> bytes | None:
        """Its value."""
        return self.of_value

    def headers(self) -> Headers:
        """Its headers; confluent-kafka gives None where there are none."""
        return self.of_headers


class Unreadable(Message):
    """A record with a header whose name is not UTF-8."""

    def headers(self) -> Headers:
        """What confluent-kafka does, the first time it is asked."""
        raise SystemError("headers returned a result with an exception set")

    def set_headers(self, headers: Headers) -> None:
        """Take what could be read."""


def message(
    topic: str,
    partition: int = 0,
    offset: int = 0,
    *,
    key: bytes | None = b"key",
    value: bytes | None = b"value",
    headers: Headers = None,
    seconds: float = 1.0,
    kind: type[Message] = Message,
) -> Any:
    """A record of a topic."""
    return kind((topic, partition, offset), key, value, headers, seconds)
