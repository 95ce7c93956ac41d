"""Avro behind a schema registry's framing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream_app.decoders.framed import CONF, Deserializer, FramedDecoder
from stream_app.features.events.decoder import Framing

if TYPE_CHECKING:
    from stream_app.decoders.registry import Registry

__all__ = ["AvroDecoder"]


class AvroDecoder(FramedDecoder):
    """Decodes Avro records of a schema registry by a pydantic model; needs `stream-app[avro]`.

    Logical types come as Python's: a `timestamp-millis` is a datetime, which a field declared `Moment`
    takes; a `decimal` is a Decimal, a `uuid` a UUID, a `date` a date. An enum is a text.

    The registry is asked when a schema is met for the first time; while it is away, records wait.

    >>> from stream_app import AvroDecoder, Event, InvalidEventError, LogRecord
    >>> class Paid(Event):
    ...     amount: float
    >>> decode = AvroDecoder(Paid, {"url": "http://localhost:8081"})
    >>> try:
    ...     decode(LogRecord(b'{"amount": 12.5}'))  # plain JSON, without the framing
    ... except InvalidEventError as error:
    ...     error.reason
    'not-framed'
    """

    extra = "avro"
    enums_are_texts = True

    def framing(self) -> Framing:
        """Avro; the schema is the producer's."""
        return Framing("avro")

    def _deserializer(self, registry: Registry | None) -> Deserializer:
        from confluent_kafka.schema_registry.avro import AvroDeserializer

        deserializer: Deserializer = AvroDeserializer(registry, conf=CONF)
        return deserializer
