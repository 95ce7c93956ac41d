"""JSON behind a schema registry's framing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from stream_app.decoders.framed import CONF, Deserializer, FramedDecoder
from stream_app.features.events import Event
from stream_app.features.events.decoder import Framing

if TYPE_CHECKING:
    from stream_app.decoders.registry import Registry

__all__ = ["JsonSchemaDecoder"]


class JsonSchemaDecoder(FramedDecoder):
    """Decodes JSON of a schema registry by a pydantic model; needs `stream-app[json-schema]`.

    The document is validated twice: by the schema that it names, and by the model, as `JsonDecoder` does.

    The registry is asked when a schema is met for the first time; while it is away, records wait.

    >>> from stream_app import Event, InvalidEventError, JsonSchemaDecoder, LogRecord
    >>> class Paid(Event):
    ...     amount: float
    >>> decode = JsonSchemaDecoder(Paid, {"url": "http://localhost:8081"})
    >>> try:
    ...     decode(LogRecord(b'{"amount": 12.5}'))  # without the framing
    ... except InvalidEventError as error:
    ...     error.reason
    'not-framed'
    """

    extra = "json-schema"

    def framing(self) -> Framing:
        """JSON; its schema in the registry is the producer's."""
        return Framing("json")

    def _deserializer(self, registry: Registry | None) -> Deserializer:
        from confluent_kafka.schema_registry.json_schema import JSONDeserializer

        deserializer: Deserializer = JSONDeserializer(
            None, schema_registry_client=registry, conf=CONF
        )
        return deserializer

    def _event(self, found: Any) -> Event:
        # As JSON again: texts are then moments, dates and so on, which in Python they are not.
        value = to_json(found, inf_nan_mode="constants")
        return self._contract.adapter.validator.validate_json(value)  # type: ignore[no-any-return]
