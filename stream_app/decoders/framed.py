"""Values behind a schema registry's framing: the part that all their formats have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from stream_app.decoders.enum_fields import refuse_enums
from stream_app.errors import ConfigurationError, ServiceAwayError
from stream_app.features.events import Event, EventDecoder, InvalidEventError, Message
from stream_app.features.events.decoder import Framing
from stream_app.features.events.event import complete
from stream_app.features.events.explain import errors_of
from stream_app.features.events.json_decoder import EventContract
from stream_app.features.events.message import header_of

if TYPE_CHECKING:
    # At run time it is imported by who makes a decoder: the package behind it is an optional one.
    from stream_app.decoders.registry import Registry

__all__ = ["CONF", "Deserializer", "FramedDecoder"]

CONF: Final = {"subject.name.strategy.type": "TOPIC"}
"""Of all deserializers: by default they ask the registry more than schemas, which not every one knows."""

_SCHEMA_HEADER: Final = "__value_schema_id"
"""Where newer serializers put the schema's id, instead of before the value."""
_MAGIC: Final = (b"\x00", b"\x01")
"""What a framed value begins with: then comes an id of four bytes, or one of sixteen."""
_SHORTEST: Final = 5

#: A value and its `SerializationContext` to what stands in the value.
Deserializer = Callable[[bytes, Any], Any]


class FramedDecoder(EventDecoder):
    """Decodes values behind a schema registry's framing by confluent-kafka's deserializers."""

    extra: str
    """The extra of this package that installs what it needs."""
    enums_are_texts: bool = False
    """Whether the format has enums, which come as Python's texts."""

    def __init__(
        self,
        contract: Any,
        registry: Mapping[str, Any] | None,
        *,
        by: str | None = None,
        skip_others: bool = False,
    ) -> None:
        """`contract`, `by` and `skip_others` as in `JsonDecoder`.

        `registry`: properties of confluent-kafka's `SchemaRegistryClient`, at least `url`; by default a
        request may take 5 s, and it is the worker that tries again. Raises `TypeError` and `ValueError`
        for what cannot work, and `ConfigurationError` where a package is missing.
        """
        self._contract = EventContract(contract, by)
        self.event_types = self._contract.types
        if self.enums_are_texts:
            refuse_enums(self.event_types)
        self._skip_others = skip_others
        try:
            from stream_app.decoders.registry import Registry, context_of

            asked = None if registry is None else Registry(registry)
            self._deserialize = self._deserializer(asked)
            self._context_of = context_of
        except ImportError as error:
            raise ConfigurationError(
                f"{type(self).__name__} needs a package that is not installed ({error.name}): install "
                f"stream-app[{self.extra}]"
            ) from error

    @abstractmethod
    def _deserializer(self, registry: Registry | None) -> Deserializer:
        """The deserializer of the format."""

    def _event(self, found: Any) -> Event:
        """The event of what the deserializer gave; raises `ValidationError`."""
        return self._contract.adapter.validator.validate_python(found)  # type: ignore[no-any-return]

    def json_schema(self) -> dict[str, Any]:
        """The contract of a value's fields, as JSON would have them."""
        return self._contract.json_schema()

    @abstractmethod
    def framing(self) -> Framing:
        """The format of what stands behind the id of the schema."""

    def __call__(self, message: Message) -> Event | None:
        """Return the event; raises `InvalidEventError`, and `ServiceAwayError` for the registry."""
        value = message.value or b""
        _check_framing(message, value)
        try:
            found = self._deserialize(value, self._context_of(message))
        except InvalidEventError as error:
            if self._skip_others and error.reason == "wrong-event-type":
                return None
            raise
        except (ServiceAwayError, MemoryError):
            raise
        except Exception as error:
            # Its text may quote the payload.
            raise InvalidEventError(
                "schema-mismatch",
                f"the value cannot be read by the schema that it names ({type(error).__qualname__})",
            ) from error
        try:
            event = self._event(found)
        except ValidationError as error:
            if self._skip_others and self._contract.is_other_type(error):
                return None
            raise self._contract.explained(errors_of(error)) from None
        if self._contract.takes_of_record:
            complete(event, message)
        return event


def _check_framing(message: Message, value: bytes) -> None:
    if value[:1] in _MAGIC and len(value) > _SHORTEST:
        return
    if header_of(message, _SCHEMA_HEADER) is not None:
        return
    like = "; it looks like plain JSON" if value.lstrip()[:1] in (b"{", b"[") else ""
    raise InvalidEventError(
        "not-framed", f"the value does not begin with the id of a schema in a registry{like}"
    )
