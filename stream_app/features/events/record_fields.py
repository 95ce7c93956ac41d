"""What of an event stands in its record and not in its value: `from_key`, `from_header`, `from_timestamp`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from stream_app.features.events.invalid import InvalidEventError
from stream_app.features.events.message import Message, header_of
from stream_app.features.events.moments import seconds_of

__all__ = ["ID_CHARACTERS", "RecordField", "from_header", "from_key", "from_timestamp"]

ID_CHARACTERS: Final = 128
"""Most that the id of an event has, unless its own field says otherwise."""


class RecordField(NamedTuple):
    """A part of a record that an event takes its id or its time from."""

    name: str
    """As a dead letter names it."""
    read: Callable[[Message], bytes | None]
    is_timestamp: bool = False

    def text(self, message: Message) -> str:
        """The part as an event's id; raises `InvalidEventError`."""
        raw = self.read(message)
        if raw is None:
            raise InvalidEventError("missing-field", f"the record has no {self.name}", self.name)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise InvalidEventError(
                "bad-format", f"{self.name}: it is not UTF-8", self.name
            ) from None
        if not 1 <= len(text) <= ID_CHARACTERS:
            told = f"{self.name}: it should have 1 to {ID_CHARACTERS} characters"
            raise InvalidEventError("out-of-range", told, self.name)
        return text

    def seconds(self, message: Message) -> float:
        """The part as an event's time, in seconds since the epoch; raises `InvalidEventError`."""
        if not self.is_timestamp:
            try:
                return seconds_of(self.text(message))
            except ValueError as error:
                told = f"{self.name}: {error}"
                raise InvalidEventError("bad-time", told, self.name) from None
        if message.timestamp is None:
            raise InvalidEventError("missing-field", f"the record has no {self.name}", self.name)
        return message.timestamp


def from_key() -> RecordField:
    """The record's key, a text in UTF-8."""
    return RecordField("key", lambda message: message.key)


def from_header(name: str) -> RecordField:
    """The value of the record's last header of this name: a text, or a moment of RFC 3339."""
    return RecordField(f"header {name}", lambda message: header_of(message, name))


def from_timestamp() -> RecordField:
    """The record's timestamp: when it was produced, or appended, as its topic is configured."""
    return RecordField("timestamp", lambda _: None, is_timestamp=True)
