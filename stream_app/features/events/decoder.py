"""What turns records into events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from stream_app.features.events.event import Event, complete
from stream_app.features.events.explain import explain
from stream_app.features.events.message import Message

__all__ = ["Decoder", "EventDecoder", "Framing", "OwnDecoder", "TombstoneDecoder"]

#: A record to its event, or to None: the record is none of the use case's, and is skipped. Raises
#: `InvalidEventError` for a record that breaks its contract, and `ServiceAwayError` where a service has
#: to be asked that does not answer: the worker waits for it, and asks again.
Decoder = Callable[[Message], Event | None]


@dataclass(frozen=True)
class Framing:
    """How values are written that stand behind the id of a schema in a registry."""

    format: Literal["avro", "json", "protobuf"]
    schema_text: str | None = None
    """The schema in the words of the format, where the decoder knows it: a `.proto` file's text."""


class EventDecoder(ABC):
    """The base of the decoders that come with the library; the events it gives are complete."""

    takes_tombstones: bool = False
    """Whether it is given records without a value too."""
    event_types: tuple[type[Event], ...] = ()
    """The types of the events that it gives, as far as they are known."""

    @abstractmethod
    def __call__(self, message: Message) -> Event | None:
        """The event; see `Decoder`."""

    def json_schema(self) -> dict[str, Any] | None:
        """The contract of a value's fields, for producers; None where the decoder alone knows them."""
        return None

    def framing(self) -> Framing | None:
        """How values are framed; None where they stand by themselves."""
        return None

    def ways(self) -> Iterator[tuple[type[Event], str | None]]:
        """Each event type of a JSON value, and why pydantic decodes it; None where msgspec does."""
        yield from ()


class OwnDecoder(EventDecoder):
    """A function of the author's own, with what the library's decoders give by themselves.

    What pydantic refuses is explained with field and reason, and an event takes of its record what its
    class says.
    """

    def __init__(self, function: Decoder) -> None:
        self.function = function
        self.takes_tombstones = bool(getattr(function, "takes_tombstones", False))

    def __call__(self, message: Message) -> Event | None:
        """What the function gives; raises what it raises, `InvalidEventError` for pydantic's error."""
        try:
            event = self.function(message)
        except ValidationError as error:
            raise explain(error) from error
        if isinstance(event, Event) and event._taken:
            complete(event, message)
        return event


class TombstoneDecoder(EventDecoder):
    """Makes an event of a record without a value, and leaves all others to another decoder."""

    takes_tombstones = True

    def __init__(self, decoder: EventDecoder, tombstone: type[Event]) -> None:
        """`tombstone` takes its id and its time from the record; raises `TypeError` otherwise."""
        try:
            tombstone()
        except ValidationError as error:
            missing = ", ".join(str(each["loc"][0]) for each in error.errors())
            raise TypeError(
                f"{tombstone.__name__} cannot be the event of a tombstone, which has no value to take "
                f"{missing} from: declare class {tombstone.__name__}(Event, id_from=from_key(), "
                "time_from=from_timestamp()), and no fields that are required"
            ) from None
        self._decoder = decoder
        self._tombstone = tombstone
        self.event_types = (*decoder.event_types, tombstone)

    def json_schema(self) -> dict[str, Any] | None:
        """The contract of the records that have a value."""
        return self._decoder.json_schema()

    def framing(self) -> Framing | None:
        """The framing of the records that have a value."""
        return self._decoder.framing()

    def ways(self) -> Iterator[tuple[type[Event], str | None]]:
        """Those of the records that have a value."""
        return self._decoder.ways()

    def __call__(self, message: Message) -> Event | None:
        """The event of a record without a value, or what the other decoder gives."""
        if message.value is not None:
            return self._decoder(message)
        event = self._tombstone()
        complete(event, message)
        return event
