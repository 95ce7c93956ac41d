"""Several event types in one topic, told apart by a header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType

from stream_app.features.events.decoder import Decoder, EventDecoder
from stream_app.features.events.event import Event
from stream_app.features.events.invalid import InvalidEventError
from stream_app.features.events.message import Message, header_of
from stream_app.features.events.topic_decoder import decoder_of

__all__ = ["HeaderDecoder"]


class HeaderDecoder(EventDecoder):
    """Decodes each record by what its header says that it is.

    >>> from stream_app import Event, HeaderDecoder, LogRecord
    >>> class Paid(Event):
    ...     amount: float
    >>> class Left(Event):
    ...     page: str
    >>> decode = HeaderDecoder("kind", {"paid": Paid, "left": Left}, skip_others=True)
    >>> value = b'{"event_id": "e1", "event_time": "2025-07-01T12:00:00Z", "page": "/"}'
    >>> decode(LogRecord(value, headers=(("kind", b"left"),))).page
    '/'
    >>> decode(LogRecord(value, headers=(("kind", b"seen"),))) is None  # skipped, and counted
    True
    """

    def __init__(
        self,
        header: str,
        contracts: Mapping[str, type[Event] | UnionType | Decoder],
        *,
        skip_others: bool = False,
    ) -> None:
        """`contracts`: value of the header to what the record holds, as `InputTopic` takes it.

        `skip_others`: records whose header has another value are none of the use case's; else they are
        dead letters, as those without the header are. Raises `TypeError` as `InputTopic` does.
        """
        self._header = header
        self._decoders = {name.encode(): decoder_of(each) for name, each in contracts.items()}
        self._skip_others = skip_others
        self.event_types = tuple(
            dict.fromkeys(kind for each in self._decoders.values() for kind in each.event_types)
        )

    def ways(self) -> Iterator[tuple[type[Event], str | None]]:
        """Those of each of its decoders."""
        for decoder in self._decoders.values():
            yield from decoder.ways()

    def __call__(self, message: Message) -> Event | None:
        """What the decoder gives that the header names; raises `InvalidEventError`."""
        kind = header_of(message, self._header)
        decoder = None if kind is None else self._decoders.get(kind)
        if decoder is not None:
            return decoder(message)
        field = f"header {self._header}"
        if kind is None:
            raise InvalidEventError("missing-field", f"the record has no {field}", field)
        if self._skip_others:
            return None
        raise InvalidEventError("wrong-event-type", f"{field}: it is no expected type", field)
