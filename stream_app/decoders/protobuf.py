"""Protobuf behind a schema registry's framing."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

from stream_app.decoders.framed import CONF, Deserializer, FramedDecoder
from stream_app.decoders.proto_text import proto_text
from stream_app.features.events import InvalidEventError
from stream_app.features.events.decoder import Framing

if TYPE_CHECKING:
    from stream_app.decoders.registry import Registry

__all__ = ["ProtobufDecoder", "as_fields"]


class ProtobufDecoder(FramedDecoder):
    """Decodes Protobuf messages of a schema registry by a pydantic model; needs `stream-app[protobuf]`.

    Fields have their names of the `.proto` file. A `Timestamp` is a datetime, which a field declared
    `Moment` takes; a `Duration` is a timedelta, an enum the name of its value, a wrapper its value.
    A field that can tell whether it was set (`optional`, a message, a member of a `oneof`) is None
    where it was not; any other has its default.

    The class of the messages is made by `protoc`, or is one that a package brings; the registry is not
    asked where none is given:

    >>> from google.protobuf.wrappers_pb2 import DoubleValue
    >>> from stream_app import Event, LogRecord, ProtobufDecoder, from_key, from_timestamp
    >>> class Measured(Event, id_from=from_key(), time_from=from_timestamp()):
    ...     value: float
    >>> decode = ProtobufDecoder(Measured, DoubleValue)
    >>> framed = bytes(5) + bytes(1) + DoubleValue(value=21.5).SerializeToString()
    >>> decode(LogRecord(framed, key=b"m1", timestamp=1751371200.0)).value
    21.5
    """

    extra = "protobuf"
    enums_are_texts = True

    def __init__(
        self,
        contract: Any,
        message_type: Any,
        registry: Mapping[str, Any] | None = None,
        *,
        by: str | None = None,
        skip_others: bool = False,
    ) -> None:
        """`message_type`: the class that `protoc` made of the message; a message of another type is a dead
        letter, or skipped with `skip_others`. All else as in its base.

        Without a registry nothing is asked: a message has to stand where `message_type` stands in its
        `.proto` file. With one, it has to have that type's name in the file that its schema's id names.
        """
        self._message_type = message_type
        super().__init__(contract, registry, by=by, skip_others=skip_others)

    def framing(self) -> Framing:
        """Protobuf, with the text of the message's `.proto` file."""
        return Framing("protobuf", proto_text(self._message_type.DESCRIPTOR.file))

    def _deserializer(self, registry: Registry | None) -> Deserializer:
        from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer

        conf = {**CONF, "use.deprecated.format": False}
        deserialize = ProtobufDeserializer(self._message_type, conf, registry)
        expected = self._message_type.DESCRIPTOR
        types = None if registry is None else _WrittenTypes(registry)
        path = _path(expected)

        def fields_of(value: bytes, where: Any) -> dict[str, Any]:
            # The deserializer would read any message as if it were of the expected type.
            schema = _schema_id(value, where)
            if (
                schema.message_indexes != path
                if types is None
                else types.name(schema) != expected.full_name
            ):
                told = f"the value is a message of another type than {expected.full_name}"
                raise InvalidEventError("wrong-event-type", told)
            return as_fields(deserialize(value, where))

        return fields_of


def _schema_id(value: bytes, where: Any) -> Any:
    """The id of a value's schema, with the path of its message in the schema's file."""
    from confluent_kafka.schema_registry import dual_schema_id_deserializer
    from confluent_kafka.schema_registry.serde import SchemaId

    schema = SchemaId("PROTOBUF")
    dual_schema_id_deserializer(value, where, schema)
    return schema


def _path(descriptor: Any) -> list[int]:
    """Where a message type stands in its file: its place, after those of the types it is nested in."""
    outer = descriptor.containing_type
    if outer is None:
        before, beside = [], descriptor.file.message_types_by_name.values()
    else:
        before, beside = _path(outer), outer.nested_types
    return [*before, [each.full_name for each in beside].index(descriptor.full_name)]


class _WrittenTypes:
    """The full names of the message types that values were written as."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._names: dict[tuple[Any, ...], str] = {}

    def name(self, schema: Any) -> str:
        """The name, by the schema's id and the path in its file."""
        key = (schema.id, schema.guid, *(schema.message_indexes or ()))
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = self._asked(schema)
        return name

    def _asked(self, schema: Any) -> str:
        from google.protobuf.descriptor_pb2 import FileDescriptorProto

        found = (
            self._registry.get_schema(schema.id, None, "serialized")
            if schema.guid is None
            else self._registry.get_schema_by_guid(str(schema.guid), "serialized")
        )
        file = FileDescriptorProto.FromString(b64decode(found.schema_str))
        names, types = [file.package] if file.package else [], file.message_type
        for index in schema.message_indexes:
            message = types[index]
            names.append(message.name)
            types = message.nested_type
        return ".".join(names)


def as_fields(message: Any) -> dict[str, Any]:
    """A Protobuf message as a model takes it."""
    return {
        field.name: None
        if field.has_presence and not message.HasField(field.name)
        else _value(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
    }


def _value(field: Any, value: Any) -> Any:
    if not field.is_repeated:
        return _single(field, value)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        of_value = kind.fields_by_name["value"]
        return {key: _single(of_value, value[key]) for key in value}
    return [_single(field, each) for each in value]


def _single(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if field.message_type is None:
        return value
    name = field.message_type.full_name
    if name == "google.protobuf.Timestamp":
        return value.ToDatetime(UTC)
    if name == "google.protobuf.Duration":
        return value.ToTimedelta()
    if field.message_type.file.name == "google/protobuf/wrappers.proto":
        return value.value
    return as_fields(value)
